"""One event as one line of a table for people."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rawtp.formats.text import pad, printable

if TYPE_CHECKING:
    from rawtp.event import Event

# ENAMETOOLONG is the longest result; a comm has at most 15 bytes; a pid_max of 4194304 has 7 digits.
_TIME, _PID, _UID, _COMM, _SYSCALL, _RESULT = 12, 7, 6, 15, 8, 12


def header() -> str:
    """The titles, aligned with what :func:`row` returns, without a newline."""
    return _aligned("TIME", "PID", "UID", "COMM", "SYSCALL", "RESULT", "FILENAME")


def row(event: Event) -> str:
    """The event as one line, without a newline, safe to write to a terminal.

    The time is local. The file name comes last and is never cut: ``<fault>`` stands for one that could not be read, and
    ``"..."<truncated>`` for one of which only the start is known.
    """
    return _aligned(
        _clock(event["ts_ns"]),
        str(event["pid"]),
        str(event["uid"]),
        _name(event["comm"]),
        printable(event["syscall"]),
        _result(event["ret"], event["errno"]),
        _filename(event["filename"], event["name_status"]),
    )


def _aligned(clock: str, pid: str, uid: str, comm: str, syscall: str, result: str, filename: str) -> str:
    return (
        f"{clock:<{_TIME}} {pid:>{_PID}} {uid:>{_UID}} {pad(comm, _COMM)} "
        f"{syscall:<{_SYSCALL}} {result:<{_RESULT}} {filename}"
    )


def _clock(ts_ns: int) -> str:
    seconds, rest_ns = divmod(ts_ns, 1_000_000_000)
    return f"{time.strftime('%H:%M:%S', time.localtime(seconds))}.{rest_ns // 1_000_000:03d}"


def _result(ret: int | None, errno: str | None) -> str:
    if ret is None:
        return "?"
    return "ok" if ret >= 0 else errno or str(ret)


def _filename(filename: str | None, name_status: str) -> str:
    if filename is None:
        return f"<{name_status}>"
    return f"{_quoted(filename)}<truncated>" if name_status == "truncated" else _name(filename)


def _name(text: str) -> str:
    # Unquoted, these would look like nothing, like another name, or like one of our own marks.
    return _quoted(text) if text.strip(" ") != text or text[:1] in {"", "<", '"'} else printable(text)


def _quoted(text: str) -> str:
    return '"' + printable(text).replace('"', '\\"') + '"'
