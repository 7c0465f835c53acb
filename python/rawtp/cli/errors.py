"""The exit codes of the command line, and the exception that carries one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import rawtp
from rawtp.cli import invocation
from rawtp.cli.stderr import message, reason, safe, write_error

if TYPE_CHECKING:
    from collections.abc import Sequence

OK, CANNOT_RUN, WRONG_USAGE, LOST, NOTHING_FOUND, CONDITION_HOLDS = 0, 1, 2, 3, 4, 5
NOT_EXECUTABLE, NOT_FOUND = 126, 127  # as shells and env(1) have them
_VERIFIER_LINES = 12  # the verifier gives its reason last, after a log of up to megabytes


class CommandError(Exception):
    """Ends the command line with a message and an exit code. ``details`` are lines to show below the message."""

    def __init__(self, text: str, *, details: Sequence[str] = (), code: int = CANNOT_RUN) -> None:
        super().__init__(text)
        self.message = text
        self.details = tuple(details)
        self.code = code


def report(error: CommandError) -> int:
    """Write the error to standard error, and return its exit code."""
    message(error.message)
    for line in error.details:
        write_error(safe(line))
    return error.code


def refusal(error: Exception, arguments: Sequence[str]) -> CommandError:
    """Translate the error of a tracer that could not be made: why, and what to do about it."""
    # The library can only advise to run the interpreter as root; here the whole command is known.
    why = reason(error)
    hint = getattr(error, "hint", None)
    # A broker's refusal has no hint: it would refuse root as well.
    if isinstance(error, PermissionError) and hint and os.geteuid():
        return CommandError(f"{why}. Run it with: {invocation.command(*arguments, as_root=True)}")
    if hint:  # where root is not permitted either, sudo is no help
        return CommandError(f"{why}. To see what this host allows, run: {invocation.command('check')}")
    log = error.verifier_log.splitlines() if isinstance(error, rawtp.LoadError) else []
    return CommandError(why, details=log[-_VERIFIER_LINES:])
