"""Receivers are packages of the group ``test``, which a machine of ``make test-vm`` does not have."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from helpers import receivers

collect_ignore_glob = ["test_*.py"] if os.environ.get("RAWTP_PROGRAMS") else []


@pytest.fixture
def otlp(tmp_path: Path) -> Iterator[receivers.Otlp]:
    from helpers import receivers

    server = receivers.Otlp(tmp_path)
    server.start()
    yield server
    server.kill()
