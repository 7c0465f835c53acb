"""A directory to delete in, and one to record into."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory whose paths have no links in them."""
    real = Path(os.path.realpath(tmp_path)) / "place"
    real.mkdir()
    return real


@pytest.fixture
def history(tmp_path: Path) -> Path:
    return Path(os.path.realpath(tmp_path)) / "history"
