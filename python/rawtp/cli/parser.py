"""A parser of arguments whose help and errors can be written to any output."""

from __future__ import annotations

import argparse
import os
import sys
from functools import partial
from typing import TYPE_CHECKING

from rawtp.cli import stderr
from rawtp.cli.errors import WRONG_USAGE
from rawtp.cli.invocation import SUBCOMMANDS, examples

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import NoReturn

    from _typeshed import SupportsWrite

    from rawtp.cli.config import Setting


class Parser(argparse.ArgumentParser):
    """Exits with 2 and names what is wrong; with 1 when the help that was asked for cannot be written."""

    def __init__(self, *, description: str, epilog: str, usage: str | None = None, command: str | None = None) -> None:
        super().__init__(
            prog="rawtp",
            usage=usage,
            description=description,
            epilog=examples(epilog),
            formatter_class=partial(argparse.RawDescriptionHelpFormatter, width=_width()),
            allow_abbrev=False,
        )
        self._command = command
        self._words: list[str] = []
        self.written_epilog = epilog
        """The epilog as it was written, with ``rawtp`` for this command line."""
        self.add_argument(
            "--config",
            metavar="FILE",
            help="read defaults of options from this file, not from /etc/rawtp.toml and ~/.config/rawtp.toml",
        )

    def print_help(self, file: SupportsWrite[str] | None = None) -> None:
        """Write it, all of it."""
        if file is not None:
            super().print_help(file)
        elif code := stderr.show(self.format_help()):
            sys.exit(code)

    def error(self, message: str) -> NoReturn:
        """Write the message below the usage. It may have an argument in it, with any characters."""
        message += self._hint(message)
        for line in (*self.format_usage().splitlines(), f"rawtp: error: {stderr.safe(message)}"):
            stderr.write_error(line)
        sys.exit(WRONG_USAGE)

    def _hint(self, message: str) -> str:
        """What to do about words that argparse takes for others than they were meant to be."""
        if self._command and message.startswith("unrecognized arguments: ") and message.split()[2][:1] != "-":
            return f"; a command comes behind --, as in {self._command}"
        if message.endswith(": expected one argument"):
            names = message.split()[1].rstrip(":").split("/")
            for at, word in enumerate(self._words[:-1]):
                if word in names and self._words[at + 1].startswith("-"):
                    return f"; a value that begins with a dash is joined by =, as in {names[-1]}={self._words[at + 1]}"
        return ""

    @property
    def subcommand(self) -> str:
        """The word that comes first, which is the name of a table of a config file; empty where there is none."""
        for action in self._actions:
            if action.dest == "command" and not action.option_strings and action.choices:
                return str(next(iter(action.choices)))
        return ""

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parse, with the options of config files before those that are given, which so come last and win."""
        words = self._words = list(sys.argv[1:] if args is None else args)
        return super().parse_known_args([*self._configured(words), *words], namespace)

    def _configured(self, words: list[str]) -> list[str]:
        """The options of config files, as words."""
        from rawtp.cli import config

        # What only asks for help needs no file, and is to work where one is wrong.
        options = words[: words.index("--")] if "--" in words else words
        if {"-h", "--help", "-V", "--version"} & {*options}:
            return []
        try:
            found = config.settings(self._config_file(options))
        except config.ConfigError as error:
            self.error(str(error))
        result = []
        for setting in found:
            if setting.table == self.subcommand:
                result += self._option(setting)
            elif setting.table and setting.table not in SUBCOMMANDS:
                near = did_you_mean(setting.table, SUBCOMMANDS)
                hint = f" (did you mean {near}?)" if near else ""
                self.error(f"{setting.place}: there is no subcommand {setting.table!r}{hint}")
        return result

    def _config_file(self, words: list[str]) -> str | None:
        given = None
        for at, word in enumerate(words):
            if word.startswith("--config="):
                given = word.partition("=")[2]
            elif word == "--config" and at + 1 < len(words):
                given = words[at + 1]
        return given

    def _option(self, setting: Setting) -> list[str]:
        """The words for a setting, whose values are checked here, where its line is known."""
        name = f"--{setting.key}"
        action = self._option_string_actions.get(name)
        if action is None or setting.key in {"config", "help", "version"}:
            near = did_you_mean(name, self.long_options())
            hint = f" (did you mean {near[2:]}?)" if near else ""
            self.error(f"{setting.place}: there is no option {setting.key!r}{hint}")
        if action.nargs == 0:
            if setting.values not in ([True], [False]):
                self.error(f"{setting.place}: {setting.key} is true or false")
            return [name] if setting.values == [True] else []
        is_list = isinstance(action, argparse._AppendAction)  # and _ExtendAction, which is one
        if len(setting.values) != 1 and not is_list:
            self.error(f"{setting.place}: {setting.key} takes one value")
        words = []
        for value in setting.values:
            if isinstance(value, bool):
                self.error(f"{setting.place}: {setting.key} takes a value, not true or false")
            try:
                self._check_value(action, self._get_value(action, value))
            except argparse.ArgumentError as error:
                self.error(f"{setting.place}: {error}")
            words.append(f"{name}={value}")
        return words

    def hide(self, *names: str) -> None:
        """Leave options out of the help. They are still taken, so that what refuses them can say why."""
        for action in self._actions:
            if action.dest in names:
                action.help = argparse.SUPPRESS

    def long_options(self) -> list[str]:
        """List the options that begin with two dashes."""
        return [name for name in self._option_string_actions if name.startswith("--")]


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """The one of the words that this is most like, if it is like any."""
    from difflib import get_close_matches  # only where something is wrong

    return next(iter(get_close_matches(word, list(known), n=1, cutoff=0.7)), None)


def _width() -> int:
    """The terminal's width. argparse would ask shutil for it, which imports zlib, bz2 and lzma."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns):
        return int(columns) - 2
    try:
        return (os.get_terminal_size(1).columns or 80) - 2
    except OSError:  # no terminal
        return 78
