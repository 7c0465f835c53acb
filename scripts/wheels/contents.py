"""What is in a wheel, printed, and what may not be, refused."""

from __future__ import annotations

import re
import subprocess
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scripts.wheels.targets import Target

LIMIT_BYTES = 3_500_000
EXTENSION = "rawtp/_core.abi3.so"
# Parts of libc, on any machine; and what glibc itself needs to end a thread (`unwind.py`).
LIBC = re.compile(r"libc|libdl|libpthread|librt|libm|ld-linux-(x86-64|aarch64)|libgcc_s")
GLIBC = re.compile(r"\bGLIBC_([0-9.]+)")
PATH = rb"/[\x21-\x7e]*"


@dataclass(frozen=True)
class Contents:
    """A wheel, looked into."""

    wheel: Path
    files: dict[str, int]
    """Their sizes as they are, unpacked."""
    needed: tuple[str, ...]
    """The libraries that the extension is linked with."""
    glibc: str | None
    """The newest version of a symbol that it wants."""
    directories: tuple[str, ...]
    """Paths of the machine that built it."""

    def __str__(self) -> str:
        packed = self.wheel.stat().st_size
        lines = [f"{self.wheel.name}: {packed:,} bytes, {sum(self.files.values()):,} unpacked"]
        lines += [f"  {size:>9,}  {name}" for name, size in sorted(self.files.items())]
        lines += [f"  linked with {', '.join(self.needed)}; GLIBC {self.glibc or 'none'}"]
        return "\n".join(lines)

    def faults(self, target: Target) -> list[str]:
        """Why nobody should have it."""
        faults = []
        if (packed := self.wheel.stat().st_size) >= LIMIT_BYTES:
            faults.append(f"{packed:,} bytes: {LIMIT_BYTES:,} is too many")
        if beyond := [name for name in self.needed if not LIBC.fullmatch(name.split(".so")[0])]:
            faults.append(f"needs {', '.join(beyond)} beside libc")
        oldest = target.policy.removeprefix("manylinux_").replace("_", ".")
        if target.libc == "musllinux" and self.glibc is not None:
            faults.append("wants glibc")
        elif self.glibc is not None and _numbers(self.glibc) > _numbers(oldest):
            faults.append(f"wants GLIBC_{self.glibc}: its tag says {oldest}")
        if self.directories:
            faults.append(f"has paths of the machine that built it: {', '.join(self.directories[:3])}")
        return faults


def contents(wheel: Path, directories: tuple[Path, ...]) -> Contents:
    """``directories``: where it was built, by whom."""
    with zipfile.ZipFile(wheel) as archive, tempfile.TemporaryDirectory() as place:
        files = {info.filename: info.file_size for info in archive.infolist()}
        extension = archive.extract(EXTENSION, place)
        dynamic = subprocess.check_output(["readelf", "-dW", extension], text=True)
        versions = subprocess.check_output(["readelf", "-VW", extension], text=True)
        code = Path(extension).read_bytes()
    found = {path for directory in directories for path in re.findall(re.escape(bytes(directory)) + PATH, code)}
    needed = re.findall(r"\(NEEDED\).*\[(.+)\]", dynamic)
    glibc = max(GLIBC.findall(versions), key=_numbers, default=None)
    return Contents(wheel, files, tuple(needed), glibc, tuple(sorted(map(bytes.decode, found))))


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))
