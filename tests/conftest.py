"""What all rings of tests share."""

from __future__ import annotations

import functools
import os
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import rawtp
from helpers.support import of_own_family
from helpers.turns import turn
from helpers.unprivileged import copy_of_package, for_everybody

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator


@functools.cache
def kernel_refusal() -> str | None:
    """Why BPF cannot be used here; ``None`` when it can."""
    try:
        rawtp.Tracer().close()
    except (PermissionError, rawtp.UnsupportedKernelError) as error:
        return str(error)
    return None


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Without a kernel to test on, a kernel test is skipped with the reason; where it is required (CI), it fails."""
    if item.get_closest_marker("kernel") is None or (reason := kernel_refusal()) is None:
        return
    if os.environ.get("RAWTP_REQUIRE_KERNEL"):
        pytest.fail(f"kernel tests are required here: {reason}", pytrace=False)
    pytest.skip(reason)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Among several workers, a test of a quiet host has no other beside it. Its timeout starts with its turn."""
    if not hasattr(item.config, "workerinput"):
        return (yield)
    directory = item.config._tmp_path_factory.getbasetemp().parent  # type: ignore[attr-defined]
    with turn(directory, alone=item.get_closest_marker("quiet_host") is not None):
        return (yield)


PROGRAMS = Path(__file__).parent / "programs"


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Builds a program of ``tests/programs`` and gives its path.

    A machine without a compiler names in ``RAWTP_PROGRAMS`` where they are.
    """
    if built := os.environ.get("RAWTP_PROGRAMS"):
        return Path(built).joinpath
    directory = tmp_path_factory.mktemp("programs")

    def build(name: str) -> Path:
        path: Path = directory / name
        if not path.exists():
            subprocess.run(["gcc", "-O2", "-Wall", "-o", path, PROGRAMS / f"{name}.c"], check=True)
        return path

    return build


@pytest.fixture
def tracer() -> Iterator[rawtp.Tracer]:
    """A tracer of this process and of those that the test starts."""
    with of_own_family() as tracer:
        yield tracer


@pytest.fixture
def own(tmp_path: Path) -> Iterator[rawtp.Tracer]:
    """A tracer of this process. Made after ``tmp_path``, which deletes a link of its own."""
    assert tmp_path.is_dir()
    with rawtp.Tracer(pid=os.getpid()) as tracer:
        yield tracer


@pytest.fixture(scope="module")
def package() -> Iterator[Path]:
    """A copy of rawtp that every user may read."""
    with copy_of_package() as made:
        yield made


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that every user may go to and write in."""
    with for_everybody() as made:
        made.chmod(0o777)
        yield made


@pytest.fixture
def deep_place() -> Iterator[Path]:
    """A directory for trees of more than 1,000 levels.

    Not pytest's: what a killed session leaves there is removed by a later one, by ``shutil.rmtree``, which before
    Python 3.13 is recursive and fails, and that session with it.
    """
    made = Path(tempfile.mkdtemp(prefix="rawtp-test-"))
    try:
        yield made
    finally:
        subprocess.run(["rm", "-rf", made], check=True)
