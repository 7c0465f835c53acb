"""The words that call this command line again: examples of ``--help`` and advice in errors run as they stand."""

from __future__ import annotations

import os
import re
import shlex
import sys

SUBCOMMANDS = ("broker", "check", "completions", "cost", "counts", "history", "record", "run", "ship", "top", "who")
"""The words that the first argument may be. ``help`` and ``version`` are options by another name, and ``watch`` is
what is done without a word."""


def words() -> list[str]:
    """The program: the script ``rawtp`` by its path, since sudo has a PATH of its own; else the interpreter."""
    script = sys.argv[0] if sys.argv else ""
    if os.path.basename(script) == "rawtp" and os.path.isfile(script):  # noqa: PTH113, PTH119 - start-up time
        return [script if "/" in script else f"./{script}"]
    return [sys.executable, "-m", "rawtp"]


def command(*arguments: str, as_root: bool = False) -> str:
    """A line for a shell. ``as_root``: with sudo, for who is not root already without it."""
    is_root = os.geteuid() == 0 and "SUDO_UID" not in os.environ
    return shlex.join([*(["sudo"] if as_root and not is_root else []), *words(), *arguments])


def examples(text: str) -> str:
    """The text with this command line in place of ``sudo rawtp`` and ``rawtp``, where a line of two blanks has them."""

    def called(found: re.Match[str]) -> str:
        return f"  {command(as_root=found[1] is not None)}"

    return re.sub(r"^  (sudo )?rawtp(?= |$)", called, text, flags=re.MULTILINE)
