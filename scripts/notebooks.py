"""Runs notebooks and keeps what they show: ``python -m scripts.notebooks [NAME...]``, as root.

What is written is the same for the same content: no times, no machine's metadata. ``jupyter execute --inplace``
writes four timestamps into each code cell and the version of Python into each notebook, and no option leaves them out.
"""

from __future__ import annotations

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
METADATA = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}


def execute(path: Path) -> None:
    """Run it where it lies, and write it with its outputs."""
    notebook = nbformat.reads(path.read_text(), as_version=4)  # type: ignore[no-untyped-call]
    NotebookClient(
        notebook, timeout=120, kernel_name="python3", record_timing=False, resources={"metadata": {"path": path.parent}}
    ).execute()
    notebook.metadata = METADATA
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number:02}"
        cell.metadata = {name: value for name, value in cell.metadata.items() if name == "tags"}
    path.write_text(nbformat.writes(notebook, indent=1) + "\n")  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    for name in sys.argv[1:] or sorted(path.name for path in NOTEBOOKS.glob("*.ipynb")):
        print(name, flush=True)
        execute(NOTEBOOKS / name)
