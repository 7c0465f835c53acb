"""``make lock``: writes scripts/lock.txt, the versions that the Makefile installs.

A version that needs a newer Python than the oldest that rawtp supports has a marker: older Pythons get the newest that
there is for them. pip itself is not locked.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "scripts" / "lock.txt"
GROUPS = ("audit", "bench", "docs", "engines", "lab", "test", "wheel")
_LEFT_OUT = {"pip", "rawtp", "setuptools"}
_HEAD = "# Written by `make lock`; the groups that it is for are in pyproject.toml.\n"


def lines(directories: list[str], oldest: str) -> list[str]:
    """A constraint for each distribution in these directories."""
    found = {}
    for distribution in metadata.distributions(path=directories):
        name = re.sub(r"[-_.]+", "-", distribution.metadata["Name"]).lower()
        if name not in _LEFT_OUT:
            found[name] = f"{name}=={distribution.version}{_marker(distribution.metadata['Requires-Python'], oldest)}"
    return [found[name] for name in sorted(found)]


def _marker(requires: str | None, oldest: str) -> str:
    needed = re.search(r">=?\s*3\.(\d+)", requires or "")
    if needed is None or int(needed[1]) <= int(oldest.partition(".")[2]):
        return ""
    return f' ; python_version >= "3.{needed[1]}"'


def oldest_python() -> str:
    found = re.search(r'^requires-python = ">=(3\.\d+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    if found is None:
        raise LookupError("pyproject.toml has no requires-python")
    return found[1]


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        groups = [f"--group={group}" for group in GROUPS]
        install = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        subprocess.run([*install, "--target", directory, *groups], cwd=ROOT, check=True)
        text = _HEAD + "".join(f"{line}\n" for line in lines([directory], oldest_python()))
    LOCK.write_text(text)


if __name__ == "__main__":
    main()
