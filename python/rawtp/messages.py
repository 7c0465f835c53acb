"""What is said to people, on standard error: it may be closed, full or gone, and nothing ends because of that."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # as checkers know it, without the import of typing
if TYPE_CHECKING:
    from typing import TextIO


def say(message: str) -> None:
    """A line that names us."""
    write_error(f"rawtp: {message}")


def write_error(line: str) -> None:
    """A line as it is."""
    if sys.stderr is not None:
        try:
            sys.stderr.write(line + "\n")
        except OSError:
            settle(sys.stderr)


def settle(stream: TextIO | None) -> None:
    """Flush; if nobody takes it, point the stream at nothing, or the interpreter would complain about it at exit."""
    if stream is None:
        return
    try:
        stream.flush()
    except OSError:
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, stream.fileno())
        os.close(nothing)
