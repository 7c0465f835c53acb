"""Fixtures of the kernel tests."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import rawtp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PROGRAMS = Path(__file__).parent.parent / "programs"


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Builds a program of ``tests/programs`` and gives its path."""
    directory = tmp_path_factory.mktemp("programs")

    def build(name: str) -> Path:
        path: Path = directory / name
        if not path.exists():
            subprocess.run(["gcc", "-O2", "-Wall", "-o", path, PROGRAMS / f"{name}.c"], check=True)
        return path

    return build


@pytest.fixture
def tracer() -> Iterator[rawtp.Tracer]:
    """A tracer of the whole host."""
    with rawtp.Tracer() as tracer:
        yield tracer


@pytest.fixture
def own(tmp_path: Path) -> Iterator[rawtp.Tracer]:
    """A tracer of this process. Made after ``tmp_path``, which deletes a link of its own."""
    assert tmp_path.is_dir()
    with rawtp.Tracer(pid=os.getpid()) as tracer:
        yield tracer
