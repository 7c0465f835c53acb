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

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))


def shown(notebook: nbformat.NotebookNode) -> list[str]:
    """What each code cell prints, but for what no two runs have in common."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    texts = ["".join(output.get("text", f"<{output.output_type}>") for output in cell.outputs) for cell in cells]
    texts = [re.sub(r"/tmp/rawtp-\w+", "/tmp/rawtp-PLACE", text) for text in texts]
    places = r"(?m)^(\w+_ns|\w+_id|cpu|seq|pid|tid|ppid|ns_pid|auid|unit|abi) +.*$"
    texts = [re.sub(places, r"\1 ANY", text) for text in texts]
    return [re.sub(r"\bpid: \d+", "pid: ANY", text) for text in texts]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook(path: Path) -> None:
    committed = nbformat.reads(path.read_text(), as_version=4)  # type: ignore[no-untyped-call]
    executed = nbformat.reads(path.read_text(), as_version=4)  # type: ignore[no-untyped-call]
    for cell in executed.cells:
        if cell.cell_type == "code":
            cell.outputs = []
    NotebookClient(executed, timeout=60, kernel_name="python3").execute()
    assert any(shown(committed))
    assert shown(executed) == shown(committed)
