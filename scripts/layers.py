"""Checks the imports of the Rust sources: ``python -m scripts.layers``, a part of ``make lint``."""

from __future__ import annotations

import re
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

SRC = Path(__file__).parents[1] / "src"

LAYERS = (
    ("memory", "nearest"),
    ("error", "skel"),
    ("sys",),
    ("btf", "syscall", "record"),
    ("fields", "mounts"),
    ("cgroup", "lineage"),
    ("path", "ring"),
    ("config", "event"),
    ("load", "read"),
    ("columns",),
    ("text",),
    ("session", "cost", "counts"),
    ("raw_tracepoint",),
    ("history",),
    ("py",),
    ("lib",),
)
"""The folders and files of ``src/``, the lowest first. A module uses its own folder and the rows above its own here."""

RANKS = {name: rank for rank, names in enumerate(LAYERS) for name in names}


def code_of(text: str) -> list[str]:
    """The lines of a source without comments, up to its ``mod tests``: tests use helpers of any module."""
    return [line.split("//")[0] for line in re.split(r"#\[cfg\(test\)\]\s*mod tests", text)[0].splitlines()]


def used_by(lines: list[str]) -> list[tuple[int, str]]:
    """The line number and the path behind ``crate::`` of each use, braces taken apart."""
    text = "\n".join(lines)
    uses = []
    for found in re.finditer(r"\bcrate::((?:\w+::)*)(?:\{([^}]*)\}|(\w+))", text):
        number = text.count("\n", 0, found.start()) + 1
        names = re.findall(r"[\w:]+", found[2]) if found[2] else [found[3]]
        uses += [(number, found[1] + name) for name in names]
    return uses


def violations(name: str, text: str) -> list[str]:
    """The uses in one file, named from ``src/``, of a row that is not below its own, of pyo3 outside of ``py``, and of
    the package's modules by name."""
    module = name.split("/")[0].removesuffix(".rs")
    if module not in RANKS:
        return [f"src/{name}: {module} has no row in scripts/layers.py"]
    lines = code_of(text)
    found = []
    for number, path in used_by(lines):
        used = path.split("::")[0]
        if used != module and RANKS.get(used, len(LAYERS)) >= RANKS[module]:
            found.append(f"src/{name}:{number}: {module} must not use {used}")
    for number, line in enumerate(lines, 1):
        if re.search(r"\bpyo3::", line) and module != "py":
            found.append(f"src/{name}:{number}: pyo3 belongs under src/py/")
        if re.search(r'"rawtp\.(?!_core\b)', line):
            found.append(f"src/{name}:{number}: python/rawtp/_late.py hands in what the extension calls")
    return found


def circle(sources: dict[str, str]) -> list[str]:
    """A circle among the files, by their names, where there is one."""
    modules = {name.removesuffix(".rs").removesuffix("/mod").replace("/", "::"): name for name in sources}
    graph: dict[str, set[str]] = {}
    for module, name in modules.items():
        uses = graph.setdefault(module, set())
        for _, path in used_by(code_of(sources[name])):
            parts = path.split("::")
            known = ["::".join(parts[:end]) for end in range(len(parts), 0, -1)]
            uses |= {next((used for used in known if used in modules), module)} - {module}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return [f"a circle: {' -> '.join(error.args[1])}"]
    return []


def main() -> int:
    """Prints each violation. The exit code is 1 when there is one."""
    sources = {str(path.relative_to(SRC)): path.read_text() for path in sorted(SRC.rglob("*.rs"))}
    found = [line for name, text in sources.items() for line in violations(name, text)] + circle(sources)
    for line in found:
        print(line)
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
