"""One event as one line of a table for people."""

from __future__ import annotations

import time

from rawtp.formats.text import pad, printable

TYPE_CHECKING = False  # as checkers know it, without the import of typing
if TYPE_CHECKING:
    from rawtp.event import Event

# ftruncate64 is the longest call and ENAMETOOLONG the longest result; a comm has at most 15 bytes, and a pid_max of
# 4194304 has 7 digits.
_TIME, _PID, _UID, _COMM, _SYSCALL, _RESULT = 12, 7, 6, 15, 11, 12


def header() -> str:
    """The titles, aligned with what :func:`row` returns, without a newline."""
    return _aligned("TIME", "PID", "UID", "COMM", "SYSCALL", "RESULT", "PATH")


def row(event: Event) -> str:
    """The event as one line, without a newline, safe to write to a terminal.

    The time is local. The path comes last and is never cut; of a rename both, with an arrow between. Where no whole
    path is known it is the name as passed: ``<fault>`` stands for one that could not be read, and
    ``"..."<truncated>`` for one of which only the start is known.
    """
    return _aligned(
        _clock(event["ts_ns"]),
        str(event["pid"]),
        str(event["uid"]),
        _name(event["comm"]),
        printable(event["syscall"]),
        _result(event["ret"], event["errno"]),
        _paths(event),
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


def _paths(event: Event) -> str:
    old = _path(event["path"], event["path_kind"], event["filename"], event["name_status"])
    if event["action"] != "rename":
        return old
    # One of the two may be whole where the other is not: the status is of both.
    kind = event["path_kind"] if event["new_path"] else None
    return f"{old} -> {_path(event['new_path'], kind, event['new_filename'], event['name_status'])}"


def _path(path: str | None, kind: str | None, filename: str | None, status: str) -> str:
    whole = path is not None and kind not in {None, "partial"} and status == "ok"
    return _name(path or "") if whole else _filename(filename, status)


def _filename(filename: str | None, name_status: str) -> str:
    if filename is None:
        # A call on a descriptor has no name to show, and none that failed.
        return "<fd>" if name_status == "ok" else f"<{name_status}>"
    return f"{_quoted(filename)}<truncated>" if name_status == "truncated" else _name(filename)


def _name(text: str) -> str:
    # Unquoted, these would look like nothing, like another name, or like one of our own marks.
    return _quoted(text) if text.strip(" ") != text or text[:1] in {"", "<", '"'} else printable(text)


def _quoted(text: str) -> str:
    return '"' + printable(text).replace('"', '\\"') + '"'
