"""One event as one line of a table for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from rawtp.formats import ledger
from rawtp.formats.ansi import FAILURE, LOSS, Colours
from rawtp.formats.base import Format
from rawtp.formats.chain import ASCII_BY, BY, chain
from rawtp.formats.escape import pad, printable, quoted, quoted_name, shortened, size, width
from rawtp.formats.names import FACT, claims_and_facts, gone, note
from rawtp.formats.timestamp import Clock

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rawtp.event import Event

# The longest actions are "truncate" and "collapse", the longest call but for the rare open_by_handle_at is ftruncate64,
# and the longest result is ENAMETOOLONG; a comm has at most 15 bytes, and a pid_max of 4194304 has 7 digits. Names of
# users are cut.
_PID, _USER, _ACTION, _SYSCALL, _SIZE = 7, 8, 8, 11, 9


class _Layout(NamedTuple):
    """What a row has, by the width of the screen."""

    time: int
    who: int
    result: int
    has_call: bool = True
    has_chain: bool = False
    """Whether it has the chain of processes in place of one, and the size of what went."""


# Times without milliseconds, a shorter column of results, no call.
_NARROW = _Layout(time=8, who=15, result=9, has_call=False)
_WIDE = _Layout(time=12, who=15, result=12)
_FULL = _Layout(time=12, who=34, result=12, has_chain=True)
_WIDE_FROM, _FULL_FROM = 110, 150
_REPEATS_S = 1.0  # without another event
_MAX_REPEATS_NS = 5_000_000_000  # an event that never ends repeating is told as well
# The least for a path. Where the line has less room, the terminal breaks it.
_MIN_PATH = 16


class Columns(Format):
    """A table. On a terminal, whose ``width`` is asked for again and again, a path has what is left of the line.

    Only there are paths shortened, losses told in their place, and colours used. ``fact`` is the arrow from a name to
    the real path. With a ``height``, which is that of the terminal in lines, the titles come again after a screenful,
    and an event that looks like the one before it is only counted, until another comes, no more come for a second, or
    five seconds are over.

    A terminal that is wide enough at the start has the chain of processes. ``ancestors`` costs the kernel something,
    and is no key of ``fields`` elsewhere.
    """

    fields = (
        *("ts_ns", "pid", "uid", "comm", "syscall", "action", "range_start", "range_length", "filename"),
        *("new_filename", "path", "new_path", "path_kind", "real_path", "new_real_path", "nlink", "size", "file_type"),
        *("replaced", "replaced_size", "replaced_nlink", "length", "exchange", "name_status", "ret", "errno"),
    )

    def __init__(
        self,
        clock: Clock | None = None,
        screen: Callable[[], int] | None = None,
        colours: Colours | None = None,
        fact: str = FACT,
        height: Callable[[], int] | None = None,
    ) -> None:
        self._height = height
        self._rows = 0
        """Rows below the titles."""
        self._shown = ""
        """The last row, without its time."""
        self._repeats = 0
        self._since_ns = self._repeated_ns = 0
        self._clock = clock or Clock()
        self._screen = screen
        self._colours = colours or Colours(use=False)
        self._fact = fact
        self._has_chain = screen is not None and screen() >= _FULL_FROM
        self.fields = (*Columns.fields, "user", *(("ancestors",) if self._has_chain else ()))
        self._layout = _WIDE

    def begin(self, session: Mapping[str, object], *, continues: bool = False) -> str:
        """The titles."""
        screen = self._screen() if self._screen else None
        self._layout = _layout(screen, has_chain=self._has_chain)
        self._rows = 0
        return header(screen, has_chain=self._has_chain) + "\n"

    def event(self, event: Event) -> str:
        """One row; the titles anew where the terminal has become too narrow for the old ones, or wide enough."""
        screen = self._screen() if self._screen else None
        layout = _layout(screen, has_chain=self._has_chain)
        is_other = layout is not self._layout
        text = row(event, self._clock, screen, self._colours, self._fact, has_chain=self._has_chain)
        if self._height is None:
            return f"{self.begin({}) if is_other else ''}{text}\n"
        what = text[layout.time :]
        if what == self._shown:
            self._since_ns = self._since_ns if self._repeats else event["ts_ns"]
            self._repeats += 1
            self._repeated_ns = event["ts_ns"]
            return self._folded() if self._repeated_ns - self._since_ns >= _MAX_REPEATS_NS else ""
        before = self._folded()
        if is_other or self._rows >= self._height() - 1:
            before += self.begin({})
        self._rows += 1
        self._shown = what
        return f"{before}{text}\n"

    def events(self, events: Sequence[Event]) -> str:
        """Events, each loss in its place; without any, the repeats that were counted."""
        return super().events(events) if events else self._folded()

    def end(self, counts: Mapping[str, int | None]) -> str:
        """The repeats that were counted."""
        return self._folded()

    @property
    def wait_s(self) -> float | None:
        """One second while there are repeats to tell."""
        return _REPEATS_S if self._repeats else None

    def _folded(self) -> str:
        if not self._repeats:
            return ""
        count, self._repeats = self._repeats, 0
        self._rows += 1
        times = "once" if count == 1 else f"{count} times"
        return f"-- the same {times} more, until {self._clock.of_day(self._repeated_ns)} --\n"

    def lost(self, count: int, event: Event | None) -> str:
        """A row that says so, on a terminal; elsewhere rows are events."""
        if self._screen is None:
            return ""
        where = f" on CPU {event['cpu']}" if event else ""
        folded = self._folded()
        self._shown = ""
        return folded + self._colours.paint(LOSS, f"-- lost {ledger.events(count)} here{where} --") + "\n"


def header(screen: int | None = None, *, has_chain: bool = False) -> str:
    """The titles, aligned with what :func:`row` returns, without a newline."""
    layout = _layout(screen, has_chain=has_chain)
    who = "BY" if layout.has_chain else "COMM"
    before = _before(layout, "TIME", "PID", "USER", who, "ACTION", "SYSCALL")
    return f"{before}{'RESULT':<{layout.result}}{_after(layout, 'SIZE')}PATH"


def row(
    event: Event,
    clock: Clock | None = None,
    screen: int | None = None,
    colours: Colours | None = None,
    fact: str = FACT,
    *,
    has_chain: bool = False,
) -> str:
    """The event as one line, without a newline, safe to write to a terminal.

    The time is local. What :func:`paths` returns comes last and is never cut, unless there is a ``screen`` of so many
    cells that it must fit. With ``has_chain`` the event has ``ancestors``.
    """
    layout = _layout(screen, has_chain=has_chain)
    before = _before(
        layout,
        (clock or Clock()).of_day(event["ts_ns"]),
        str(event["pid"]),
        _user(event),
        _who(event, layout, BY if fact == FACT else ASCII_BY),
        event["action"] or "-",
        printable(event["syscall"] or "-"),
    )
    came = f"{result(event['ret'], event['errno']):<{layout.result}}"
    lost = gone(event)
    after = _after(layout, "-" if lost is None else size(lost))
    room = None if screen is None else max(screen - width(before) - len(came) - len(after), _MIN_PATH)
    failed = event["ret"] is not None and event["ret"] < 0
    painted = colours.paint(FAILURE, came) if colours and failed else came
    return f"{before}{painted}{after}{paths(event, room, fact)}"


def _layout(screen: int | None, *, has_chain: bool) -> _Layout:
    if screen is not None and screen < _WIDE_FROM:
        return _NARROW
    return _FULL if has_chain and screen is not None and screen >= _FULL_FROM else _WIDE


def _before(layout: _Layout, clock: str, pid: str, user: str, who: str, action: str, call: str) -> str:
    called = f"{call:<{_SYSCALL}} " if layout.has_call else ""
    time = f"{clock[: layout.time]:<{layout.time}}"
    return f"{time} {pid:>{_PID}} {pad(user, _USER)} {pad(who, layout.who)} {action:<{_ACTION}} {called}"


def _after(layout: _Layout, amount: str) -> str:
    return f" {amount:>{_SIZE}} " if layout.has_chain else " "


def _user(event: Event) -> str:
    """The user's name, or the number where there is no name."""
    name = event.get("user")
    if name is None:
        return str(event["uid"])
    # A name of digits would look like a number.
    return shortened(quoted(name) if name.isdecimal() else quoted_name(name), _USER)


