"""Recorded events, one after the other with all that is known of each, for people: what ``rawtp who`` shows.

Everything is safe to write to a terminal.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rawtp.formats import ledger
from rawtp.formats.chain import BY
from rawtp.formats.escape import printable, quoted, quoted_name, shortened, size
from rawtp.formats.names import EXCHANGE, claims_and_facts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from rawtp.formats.timestamp import Clock

_MAX_WORD, _MAX_COMMAND, _MAX_ANCESTOR = 80, 240, 80  # cells
_MAX_CHAIN = 8
_MAX_LINES = 4  # of gaps, and of losses

# What was done, and what was tried.
_ACTIONS = {
    "delete": ("deleted", "delete"),
    "rmdir": ("removed the directory", "remove the directory"),
    "rename": ("renamed", "rename"),
    "truncate": ("truncated", "truncate"),
    "punch": ("made a hole in", "make a hole in"),
    "zero": ("wrote zeros into", "write zeros into"),
    "collapse": ("took a range out of", "take a range out of"),
}
_EXCHANGED = ("exchanged", "exchange")

GAPS = {
    "closed": "the recorder was stopped",
    "died": "the recorder or the host went down",
    "silent": "the recorder's heartbeat did not come back",
    "damaged": "what was recorded is damaged",
    "stopped": "nothing is recorded now",
}
"""Why nothing was watched."""

LOSSES = {
    "ring": "the kernel's buffer was full",
    "memory": "the disk took nothing for too long",
    "discarded": "there was no memory to read them",
    "missed": "the kernel skipped a program",
}
"""Why events were lost."""


WITHOUT_FILES = (
    "the kernel did not show the files themselves. Paths were looked up after the call, so what went by another name "
    "(through a link or a mount) can be missing here, and what a rename replaced is not known"
)
"""Said where calls were recorded and no function of the kernel's."""


@dataclass(frozen=True)
class Answer:
    """The answer to the question who made a file go."""

    path: str
    events: Sequence[Mapping[str, Any]]
    """The latest first. Each has the keys of a recorded event, with ``name`` and ``relation``, and ``user`` and
    ``login`` where they are known."""
    has_more: bool
    """Whether there are earlier events."""
    with_failed: bool
    """Whether attempts that failed were asked for."""
    has_failed: bool
    """Whether attempts that failed are all that there is, and they were not asked for."""
    gaps: Sequence[Mapping[str, Any]]
    losses: Sequence[Mapping[str, Any]]
    coverage: Sequence[tuple[int, int]]
    """The stretches of the window that were watched."""
    more_gaps: str = "rawtp history --gaps"
    """The command that shows all gaps and losses."""
    without_files: bool = False
    """Whether a kernel did not show the files that the calls in the window were about."""
    limits: Sequence[str] = ()
    """What the filters of the recordings in the window let through, where they did not let through all."""
    elsewhere: str | None = None
    """Where something happened, below the path or to what it matches, and the command that shows it, where nothing
    happened to itself."""
    damaged: Sequence[str] = ()
    """What is wrong with each file that was left out."""


def told(answer: Answer, clock: Clock, arrow: str = BY) -> str:
    """The answer as text: the events, and then what cannot be known."""
    lines = []
    for event in answer.events:
        lines += [*entry(event, clock, arrow), ""]
    if answer.has_more:
        lines += ["there are earlier events; --limit shows more", ""]
    blind = blind_spots(answer.gaps, answer.losses, clock, answer.more_gaps)
    seen = watched(answer.coverage, clock)
    if not answer.events:
        done = "happened" if answer.with_failed else "succeeded"
        seen = f"{quoted_name(answer.path)}: nothing that {done} was recorded; {seen}"
        if answer.has_failed:
            lines += [f"{quoted_name(answer.path)}: there are attempts that failed; --all shows them", ""]
        if answer.elsewhere:
            lines += [f"what happened {answer.elsewhere}", ""]
    if answer.without_files:
        lines.append(WITHOUT_FILES)
    lines += [f"only what these filters let through was recorded: {printable(limit)}" for limit in answer.limits]
    lines.append(f"{seen}{', but for this' if blind else ''}")
    return "\n".join([*lines, *blind]) + "\n"


def entry(event: Mapping[str, Any], clock: Clock, arrow: str = BY) -> list[str]:
    """The lines of one event; ``arrow`` stands between a process and the one that started it."""
    facts = [
        ("by", _chain(event, arrow)),
        ("user", _who(event)),
        ("in", _where(event)),
        ("file", _file(event)),
        ("said", _claim(event)),
        ("why", _relation(event)),
    ]
    return [
        f"{clock.of_date(event['ts_ns'])}  {deed(event)}",
        *(f"    {title:<5} {text}" for title, text in facts if text),
    ]


