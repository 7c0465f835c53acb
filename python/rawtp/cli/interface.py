"""Subcommands and options as data, read off the parsers: whatever a parser gets is completed and in the manual."""

from __future__ import annotations

import argparse
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

from rawtp.cli.invocation import SUBCOMMANDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rawtp.cli.parser import Parser


class Option(NamedTuple):
    """An option, or an argument where ``names`` is empty."""

    names: tuple[str, ...]
    """``-o`` and ``--output``."""
    metavar: str | None
    """What its value is called; ``None`` where it takes none."""
    choices: tuple[str, ...]
    """The values that it can have, where these are few."""
    is_list: bool
    """Whether it may come more than once."""
    help: str
    """One line."""
    group: str
    """The title of its group."""


class Command(NamedTuple):
    """A subcommand, or the default view, whose name is empty."""

    name: str
    usage: str
    description: str
    epilog: str
    options: tuple[Option, ...]
    runs_command: bool
    """Whether a command comes behind ``--``."""


def commands() -> list[Command]:
    """The default view, and then all subcommands."""
    return [_command(name, parser) for name, parser in parsers()]


def parsers() -> Iterator[tuple[str, Parser]]:
    """The parser of the default view, and then those of the subcommands, by name."""
    for name in ("", *SUBCOMMANDS):
        yield name, import_module(f"rawtp.cli.{name or 'watch'}").add_parser()


def _command(name: str, parser: Parser) -> Command:
    usage = " ".join((parser.usage or "").replace("%(prog)s", "rawtp").split())
    options = tuple(
        _option(parser, action, group.title or "")
        for group in parser._action_groups
        for action in group._group_actions
        if action.help != argparse.SUPPRESS
    )
    return Command(name, usage, parser.description or "", parser.written_epilog, options, "-- COMMAND" in usage)


def _option(parser: Parser, action: argparse.Action, group: str) -> Option:
    choices = tuple(map(str, action.choices or ()))
    metavar = action.metavar if isinstance(action.metavar, str) else None
    if metavar is None and action.nargs != 0:
        metavar = action.dest.upper()
    text = " ".join(parser._get_formatter()._expand_help(action).split()) if action.help else ""
    return Option(
        names=tuple(action.option_strings),
        metavar=metavar if action.nargs != 0 else None,
        choices=choices,
        is_list=isinstance(action, argparse._AppendAction),
        help=text,
        group=group,
    )
