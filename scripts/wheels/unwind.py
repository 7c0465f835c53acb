"""libgcc_s, as far as the linker must know it.

zig would link its own unwinder into the wheel. But glibc unwinds by libgcc_s when CPython before 3.14 ends a thread
that comes back while the interpreter stops, and neither of the two can read the other's notes: a crash. Every glibc
comes with libgcc_s, manylinux counts on it, and so does every Rust program that is linked by gcc.
"""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from scripts.wheels.targets import Target

# What std uses, by the version of gcc that it came with: the same ones on x86_64 and aarch64.
FUNCTIONS = {
    "GCC_3.0": (
        *("_Unwind_DeleteException", "_Unwind_GetDataRelBase", "_Unwind_GetIP", "_Unwind_GetLanguageSpecificData"),
        *("_Unwind_GetRegionStart", "_Unwind_GetTextRelBase", "_Unwind_RaiseException", "_Unwind_Resume"),
        *("_Unwind_SetGR", "_Unwind_SetIP"),
    ),
    "GCC_3.3": ("_Unwind_Backtrace", "_Unwind_GetCFA"),
    "GCC_4.2.0": ("_Unwind_GetIPInfo",),
}


def libgcc_s(target: Target, root: Path) -> Path:
    """A library to link with, in whose place each machine has its own."""
    place = root / "target" / "unwind" / target.name
    place.mkdir(parents=True, exist_ok=True)
    source, versions, library = (place / name for name in ("libgcc_s.c", "libgcc_s.map", "libgcc_s.so.1"))
    source.write_text("".join(f"void {name}(void) {{}}\n" for names in FUNCTIONS.values() for name in names))
    versions.write_text("".join(f"{version} {{ {'; '.join(names)}; }};\n" for version, names in FUNCTIONS.items()))
    zig = [sys.executable, "-m", "ziglang", "cc", "-target", f"{target.machine}-linux-gnu"]
    linked = ["-shared", "-nostdlib", "-Wl,-soname,libgcc_s.so.1", f"-Wl,--version-script={versions}"]
    subprocess.run([*zig, *linked, "-o", library, source], check=True)
    return library
