"""Checks that the Rust sources import downwards only: ``python -m scripts.layers``, a part of ``make lint``."""

from __future__ import annotations

import re
import sys
from pathlib import Path

SRC = Path(__file__).parents[1] / "src"

LAYERS = (
    ("memory",),
    ("error", "skel"),
    ("sys",),
    ("btf", "syscall", "record"),
    ("fields", "cgroup"),
    ("path", "ring"),
    ("config", "event"),
    ("load", "read"),
    ("columns",),
    ("session", "cost"),
    ("py",),
    ("lib",),
)
"""The folders and files of ``src/``, the lowest first. A module may use what stands in rows below its own."""

RANKS = {name: rank for rank, names in enumerate(LAYERS) for name in names}


def module_of(path: Path) -> str:
    """The first name below ``crate::`` of a source file."""
    return path.relative_to(SRC).parts[0].removesuffix(".rs")


def without_tests(text: str) -> str:
    """The source up to its ``mod tests``, which may use test helpers of any module."""
    return re.split(r"#\[cfg\(test\)\]\s*mod tests", text)[0]


def violations(path: Path, text: str) -> list[str]:
    """The lines of one file that use a module of its own or a higher row, or pyo3 outside of ``py``."""
    module = module_of(path)
    if module not in RANKS:
        return [f"{path}: {module} has no row in LAYERS"]
    found = []
    for number, line in enumerate(without_tests(text).splitlines(), 1):
        code = line.split("//")[0]
        for used in re.findall(r"\bcrate::(\w+)", code):
            if used != module and RANKS.get(used, len(LAYERS)) >= RANKS[module]:
                found.append(f"{path}:{number}: {module} must not use {used}")
        if re.search(r"\bpyo3::|\buse pyo3\b", code) and module != "py":
            found.append(f"{path}:{number}: pyo3 belongs under src/py/")
    return found


def main() -> int:
    """Prints each violation. The exit code is 1 when there is one."""
    found = [line for path in sorted(SRC.rglob("*.rs")) for line in violations(path, path.read_text())]
    print(*found, sep="\n", end="\n" if found else "")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
