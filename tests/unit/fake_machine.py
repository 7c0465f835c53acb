"""A machine as scripts/setup.sh sees one: a folder of stand-ins for programs, each of which notes its calls."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "scripts" / "setup.sh"
# What any shell script may count on.
COREUTILS = ("awk", "cat", "cut", "dirname", "env", "mktemp", "paste", "rm", "sed", "sh", "sort", "tr")
TOOLS = ("cargo", "make", "cc", "clang", "clang-format", "pkg-config")
VENDORED = ("autoreconf", "automake", "autopoint", "flex", "bison", "gawk")


class Machine:
    """A machine with all that setup.sh looks for, until a test takes something away."""

    def __init__(self, root: Path) -> None:
        self.path = root / "bin"
        self.path.mkdir()
        self.calls = root / "calls"
        self.calls.touch()
        for name in COREUTILS:
            real = shutil.which(name)
            assert real, name
            (self.path / name).symlink_to(real)
        for name in TOOLS + VENDORED:
            self.add(name)
        self.add("rustc", "echo 'rustc 1.999.0 (0123456789 2030-01-01)'")
        self.add("python3", "case $2 in *version*) echo 3.99 ;; esac")
        self.add("id", "echo 0")

    def add(self, name: str, script: str = "") -> None:
        shim = self.path / name
        shim.write_text(f'#!/bin/sh\necho "{name} $*" >>"{self.calls}"\n{script}\n')
        shim.chmod(0o755)

    def remove(self, *names: str) -> None:
        for name in names:
            (self.path / name).unlink()

    def setup(self, *targets: str, **env: str) -> tuple[int, list[str]]:
        done = subprocess.run(
            [SCRIPT, *(targets or ("build",))],
            env={"PATH": str(self.path), **env},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        assert done.stdout == ""
        return done.returncode, done.stderr.splitlines()

    def called(self, name: str) -> list[str]:
        return [line for line in self.calls.read_text().splitlines() if line.startswith(f"{name} ")]