def _who(event: Event, layout: _Layout, arrow: str) -> str:
    if not layout.has_chain:
        return quoted_name(event["comm"])
    return chain(event["comm"], event["ancestors"], layout.who, arrow)


def result(ret: int | None, errno: str | None) -> str:
    """The result of a call in one word."""
    if ret is None:
        return "?"
    return "ok" if ret >= 0 else errno or str(ret)


def paths(event: Event, room: int | None = None, fact: str = FACT) -> str:
    """The path of a call, or both of a rename, and what is known of the file, safe to write to a terminal.

    First comes what the process said. Where no whole path is known it is the name as passed: ``<fault>`` stands for one
    that could not be read, and ``"..."<truncated>`` for one of which only the start is known. After the arrow ``fact``
    comes the real path, where that is another. Last comes what was lost, in parentheses. Where this must fit into
    ``room``, what was lost goes first, then the name, and then paths are shortened.
    """
    claims, facts, joint = claims_and_facts(event)
    claimed, real = joint.join(claims), joint.join(facts)
    arrow = f"{fact} " if claimed not in {"", real} else ""
    text = f"{claimed} {arrow}{real}" if arrow else real
    lost = note(event)
    if room is None:
        return f"{text} {lost}" if lost else text
    for line in (f"{text} {lost}", text) if lost else (text,):
        if width(line) <= room:
            return line
    room -= width(arrow) + len(joint)
    return arrow + joint.join(_share(facts, room) if joint else [shortened(real, room)])


def _share(names: list[str], room: int) -> list[str]:
    """Two names, shortened to this many cells. Each has half of them, and what the other leaves."""
    old, new = names
    old = shortened(old, max(room // 2, room - width(new)))
    return [old, shortened(new, room - width(old))]
