"""``python -m rawtp check``."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import rawtp
from rawtp.cli import _cannot_run
from rawtp.options import check_parser

if TYPE_CHECKING:
    from collections.abc import Sequence


def run(arguments: Sequence[str]) -> int:
    """Show what this host allows; the exit code: 0, 1 when something is blocked, 2 for wrong usage."""
    chosen = check_parser().parse_args(arguments)
    if sys.stdout is None:
        return _cannot_run("standard output is closed")
    check = rawtp.check()
    sys.stdout.write((json.dumps(check.as_dict()) if chosen.json else str(check)) + "\n")
    return 0 if check.ok else 1
