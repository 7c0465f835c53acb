"""``rawtp check``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import rawtp
from rawtp.cli.options import check_parser
from rawtp.cli.stderr import show

if TYPE_CHECKING:
    from collections.abc import Sequence


def run(arguments: Sequence[str]) -> int:
    """Show what this host allows; the exit code: 0, 1 when something is blocked, 2 for wrong usage."""
    chosen = check_parser().parse_args(arguments)
    check = rawtp.check()
    return show((json.dumps(check.as_dict()) if chosen.json else str(check)) + "\n") or int(not check.ok)
