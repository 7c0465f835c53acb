"""The way of events through the command line: to the sink, the summary and standard error."""

from __future__ import annotations

import sys
import time
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, Protocol

import rawtp
from rawtp import _session
from rawtp._core import TextReader
from rawtp.cli import names
from rawtp.cli.names import CONTAINER_IDS as IDS
from rawtp.cli.names import CONTAINER_NAMES as KEYS
from rawtp.cli.stderr import message
from rawtp.formats import ledger
from rawtp.formats.ansi import Colours, no_color
from rawtp.formats.base import LOSS_KEYS
from rawtp.formats.escape import encodable
from rawtp.formats.timestamp import Clock
from rawtp.sinks.base import Sink
from rawtp.sinks.file import File
from rawtp.sinks.stdout import Standard
from rawtp.sinks.text import TextSink

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any, Literal

    from rawtp._alert.alerts import Alerts
    from rawtp._containers.cache import NameCache
    from rawtp.event import Event
    from rawtp.formats.base import Format
    from rawtp.sinks.writer import Patience
    from rawtp.summary import Summary
    from rawtp.summary.calls import CallSummary


_NAMELESS = dict.fromkeys(KEYS)
_BY_RUST: dict[str, Literal["jsonl", "csv"]] = {"jsonl": "jsonl", "csv": "csv"}
"""The formats that the extension writes, too."""

_MAX_EVENTS = 512  # more dicts are no longer in the CPU's cache when they are written
_MAX_LINES = 4096  # text ends by its bytes


class Lines(NamedTuple):
    """Events as text already."""

    text: bytes
    events: int
    lost: int
    """The number of those that were lost before these."""


def count(events: list[Event] | Lines) -> int:
    """The number of events."""
    return events.events if isinstance(events, Lines) else len(events)


class Observer(Protocol):
    """Is told of all events of a command, beside the sink."""

    @property
    def fields(self) -> tuple[str, ...]:
        """The keys that it looks at."""

    def add(self, events: list[Event]) -> None:
        """Take these events."""

    def on_end(self, code: int, counts: Mapping[str, int | None], failure: Exception | None) -> None:
        """Take the command's exit code, the ledger, and why the watching ended before, if it did."""