def gap(found: Mapping[str, Any], clock: Clock) -> str:
    """A stretch of time in which nothing was watched."""
    begin, end = found["from_ns"], found["to_ns"]
    why = GAPS.get(found["reason"], printable(str(found["reason"])))
    if end is None:
        return f"{clock.of_date(begin)} until now: {why}"
    return f"{clock.of_date(begin)} to {clock.of_date(end)} ({duration(end - begin)}): {why}"


def loss(found: Mapping[str, Any], clock: Clock) -> str:
    """A loss."""
    begin, end = found["from_ns"], found["to_ns"]
    when = clock.of_date(begin) if begin == end else f"{clock.of_date(begin)} to {clock.of_date(end)}"
    why = LOSSES.get(found["kind"], printable(str(found["kind"])))
    return f"{when}: {ledger.events(found['count'])} lost, {why}"


def blind_spots(
    gaps: Sequence[Mapping[str, Any]],
    losses: Sequence[Mapping[str, Any]],
    clock: Clock,
    more: str | None = None,
) -> list[str]:
    """What cannot be known: when nothing was watched, and what was lost; the latest of each, and ``more``, the command
    that shows all; without it all."""
    lines = []
    for title, found, text in (("not watched", gaps, gap), ("lost", losses, loss)):
        if not found:
            continue
        total = f" {ledger.events(sum(one['count'] for one in losses))}" if found is losses else ""
        lines.append(f"{title}{total}:")
        shown = found if more is None else found[-_MAX_LINES:]
        if len(shown) < len(found):
            lines.append(f"  {len(found) - len(shown)} before these: {more}")
        lines += [f"  {text(one, clock)}" for one in shown]
    return lines


def session(found: Mapping[str, Any], clock: Clock) -> str:
    """A recording."""
    begin, end = found["start_ns"], found["through_ns"]
    try:
        info = json.loads(found["info"])
    except ValueError:
        info = {}
    known = info if isinstance(info, dict) else {}
    parts = [f"{clock.of_date(begin)} to {clock.of_date(end)}", f"host {quoted_name(found['host'])}"]
    parts += [f"{key} {quoted_name(str(known[key]))}" for key in ("kernel", "version") if known.get(key)]
    filters = known.get("filters")
    if filters:
        parts.append(f"filters {printable(json.dumps(filters))}")
    return ", ".join([*parts, *([] if found["closed"] else ["not closed"])])


def stats(found: Mapping[str, Any], coverage: Sequence[tuple[int, int]], clock: Clock) -> list[str]:
    """How much is recorded."""
    lines = [f"recording: {'yes' if found['is_recording'] else 'no'}", watched(coverage, clock)]
    files = ledger.counted(found["segments"], "file")
    lines.append(f"sealed: {ledger.events(found['events'])}, {files}, {size(found['segment_bytes'])}")
    lines.append(f"not sealed yet: {ledger.counted(found['wal_files'], 'log')}, {size(found['wal_bytes'])}")
    if found["first_ns"] is not None and found["events"]:
        days = max((found["last_ns"] - found["first_ns"]) / 86_400e9, 1 / 24)
        per_day = found["segment_bytes"] / days
        lines.append(f"per day: {ledger.events(round(found['events'] / days))}, {size(round(per_day))}")
        lines.append(f"per event: {found['segment_bytes'] / found['events']:.1f} bytes")
    if found["quarantined"]:
        lines.append(f"damaged, in quarantine: {ledger.counted(found['quarantined'], 'file')}")
    if found["expired"]:
        lines.append(f"removed because of age or size: {ledger.counted(found['expired'], 'file')}")
    return lines


def watched(coverage: Sequence[tuple[int, int]], clock: Clock) -> str:
    """The part of the window that the history reaches over, as a phrase."""
    if not coverage:
        return "nothing was watched in that time"
    return f"watched from {clock.of_date(coverage[0][0])} to {clock.of_date(coverage[-1][1])}"


