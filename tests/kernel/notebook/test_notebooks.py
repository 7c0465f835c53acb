"""The committed notebooks run, and show what they are committed with."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

ROOT = Path(__file__).parents[3]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def text_of(cell: nbformat.NotebookNode, *, kinds_only: bool = False) -> str:
    """What it printed, and what it showed, as text. A stream can come in pieces, as many as the kernel likes."""
    parts: list[str] = []
    stream = None
    for output in cell.outputs:
        if output.output_type == "stream":
            kind, text = f"<{output.name}>\n", output.text
        else:
            kind, text = f"<{output.output_type} {' '.join(sorted(output.data))}>\n", output.data["text/plain"]
        if output.output_type != "stream" or kind != stream:
            parts.append(kind)
        stream = kind if output.output_type == "stream" else None
        if text and not kinds_only:
            parts.append(text)
    return "".join(parts)


def shown(notebook: nbformat.NotebookNode) -> list[str]:
    """What each code cell shows, but for what no two runs, or machines, have in common."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    texts = [text_of(cell, kinds_only="varies" in cell.metadata.get("tags", ())) for cell in cells]
    texts = [re.sub(r"/tmp/rawtp-\w+", "/tmp/rawtp-PLACE", text) for text in texts]
    places = r"(?m)^(\w+_ns|\w+_id|cpu|seq|pid|tid|ppid|ns_pid|auid|unit|abi) +.*$"
    # What only a hook on the kernel's functions tells.
    file = r"(?m)^(dev|ino|generation|nlink|size|mode|file_type|owner|real_path_by) +.*$"
    texts = [re.sub(file, r"\1 ANY", text) for text in texts]
    texts = [re.sub(places, r"\1 ANY", text) for text in texts]
    return [re.sub(r"\bpid: \d+", "pid: ANY", text) for text in texts]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
@pytest.mark.slow
def test_notebook(path: Path) -> None:
    committed = nbformat.reads(path.read_text(), as_version=4)  # type: ignore[no-untyped-call]
    executed = nbformat.reads(path.read_text(), as_version=4)  # type: ignore[no-untyped-call]
    for cell in executed.cells:
        if cell.cell_type == "code":
            cell.outputs = []
    NotebookClient(executed, timeout=60, kernel_name="python3").execute()
    assert any(shown(committed))
    assert shown(executed) == shown(committed)
    assert str(ROOT) not in path.read_text()
    for cell in executed.cells:
        if "_load_rejected" in cell.source:
            assert "LoadError: the kernel's verifier rejected a program (" in text_of(cell)
            assert "invalid mem access" in text_of(cell)
