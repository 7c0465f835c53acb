"""A machine that has just been made: a minimal Debian in a mount namespace of its own, on this kernel. Needs root."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import zlib
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.fresh.carried import files, variables
from scripts.vm.apt import mirrors

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ENTER = Path(__file__).with_name("enter")


class Machine:
    """What is written there is gone with it; the Debian below it stays as it was made."""

    def __init__(self, base: Path, place: Path) -> None:
        self._base = base
        self._place = place
        self.written = place / "upper"
        """Where files are put for it to find, before a command runs."""
        for name in ("upper", "work", "root"):
            (place / name).mkdir()

    def run(self, *command: str, extra: Mapping[str, str] | None = None) -> None:
        """A command, as root of that machine; ``CalledProcessError`` when it fails.

        What it leaves running is killed, and with the last process goes the namespace, its mounts included.
        """
        ours = ["unshare", "--mount", "--propagation", "private", "sh", str(ENTER)]
        env = {
            "HOME": "/root",
            "LC_ALL": "C.UTF-8",
            "PATH": f"{self.rust()}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            **variables(),
            **(extra or {}),
        }
        named = [f"{name}={value}" for name, value in env.items()]
        whole = [*ours, str(self._base), str(self._place), _toolchain(), *named, *command]
        child = subprocess.Popen(whole)
        try:
            status = child.wait()
        finally:
            child.kill()
            child.wait()
            self._kill()
        if status:
            raise subprocess.CalledProcessError(status, whole)

    def _kill(self) -> None:
        """Whoever has our overlay for a root: it is in no other namespace."""
        mark = f"upperdir={self._place}/upper,"
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if mark in (process / "mountinfo").read_text():
                    os.kill(int(process.name), signal.SIGKILL)

    @staticmethod
    def rust() -> str:
        """Where this machine's toolchain is seen there: Debian's is too old, and rustup's installer is no package."""
        return "/opt/rust/bin"


@contextmanager
def machine(cache: Path, release: str, packages: tuple[str, ...]) -> Iterator[Machine]:
    """One of a release of Debian's, with nothing but its minimum and these packages."""
    base = _debian(cache, release, packages)
    # Not in memory: a build writes gigabytes.
    place = Path(tempfile.mkdtemp(prefix=f"fresh-{release}-", dir=cache))
    try:
        made = Machine(base, place)
        for source in files():
            to = made.written / source.relative_to("/")
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, to)
        yield made
    finally:
        shutil.rmtree(place)


def _debian(cache: Path, release: str, packages: tuple[str, ...]) -> Path:
    """Made once for these packages; all of it or none."""
    wanted = " ".join(packages)
    made = cache / f"debian-{release}-{zlib.crc32(wanted.encode()):08x}"
    stamp = made.with_suffix(".packages")
    if not (stamp.exists() and stamp.read_text() == wanted):
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir(parents=True)
        print(f"debootstrap {release}", flush=True)
        ask = ["debootstrap", "--variant=minbase", f"--include={','.join(('ca-certificates', *packages))}", release]
        debian, security = mirrors()
        subprocess.run([*ask, made, debian], stdout=subprocess.DEVNULL, check=True)
        lines = f"deb {debian} {release} main\ndeb {security} {release}-security main\n"
        (made / "etc/apt/sources.list").write_text(lines)
        stamp.write_text(wanted)
    return made


def _toolchain() -> str:
    return subprocess.check_output(["rustc", "--print", "sysroot"], text=True).strip()
