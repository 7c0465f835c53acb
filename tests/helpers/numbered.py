"""Deletions that are numbered by their names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import rawtp


def delete(first: int, last: int) -> None:
    for number in range(first, last):
        Path(f"/nonexistent/{number}").unlink(missing_ok=True)


def numbers(events: list[rawtp.Event]) -> list[int]:
    return [int((event["filename"] or "").removeprefix("/nonexistent/")) for event in events]