class Pipeline:
    """Takes events as they come, and the empty list when none came for a while.

    ``output`` is what the sink writes to. ``text_reader``, of a :class:`TextSink`, makes what reads events as the text
    of its format. That is used where nothing but the sink looks at events.
    """

    def __init__(
        self,
        sink: Sink,
        output: Standard | File | None = None,
        *,
        summaries: Sequence[Summary | CallSummary] = (),
        stats_s: float | None = None,
        tells_loss: bool = True,
        alerts: Alerts | None = None,
        tells_alerts: bool = True,
        names: NameCache | None = None,
        text_reader: Callable[[rawtp.Tracer], TextReader] | None = None,
    ) -> None:
        self.output = output
        self._sink = sink
        self._summaries = summaries
        self._stats_s = stats_s
        self._tells_loss = tells_loss
        self._alerts = alerts
        self._tells_alerts = tells_alerts
        self._names = names
        self._tracer: rawtp.Tracer | None = None
        self._text_reader = text_reader
        self._reader: TextReader | None = None
        self.observer: Observer | None = None
        self._begin_s = self._told_s = time.monotonic()
        self.unwritten = 0
        """Events that are being written: after an OSError nobody knows which of them were."""

    @property
    def fields(self) -> tuple[str, ...]:
        """The keys that the tracer is to be asked for."""
        counted = [key for summary in self._summaries for key in summary.fields]
        compared = self._alerts.fields if self._alerts else ()
        observed = self.observer.fields if self.observer else ()
        wanted = dict.fromkeys((*self._sink.fields, *LOSS_KEYS, *counted, *compared, *observed))
        if self._names is None:
            return tuple(wanted)
        # These the tracer does not know.
        return tuple(dict.fromkeys(key for key in (*wanted, *IDS) if key not in KEYS))

    @property
    def wait_s(self) -> float:
        """The longest time in seconds to wait for events before calling again."""
        wait_s = self._sink.wait_s
        if self._alerts is not None:
            wait_s = min(wait_s, self._alerts.wait_s)
        if self._stats_s is None:
            return wait_s
        return min(wait_s, max(self._told_s + self._stats_s - time.monotonic(), 0.0))

    def begin(self, session: Mapping[str, object], tracer: rawtp.Tracer) -> None:
        """Start, before the first event."""
        self._tracer = tracer
        self._begin_s = self._told_s = time.monotonic()
        looked_at = self._summaries or self._alerts or self._names or self.observer
        if self._text_reader is not None and not looked_at:
            self._reader = self._text_reader(tracer)
        self._sink.begin(session)

    def read(self, tracer: rawtp.Tracer, most: int, timeout_s: float) -> list[Event] | Lines:
        """Take up to so many events, as :meth:`rawtp.Tracer.get_many` does, which says what it raises."""
        if self._reader is not None:
            return Lines(*self._reader.read(min(most, _MAX_LINES), timeout_s))
        return tracer.get_many(min(most, _MAX_EVENTS), timeout_s)

    def read_rest(self, tracer: rawtp.Tracer, most: int) -> tuple[list[Event] | Lines, rawtp.RawtpError | None]:
        """Take events of a closed tracer: none at the end. Returns also why there are no more, if not for the end."""
        events: list[Event] = []
        try:
            if self._reader is not None:
                return Lines(*self._reader.read(min(most, _MAX_LINES), 0)), None
            events += islice(tracer, min(most, _MAX_EVENTS))
        except ValueError:  # closed, and nothing is left
            pass
        except rawtp.RawtpError as error:
            return events, error
        return events, None

    def __call__(self, events: list[Event] | Lines) -> None:
        """Pass the events on at once."""
        if isinstance(events, Lines):
            self._pass_text(events)
            return
        # Before the output, whose reader may be slow.
        if self._alerts is not None:
            self._tell_alerts(self._alerts.events(events))
        if self._names is not None:
            for event in events:
                found, _ = self._names.get(event["container_id"], event["pod_id"])
                event.update(_NAMELESS if found is None else found._asdict())  # type: ignore[typeddict-item]
        self.unwritten = len(events)
        self._sink.events(events)
        self.unwritten = 0
        for summary in self._summaries if events else ():
            summary.add(events)
        if self.observer and events:
            self.observer.add(events)
        self._tell(sum([event["lost"] for event in events]))

    def _pass_text(self, lines: Lines) -> None:
        self.unwritten = lines.events
        self._sink.text(lines.text)
        self.unwritten = 0
        self._tell(lines.lost)

    def _tell(self, lost: int) -> None:
        if lost and self._tells_loss:
            message(f"lost {ledger.events(lost)}")
        self._tell_ledger()

    def end(self, counts: Mapping[str, int | None]) -> None:
        """Finish, after the last event."""
        if tail := counts["tail_lost"]:
            if self._alerts is not None:
                self._tell_alerts(self._alerts.lost(tail))
            self._sink.lost(tail)
            if self._tells_loss:
                message(f"lost {ledger.events(tail)} at the end")
        self._sink.end(counts)

    def finish_alerts(self, *, in_haste: bool = False) -> None:
        """Wait for the alerts that are being sent, for a while; say what became of all."""
        if self._alerts is None:
            return
        if in_haste:
            self._tell_alerts(self._alerts.finish(0.0))
        else:
            self._tell_alerts(self._alerts.finish())
        if self._tells_alerts:
            message(self._alerts.summary())

    def alert_counts(self) -> Mapping[str, Any] | None:
        """The counts of the alerts; None where there are none."""
        return None if self._alerts is None else self._alerts.counts()

    def summary(self) -> list[str]:
        """Lines for people; none if they were not asked for."""
        return [line for summary in self._summaries for line in summary.lines()]

    def _tell_alerts(self, lines: list[str]) -> None:
        if self._tells_alerts:
            for line in lines:
                message(line)
        if self._alerts is not None:
            for line in self._alerts.troubles():
                message(line)

    def _tell_ledger(self) -> None:
        now_s = time.monotonic()
        if self._stats_s is None or self._tracer is None or now_s < self._told_s + self._stats_s:
            return
        self._told_s = now_s
        message(f"after {now_s - self._begin_s:.0f} s: {ledger.identity(self._tracer.stats().as_dict())}")
        if self._alerts is not None:
            message(self._alerts.summary())


