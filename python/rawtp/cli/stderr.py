"""Messages on standard error, and texts that are asked for on standard output.

Standard error may be closed, full or gone, and nothing ends because of that.
"""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING

from rawtp import _errors

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO, TypeVar

    T = TypeVar("T")

    from rawtp.sinks.writer import Patience, Writer

# As texts, so that a start without an error compiles none of them.
_OPTIONS = (
    (r'\bsyscalls="all"', "--all"),
    (r"\(pid, uid, comm or cgroup\)", "(-p, -u, --comm or --cgroup)"),
    (r"\bor rawtp\.run\(\)", "or a command (rawtp run)"),
    (r'\bhook="([a-z_]+)"', r"--hook \1"),
    (r"\b(ring|queue|segment|max)_bytes\b", r"--\1-bytes"),
    (r"\bsync_s\b", "--sync"),
    (r"\bsegment_s\b", "--segment-age"),
    (r"\bmax_age_s\b", "--max-age"),
)

_writer: Writer | None = None

_LAST_WORDS_S = 3.0
"""The time after a second signal in which standard error may still take the ledger."""


def message(text: str) -> None:
    """Write a line that begins with the program's name, without any character that acts on a terminal."""
    write_error(f"rawtp: {safe(text)}")


def with_warnings(make: Callable[[], T], *, quiet: bool = False) -> T:
    """Call ``make`` and give its result; write Python's warnings as lines, each once. ``quiet`` drops them.

    Not beside other threads, whose warnings would be taken as well.
    """
    import warnings

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        made = make()
    for text in dict.fromkeys(str(warning.message) for warning in caught):
        if not quiet:
            message(text)
    return made


def write_error(line: str) -> None:
    """Write a line as it is: the caller knows that it is safe."""
    global _writer
    if sys.stderr is None:
        return
    try:
        if _writer is None:
            sys.stderr.write(line + "\n")
        else:
            _writer.write(f"{line}\n".encode(sys.stderr.encoding, "rawtp.escape"))
    except OSError:
        _writer = None
        _discard(sys.stderr)


def heed(patience: Patience) -> None:
    """Have a signal end the wait for a reader of standard error, too, from now on."""
    from rawtp.sinks.writer import Writer

    global _writer
    _writer = None
    if sys.stderr is None:
        return
    try:
        sys.stderr.flush()
        # A terminal that is behind shows the output first: the ledger comes after it, and is worth the wait.
        _writer = Writer(sys.stderr.fileno(), "standard error", patience, haste_s=_LAST_WORDS_S)
    except OSError:  # in a test or a notebook, standard error may be no file; or it is full
        pass


def show(text: str) -> int:
    """Write a text that was asked for to standard output; the exit code: 0, or 1 when that takes no text."""
    if sys.stdout is None:
        message("standard output is closed")
        return 1
    try:
        sys.stdout.write("\n".join(map(safe, text.split("\n"))))
        sys.stdout.flush()
    except OSError as error:
        _discard(sys.stdout)
        message(f"standard output: {error.strerror}")
        return 1
    return 0


def safe(text: str) -> str:
    """The text with an escape in place of each character that acts on a terminal, or cannot be seen.

    What is escaped already stays as it is, backslashes too.
    """
    if text.isprintable():
        return text
    from rawtp.formats.escape import escape

    return "".join(char if char.isprintable() else escape(char) for char in text)


def reason(error: BaseException) -> str:
    """The error as one line, with the files that it is about."""
    text = _by_options(" ".join(_errors.reason(error).split()))
    if not isinstance(error, OSError):
        return text
    names = [os.fsdecode(name) for name in (error.filename, error.filename2) if isinstance(name, (str, bytes))]
    return f"{' -> '.join(names)}: {text}" if names else text


def _by_options(text: str) -> str:
    """The library's text with the options of the command line in place of arguments in Python."""
    for written, option in _OPTIONS:
        text = re.sub(written, option, text)
    return text


def flush_or_discard(stream: TextIO | None) -> None:
    """Flush; if nobody takes it, point the stream at nothing, or the interpreter would complain about it at exit."""
    if stream is None:
        return
    try:
        stream.flush()
    except OSError:
        _discard(stream)


def _discard(stream: TextIO) -> None:
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, stream.fileno())
    os.close(nothing)
