"""``rawtp cost``."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import rawtp
from rawtp.cli import _calls, _cannot_run, _refused
from rawtp.cli import names as keys
from rawtp.cli.options import cost_parser, filters
from rawtp.cli.stderr import reason, show, with_warnings

if TYPE_CHECKING:
    from collections.abc import Sequence


def run(arguments: Sequence[str]) -> int:
    """Measure and show it; the exit code: 0, 1 when it cannot be measured, 2 for wrong usage."""
    parser = cost_parser()
    chosen = parser.parse_args(arguments)
    wanted: Any = filters(parser, chosen)
    if sys.stdout is None:
        return _cannot_run("standard output is closed")
    if keys.wants_help(chosen.fields):
        return show(keys.help_text())
    try:
        cost = with_warnings(
            lambda: rawtp.cost(
                chosen.seconds,
                syscalls=_calls(chosen.syscalls or ["delete"]),
                results=not chosen.no_results,
                fields=keys.chosen(chosen.fields or ["all"]),
                hook=chosen.hook,
                **wanted,
            )
        )
    except (rawtp.RawtpError, OSError) as error:
        return _refused(error, arguments)
    except ValueError as error:
        parser.error(reason(error))
    except KeyboardInterrupt:
        return _cannot_run("interrupted: there are no figures yet")
    return show((json.dumps(cost.as_dict()) if chosen.json else str(cost)) + "\n")
