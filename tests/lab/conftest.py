"""These tests need Chromium, and 300 MB of Python packages: ``make test-lab`` has them run."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scripts.lab.jupyter import Lab

collect_ignore_glob = [] if os.environ.get("RAWTP_LAB") else ["test_*.py"]


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """A running JupyterLab, which all tests of a session share."""
    from scripts.lab.jupyter import running

    with tempfile.TemporaryDirectory(prefix="rawtp-lab-") as directory, running(Path(directory)) as made:
        yield made
