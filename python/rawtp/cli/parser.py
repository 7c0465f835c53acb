"""A parser of arguments whose help and errors can be written to any output."""

from __future__ import annotations

import argparse
import os
import sys
from functools import partial
from typing import TYPE_CHECKING

from rawtp.cli import stderr
from rawtp.cli.errors import WRONG_USAGE
from rawtp.cli.invocation import examples

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import NoReturn

    from _typeshed import SupportsWrite


class Parser(argparse.ArgumentParser):
    """Exits with 2 and names what is wrong; with 1 when the help that was asked for cannot be written."""

    def __init__(self, *, description: str, epilog: str, usage: str | None = None) -> None:
        super().__init__(
            prog="rawtp",
            usage=usage,
            description=description,
            epilog=examples(epilog),
            formatter_class=partial(argparse.RawDescriptionHelpFormatter, width=_width()),
            allow_abbrev=False,
        )

    def print_help(self, file: SupportsWrite[str] | None = None) -> None:
        """Write it, all of it."""
        if file is not None:
            super().print_help(file)
        elif code := stderr.show(self.format_help()):
            sys.exit(code)

    def error(self, message: str) -> NoReturn:
        """Write the message below the usage. It may have an argument in it, with any characters."""
        for line in (*self.format_usage().splitlines(), f"rawtp: error: {stderr.safe(message)}"):
            stderr.write_error(line)
        sys.exit(WRONG_USAGE)

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
