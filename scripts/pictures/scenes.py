"""What the pictures show: events that never change, and what today's formats make of them."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from rawtp.formats import ledger
from rawtp.formats.ansi import Colours
from rawtp.formats.columns import Columns
from rawtp.formats.story import Answer, told
from rawtp.formats.timestamp import Clock
from scripts.pictures.svg import Line, Terminal, drawn

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rawtp.event import Event

_UTC = Clock(utc=True)

_UNKNOWN = (
    *("new_filename", "new_path", "new_real_path", "replaced", "replaced_size", "replaced_nlink", "range_start"),
    *("range_length", "length", "errno", "auid", "login", "container_id", "pod_id"),
)
_SHELL = ((31002, "bash", ("-bash",)), (30998, "sshd", ("sshd: root@pts/0",)))
_DELETION: dict[str, Any] = {
    **dict.fromkeys(_UNKNOWN),
    **dict.fromkeys(("lost", "uid", "euid", "fsuid", "ret"), 0),
    **dict.fromkeys(("argv_truncated", "exchange"), False),
    "action": "delete",
    "syscall": "unlinkat",
    "user": "root",
    "exe": "/usr/bin/rm",
    "ppid": 31002,
    "parent_comm": "bash",
    "ancestors": _SHELL,
    "unit": "session-3.scope",
    "path_kind": "absolute",
    "name_status": "ok",
    "file_type": "file",
    "nlink": 1,
    "size": 4096,
}
"""A file of one link, deleted by root."""


def _ns(moment: str) -> int:
    """A moment of UTC, with milliseconds, in nanoseconds of Unix time."""
    return round(datetime.fromisoformat(f"{moment}+00:00").timestamp() * 1000) * 1_000_000


def _event(time: str, pid: int, argv: str, path: str, **changes: Any) -> Event:
    words = tuple(argv.split(" "))
    event = {
        **_DELETION,
        "ts_ns": _ns(f"2026-11-27 {time}"),
        "pid": pid,
        "comm": words[0],
        "argv": words,
        "filename": path,
        "path": path,
        "real_path": path,
        **changes,
    }
    return cast("Event", event)


class Picture(NamedTuple):
    """A picture, and all that is needed to draw it."""

    description: str
    columns: int
    terminals: list[Terminal]

    def svg(self) -> str:
        """The picture as SVG."""
        return drawn(self.description, self.terminals, self.columns)


def pictures() -> dict[str, Picture]:
    """The pictures, by the names of their files."""
    return {"deletion.svg": _deletion(), "wide.svg": _wide(), "command.svg": _command(), "who.svg": _who()}


def recording() -> list[str]:
    """The rows of the recording that two of the pictures show, as a pipe gets them."""
    table = Columns(_UTC)
    return [table.event(event).rstrip("\n") for _, event in _four()]


def _table(events: Iterable[tuple[float, Event]], columns: int) -> tuple[Line, list[Line]]:
    """The titles, and a row for each event at its time."""
    table = Columns(_UTC, lambda: columns, Colours(use=True))
    title = Line(table.begin({}).rstrip("\n"))
    return title, [Line(table.event(event).rstrip("\n"), at_s) for at_s, event in events]


def _summary(events: int, at_s: float) -> Line:
    # Of whatever else is counted there is none.
    [line] = ledger.summary(Counter({"matched": events, "delivered": events}))
    return Line(f"rawtp: {line}", at_s)


def _four() -> list[tuple[float, Event]]:
    """A deletion, a file replaced, a refusal and a file emptied, each at its time of a recording."""
    replaced = {
        "action": "rename",
        "syscall": "rename",
        "new_filename": "/etc/app.conf",
        "new_path": "/etc/app.conf",
        "new_real_path": "/etc/app.conf",
        "replaced": True,
        "replaced_size": 812,
        "replaced_nlink": 1,
    }
    refused = {
        "uid": 65534,
        "user": "nobody",
        "ret": -13,
        "errno": "EACCES",
        "ancestors": ((31570, "sudo", None), *_SHELL),
    }
    above = ((31578, "rotate.sh", ("/bin/sh", "./rotate.sh")), *_SHELL)
    emptied = {"action": "truncate", "syscall": "openat", "size": 18_432, "length": 0, "ret": 3, "ancestors": above}
    sed = "sed -i s/80/8080/ /etc/app.conf"
    return [
        (
            1.5,
            _event(
                "10:23:40.778",
                31554,
                "rm /srv/link/report.txt",
                "/srv/link/report.txt",
                real_path="/srv/data/report.txt",
            ),
        ),
        (3.5, _event("10:23:42.051", 31560, sed, "/etc/sedQ1mB7c", **replaced)),
        (5.5, _event("10:23:44.390", 31571, "rm /etc/passwd", "/etc/passwd", **refused)),
        (7.5, _event("10:23:46.917", 31580, "cp /dev/null /var/log/app.log", "/var/log/app.log", **emptied)),
    ]


def _deletion() -> Picture:
    columns = 109
    title, rows = _table(_four(), columns)
    shell = [
        Line("$ rm /srv/link/report.txt", 1.2),
        Line("$ sed -i s/80/8080/ /etc/app.conf", 3.2),
        Line("$ sudo -u nobody rm -f /etc/passwd", 5.2),
        Line("rm: cannot remove '/etc/passwd': Permission denied", 5.5),
        Line("$ ./rotate.sh", 7.2),
    ]
    watching = [Line("$ sudo .venv/bin/rawtp"), title, *rows, Line("^C", 9.5), _summary(len(rows), 9.5)]
    return Picture(
        "What goes in one terminal is shown in the other, as it happens.",
        columns,
        [Terminal("one terminal", shell), Terminal("another", watching)],
    )


def _wide() -> Picture:
    columns = 160
    title, rows = _table(_four(), columns)
    lines = [Line("$ sudo .venv/bin/rawtp"), title, *(row._replace(at_s=0.0) for row in rows)]
    return Picture("On a wide terminal: who called whom, and how much went.", columns, [Terminal("160 columns", lines)])


def _command() -> Picture:
    columns = 112
    here, me = "/home/me/hello", {"uid": 1000, "user": "me"}
    rmdir = {"action": "rmdir", "syscall": "rmdir", "ret": -2, "errno": "ENOENT"}
    removed = "rm -f hello main.o util.o"
    events = [
        (1.2, _event("00:51:24.272", 26739, removed, f"{here}/hello", **me)),
        (1.2, _event("00:51:24.272", 26739, removed, f"{here}/main.o", **me)),
        (2.2, _event("00:51:24.272", 26739, removed, f"{here}/util.o", **me)),
        (2.2, _event("00:51:24.275", 26741, "find . -name *.orig -delete", f"{here}/main.c.orig", **me)),
        (3.2, _event("00:51:24.277", 26742, "rmdir build", f"{here}/build", **me, **rmdir)),
    ]
    title, rows = _table(events, columns)
    lines = [
        Line("$ sudo .venv/bin/rawtp -- make clean"),
        title,
        Line("rm -f hello *.o", 1.0),
        *rows[:2],
        Line('find . -name "*.orig" -delete', 2.0),
        *rows[2:4],
        Line("rmdir build", 3.0),
        rows[4],
        Line("rmdir: failed to remove 'build': No such file or directory", 3.2),
        Line("make: [Makefile:4: clean] Error 1 (ignored)", 3.2),
        _summary(len(rows), 3.8),
    ]
    return Picture(
        "What make clean deletes, between the lines that make prints.", columns, [Terminal("make clean", lines)]
    )


def _who() -> Picture:
    path = "/srv/data/report.txt"
    event: Mapping[str, Any] = {
        **_event("02:14:07.311", 26661, f"rm -rf /srv/data/old {path}", path),
        "unit": "cron.service",
        "name": path,
        "relation": "path",
        "ancestors": (
            (26660, "clean", ("sh", "/etc/cron.daily/clean")),
            (26655, "run-parts", ("run-parts",)),
            (812, "cron", ("cron",)),
        ),
    }
    watched = [(_ns("2026-11-20 08:00:12.204"), _ns("2026-11-27 09:31:55.870"))]
    answer = Answer(
        path, [event], has_more=False, with_failed=False, has_failed=False, gaps=[], losses=[], coverage=watched
    )
    lines = [Line(f"$ sudo .venv/bin/rawtp who {path}"), *map(Line, told(answer, _UTC).splitlines())]
    return Picture(
        "Who deleted the file last night, and what had started that.",
        98,
        [Terminal("the next morning", lines)],
    )
