"""The notebooks of the repository, opened and run in JupyterLab, by its own menu."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from scripts.lab.jupyter import Lab

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs_without_an_error(lab: Lab, path: Path) -> None:
    shutil.copy(path, lab.place)
    with lab.opened(path.name) as notebook:
        notebook.run_all()
        notebook.finished()
        assert notebook.errors() == []
        count = notebook.cells.count()
        assert notebook.prompts() == [f"[{number}]:" for number in range(1, count + 1)]


def test_there_are_notebooks() -> None:
    assert len(NOTEBOOKS) == 7
