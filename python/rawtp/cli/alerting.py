"""The rules that ``--alert`` names."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from rawtp.cli.errors import CommandError
from rawtp.cli.stderr import message, reason

if TYPE_CHECKING:
    import argparse

    from rawtp._alert.alerts import Alerts


def load(parser: argparse.ArgumentParser, path: str) -> Alerts:
    """Make the alerts of a file; exit with 2 where a rule is wrong."""
    from rawtp._alert.alerts import Alerts
    from rawtp._alert.rules import load
    from rawtp._alert.toml_file import RuleError
    from rawtp._privilege.ownership import replaceable

    try:
        found = load(path, os.environ)
    except RuleError as error:
        parser.error(f"argument --alert: {path}: {reason(error)}")
    except OSError as error:
        raise CommandError(f"cannot read the rules: {reason(error)}") from None
    if os.geteuid() == 0:
        for program in dict.fromkeys((path, *found.programs)):
            if why := replaceable(program):
                message(f"others than root can decide what alerts run as root: {why}")
    return Alerts(found)