def duration(ns: int) -> str:
    """A length of time in words: ``"350 ms"``, ``"1.8 s"``, ``"2 h 5 min"``."""
    if ns < 1_000_000_000:
        return f"{max(ns, 0) // 1_000_000} ms"
    seconds, tenths = divmod(ns // 100_000_000, 10)
    if seconds < 10 and tenths:
        return f"{seconds}.{tenths} s"
    for large, small, at in (("d", "h", 86400), ("h", "min", 3600), ("min", "s", 60)):
        if seconds >= at:
            rest = seconds % at // (at // (24 if large == "d" else 60))
            return f"{seconds // at} {large} {rest} {small}" if rest else f"{seconds // at} {large}"
    return f"{seconds} s"


def command(argv: Iterable[str] | None, comm: str, cells: int) -> str:
    """Arguments as one text of at most so many cells; the command's name where they are not known."""
    if argv is None:
        return quoted_name(comm)
    return shortened(" ".join(_word(word) for word in argv) or quoted_name(comm), cells)


def _word(word: str) -> str:
    whole = quoted(word) if not word or any(char in word for char in f' "{BY}') else printable(word)
    return shortened(whole, _MAX_WORD)


def deed(event: Mapping[str, Any]) -> str:
    """What was done to which file, or tried, as a phrase."""
    done, tried = _EXCHANGED if event["exchange"] else _ACTIONS.get(event["action"], (event["action"],) * 2)
    _, facts, joint = claims_and_facts(event)  # type: ignore[arg-type]
    names = (" and " if joint.strip() == EXCHANGE else joint).join(facts)
    ret = event["ret"]
    if ret is None:
        return f"asked to {tried} {names} (the result is not known)"
    if ret < 0:
        return f"tried to {tried} {names}: {printable(event['errno'] or str(ret))}"
    return f"{done} {names}"


def _chain(event: Mapping[str, Any], arrow: str) -> str:
    """The process, whoever started it, and so on."""
    first = command(event["argv"], event["comm"], _MAX_COMMAND)
    if event["argv_truncated"]:
        first += " ..."
    exe = event["exe"]
    if exe and event["argv"] and exe.rpartition("/")[2] != event["argv"][0].rpartition("/")[2]:
        first += f" [{quoted_name(exe)}]"
    ancestors = event.get("ancestors") or ()
    if not ancestors and event["parent_comm"]:
        ancestors = ((event["ppid"], event["parent_comm"], event.get("parent_argv")),)
    others = [command(argv, comm, _MAX_ANCESTOR) for _, comm, argv in ancestors[:_MAX_CHAIN]]
    if len(ancestors) > _MAX_CHAIN:
        others.append(f"{len(ancestors) - _MAX_CHAIN} more")
    return f" {arrow} ".join([first, *others])


def _who(event: Mapping[str, Any]) -> str:
    real = _user(event.get("user"), event["uid"])
    parts = [real]
    for key in ("euid", "fsuid"):
        if event[key] is not None and event[key] != event["uid"]:
            parts.append(f"acting as user {event[key]}")
            break
    if event["auid"] is not None and event["auid"] != event["uid"]:
        parts.append(f"logged in as {_user(event.get('login'), event['auid'])}")
    return ", ".join([*parts, f"pid {event['pid']}"])


def _user(name: str | None, number: int) -> str:
    return f"{quoted_name(name)} ({number})" if name else f"user {number}"


def _where(event: Mapping[str, Any]) -> str:
    parts = [quoted_name(event["unit"])] if event["unit"] else []
    if event["container_id"]:
        parts.append(_called("container", event.get("container_name"), event["container_id"]))
    pod = "/".join(filter(None, (event.get("namespace"), event.get("pod"))))
    if event["pod_id"] or pod:
        parts.append(_called("pod", pod, event["pod_id"]))
    if event.get("image"):
        parts.append(f"image {printable(event['image'])}")
    return ", ".join(parts)


def _called(what: str, name: str | None, number: str | None) -> str:
    """A container or a pod, by its name and its id."""
    if name and number:
        return f"{what} {printable(name)} ({printable(number)})"
    return f"{what} {printable(name or number or '')}"


def _file(event: Mapping[str, Any]) -> str:
    """What is known of the file, and of what went with it."""
    if event["ret"] is not None and event["ret"] < 0:
        return ""
    parts = []
    if event["file_type"] not in {None, "file"}:
        parts.append(str(event["file_type"]))
    before, after = event["size"], event["length"]
    if before is not None and after is not None:
        parts.append(f"{size(before)} -> {size(after)}")
    elif before is not None and event["file_type"] != "directory":
        parts.append(size(before))
    if event["range_start"] is not None and event["range_length"] is not None:
        parts.append(f"{size(event['range_length'])} at {size(event['range_start'])}")
    if event["action"] == "delete" and event["nlink"] is not None:
        parts.append("its last link" if event["nlink"] == 1 else f"1 of {event['nlink']} links")
    if event["replaced"]:
        parts.append(_replaced(event))
    return ", ".join(parts)


def _replaced(event: Mapping[str, Any]) -> str:
    if event["file_type"] == "directory":
        return "replaced an empty directory"
    links, replaced = event["replaced_nlink"], event["replaced_size"]
    text = "replaced a file" if replaced is None else f"replaced a file of {size(replaced)}"
    return text if links in {None, 1} else f"{text}, 1 of {links} links"


def _claim(event: Mapping[str, Any]) -> str:
    claims, facts, joint = claims_and_facts(event)  # type: ignore[arg-type]
    return "" if not claims or claims == facts else joint.join(claims)


def _relation(event: Mapping[str, Any]) -> str:
    name = quoted_name(event["name"])
    return {
        "above": f"{name} is above the path",
        "before": f"the file had this name before: {name}",
        "after": f"the file had this name afterwards: {name}",
    }.get(event["relation"], "")
