"""Whether a file's content went in the call: not while anything else holds the file."""

# ruff: noqa: PTH104, PTH106, PTH108 - the tests are about these very calls
from __future__ import annotations

import mmap
import os
from typing import TYPE_CHECKING

import pytest

import rawtp
from helpers.files import EVERYTHING
from helpers.support import of_own_family, until_sentinel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.kernel


@pytest.fixture
def asking() -> Iterator[rawtp.Tracer]:
    with of_own_family(EVERYTHING, fields=[*rawtp.ALL_FIELDS, "freed"]) as tracer:
        if reason := tracer.coverage["truth"]["reason"]:
            pytest.skip(f"no whole hook on evict: {reason}")
        yield tracer


def freed(tracer: rawtp.Tracer, action: Callable[[], object]) -> list[bool | None]:
    until_sentinel(tracer)
    action()
    return [event["freed"] for event in until_sentinel(tracer)]


def test_the_last_link_alone(asking: rawtp.Tracer, tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / name).write_bytes(b"content")
    os.link(tmp_path / "a", tmp_path / "other")
    (tmp_path / "directory").mkdir()

    def remove() -> None:
        os.unlink(tmp_path / "a")
        os.unlink(tmp_path / "other")
        # A rename frees what it replaces.
        os.rename(tmp_path / "b", tmp_path / "c")
        os.rename(tmp_path / "c", tmp_path / "d")
        os.rmdir(tmp_path / "directory")

    assert freed(asking, remove) == [False, True, True, False, True]


@pytest.mark.parametrize("how", ["open", "path", "mapped"])
def test_not_what_is_held(asking: rawtp.Tracer, tmp_path: Path, how: str) -> None:
    (tmp_path / "file").write_bytes(b"content")
    fd = os.open(tmp_path / "file", os.O_PATH if how == "path" else os.O_RDONLY)
    mapped = mmap.mmap(fd, 7, prot=mmap.PROT_READ) if how == "mapped" else None
    if mapped:
        os.close(fd)
    assert freed(asking, lambda: os.unlink(tmp_path / "file")) == [False]
    if mapped:
        mapped.close()
    else:
        os.close(fd)


def test_nothing_of_what_fails_and_none_of_a_truncation(asking: rawtp.Tracer, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")

    def attempts() -> None:
        (tmp_path / "missing").unlink(missing_ok=True)
        os.truncate(tmp_path / "file", 0)

    assert freed(asking, attempts) == [False, None]


def test_a_call_knows_nothing_of_the_one_before(asking: rawtp.Tracer, tmp_path: Path) -> None:
    for at in range(10):
        (tmp_path / str(at)).write_bytes(b"x")
    held = {at: os.open(tmp_path / str(at), os.O_RDONLY) for at in range(0, 10, 2)}

    def remove() -> None:
        for at in range(10):
            os.unlink(tmp_path / str(at))

    assert freed(asking, remove) == [False, True] * 5
    for fd in held.values():
        os.close(fd)


def test_only_when_asked_for(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    with of_own_family() as tracer:
        os.unlink(tmp_path / "file")
        [event] = tracer.get_many(timeout=10)
    assert "freed" not in event
    assert event["real_path_by"] == "kernel"
