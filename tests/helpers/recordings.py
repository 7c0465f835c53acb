"""Helpers of the recorder's tests."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rawtp
from helpers.support import wait_for
from rawtp import _core

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HANG_S = 120.0
"""A bound that tells a hang."""


def key(event: dict[str, Any]) -> tuple[int, str, int, int]:
    """The identity of a recorded event."""
    return event["session"], event["via"], event["cpu"], event["seq"]


@contextmanager
def recording(directory: Path, **options: Any) -> Iterator[_core.Recorder]:
    """A recorder of this process's own calls."""
    options = {"sync_s": 0.05} | options
    with rawtp.Tracer(rawtp.LOSS, pid=os.getpid()) as tracer, _core.Recorder(tracer, directory, **options) as recorder:
        yield recorder


def delete(directory: Path, *names: str | int) -> list[str]:
    """Makes and deletes files. Returns their paths."""
    paths = [str(directory / str(name)) for name in names]
    for path in paths:
        os.close(os.open(path, os.O_CREAT))
        Path(path).unlink()
    return paths


def events(directory: Path, **filters: Any) -> list[dict[str, Any]]:
    """The recorded events."""
    scan = _core.HistoryReader(directory).scan(**filters)
    return [event for batch in scan for event in batch.to_dicts()]


def paths(directory: Path, **filters: Any) -> list[str]:
    """The paths of the recorded events."""
    return [event["path"] for event in events(directory, **filters)]


def remove(directory: Path, until: Callable[[], object]) -> None:
    """Removes it, again while ``until`` does not hold: what a recorder makes meanwhile can be in the way."""

    def is_removed() -> bool:
        shutil.rmtree(directory, ignore_errors=True)
        return bool(until())

    wait_for(is_removed, f"{directory} is removed")


def sealed(directory: Path) -> list[Path]:
    """The sealed files."""
    return sorted((directory / "events").glob("*/*/*.parquet"))
