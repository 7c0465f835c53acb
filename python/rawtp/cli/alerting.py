"""The rules that ``--alert`` names."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from rawtp.cli.errors import CommandError
from rawtp.cli.stderr import message, reason

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping
    from typing import Any

    from rawtp._alert.rules import RuleSet
    from rawtp.event import Hook


def load(parser: argparse.ArgumentParser, path: str, root: str = "/") -> RuleSet:
    """Read the rules of a file, to be obeyed for a host whose root is mounted at ``root``; exit with 2 where one is
    wrong."""
    from rawtp._privilege.ownership import replaceable

    found = read(parser, path, root)
    if os.geteuid() == 0:
        for program in dict.fromkeys((path, *found.programs)):
            if why := replaceable(program):
                message(f"others than root can decide what alerts run as root: {why}")
    return found


def tell_reach(rules: RuleSet, asked: Mapping[str, Any], coverage: Mapping[str, Hook]) -> None:
    """Say which rules match nothing of what a tracer is asked for, or less than they say."""
    from rawtp._alert.reach import out_of_reach

    shows_sizes = coverage["truth"]["hook"] is not None
    chosen = {"syscalls": asked["syscalls"], "paths": asked.get("path") or (), "outcome": asked.get("outcome")}
    for line in out_of_reach(rules.rules, **chosen, shows_sizes=shows_sizes):
        message(line)


def read(parser: argparse.ArgumentParser, path: str, root: str = "/") -> RuleSet:
    """Read the rules of a file; exit with 2 where one is wrong."""
    from rawtp._alert.rules import load
    from rawtp._alert.toml_file import RuleError

    try:
        return load(path, os.environ, root)
    except RuleError as error:
        parser.error(f"argument --alert: {path}: {error}")
    except OSError as error:
        error.filename = path  # a directory's error, when it is read, has none
        raise CommandError(f"cannot read the rules: {reason(error)}") from None