def from_options(args: argparse.Namespace, patience: Patience, alerts: Alerts | None = None) -> Pipeline:
    """Make what the options ask for. OSError: the file cannot be written."""
    output: Standard | File | None = None
    root = getattr(args, "root", None) or "/"
    if args.output_file is not None:
        output = File(args.output_file)
    elif not args.quiet and not getattr(args, "no_events", False):
        output = Standard(sys.stdout, patience)
    on_terminal = output is not None and output.is_terminal
    kind = args.output or ("columns" if on_terminal else "jsonl")
    text_reader = None
    if output is None:
        sink = Sink()
        sink.fields = tuple(names.fields(args.fields)) if args.fields else ()  # for the tracer to refuse what is none
    else:
        colours = Colours(use=args.color == "always" or (args.color == "auto" and on_terminal and not no_color()))
        fmt = _format(args, kind, output, colours)
        encoding = None if kind == "columns" else "utf-8"
        sink = TextSink(fmt, output, encoding=encoding, on_reopen=None if args.quiet else _tell_reopened)
        # The extension knows names in UTF-8 only.
        if kind in _BY_RUST and sys.getfilesystemencoding() == "utf-8":
            utc = args.utc if args.time or args.utc else None
            text_reader = partial(
                TextReader, format=_BY_RUST[kind], fields=names.fields(args.fields or ["all"]), utc=utc
            )
    # Where the table shows a loss in its place, the same line again would only tear it.
    seen = kind == "columns" and on_terminal and sys.stderr is not None and sys.stderr.isatty()
    summaries: list[Summary | CallSummary] = []
    if args.summary:
        from rawtp.summary import Summary

        summaries.append(Summary())
    if args.calls:
        from rawtp.summary.calls import CallSummary

        summaries.append(CallSummary())
    return Pipeline(
        sink,
        output,
        summaries=summaries,
        stats_s=args.stats,
        tells_loss=not args.quiet and not seen,
        alerts=alerts,
        tells_alerts=not args.quiet,
        names=_name_cache(sink.fields, root),
        text_reader=text_reader,
    )


def _name_cache(fields: Sequence[str], root: str) -> NameCache | None:
    """What looks up containers' names, where they are asked for."""
    if not {*fields} & {*KEYS}:
        return None
    from rawtp._containers import runtimes
    from rawtp._containers.cache import NameCache

    return NameCache(runtimes.finder(root))


def _format(args: argparse.Namespace, kind: str, output: Standard | File, colours: Colours) -> Format:
    screen = output.width if isinstance(output, Standard) and output.is_terminal else None
    keys = names.fields(args.fields or ["all"])
    clock = Clock(utc=args.utc) if args.time or args.utc else None
    if kind == "columns" and args.fields:
        from rawtp.formats.table import Table

        return Table(keys, clock, screen, colours)
    if kind == "columns":
        from rawtp.formats.columns import Columns
        from rawtp.formats.names import ASCII_FACT, FACT

        arrow = FACT if encodable(FACT, output.encoding) else ASCII_FACT
        height = output.height if isinstance(output, Standard) and output.is_terminal else None
        return Columns(clock, screen, colours, arrow, height)
    if kind == "strace":
        from rawtp.formats.strace import Strace

        return Strace(clock)
    if kind == "jsonl":
        from rawtp.formats.jsonl import JsonLines

        return JsonLines(keys, clock)
    if kind == "csv":
        from rawtp.formats.csv import Csv

        return Csv(keys, clock)
    if kind == "ocsf":
        from rawtp.formats.ocsf import Ocsf

        return Ocsf(_session.host(getattr(args, "root", None) or "/"), args.fields or ())
    from rawtp.formats.ecs import Ecs

    return Ecs(_session.host(getattr(args, "root", None) or "/"), args.fields or ())


def _tell_reopened(path: str) -> None:
    message(f"{path} was opened anew: the file of that name was another one, or gone")
