"""What becomes of events: text to the output, losses to who watches, counts to the summary."""

from __future__ import annotations

import sys
import time

from rawtp.cli.stderr import say
from rawtp.formats import ledger
from rawtp.formats.base import PLACE
from rawtp.sinks.stdout import File, Standard

TYPE_CHECKING = False  # as checkers know it, without the import of typing
if TYPE_CHECKING:
    from collections.abc import Mapping

    import rawtp
    from rawtp.event import Event
    from rawtp.formats.base import Format
    from rawtp.summary import Summary

_MAX_WAIT_S = 3600.0  # waiting for 1e300 seconds is a fair wish, but no clock can count it
_FILE_WAIT_S = 1.0  # so long after SIGHUP, or a removal, the file is a new one, though nothing is deleted


class Printer:
    """Takes events as they come, and the empty list when none came for a while."""

    def __init__(
        self,
        shown: Format,
        output: Standard | File | None,
        *,
        encoding: str | None = None,
        summary: Summary | None = None,
        stats_s: float | None = None,
        tells_loss: bool = True,
        tells_file: bool = True,
    ) -> None:
        self._format = shown
        self._output = output
        self._encoding = encoding
        self._summary = summary
        self._stats_s = stats_s
        self._tells_loss = tells_loss
        self._tells_file = tells_file
        self._session: Mapping[str, object] = {}
        self._tracer: rawtp.Tracer | None = None
        self._begin_s = self._told_s = time.monotonic()
        self.in_hand = 0
        """Events that are being written: after an OSError, those of which nobody knows."""

    @property
    def fields(self) -> tuple[str, ...]:
        """What the tracer is to be asked for."""
        beside = self._summary.fields if self._summary else ()
        return tuple(dict.fromkeys((*self._format.fields, *PLACE, *beside)))

    @property
    def file(self) -> File | None:
        """What SIGHUP is for."""
        return self._output if isinstance(self._output, File) else None

    @property
    def writes_to_standard_output(self) -> bool:
        """Whether anybody who reads that is to be waited for."""
        return isinstance(self._output, Standard)

    @property
    def wait_s(self) -> float:
        """How long to wait for events at the most before calling again."""
        waits = [_MAX_WAIT_S]
        if self.file is not None:
            waits.append(_FILE_WAIT_S)
        if self._stats_s is not None:
            waits.append(max(self._told_s + self._stats_s - time.monotonic(), 0.0))
        return min(waits)

    def begin(self, session: Mapping[str, object], tracer: rawtp.Tracer) -> None:
        """Before the first event."""
        self._session, self._tracer = session, tracer
        self._begin_s = self._told_s = time.monotonic()
        self._begin_output()

    def __call__(self, events: list[Event]) -> None:
        """Write them at once: nobody waits for a line that is there."""
        if self._output is not None:
            self.in_hand = len(events)
            self._look()
            self._write(self._format.events(events))
            self.in_hand = 0
        if self._summary and events:
            self._summary.add(events)
        if self._tells_loss and (lost := sum([event["lost"] for event in events])):
            say(f"lost {ledger.events(lost)}")
        self._tell_ledger()

    def end(self, counts: Mapping[str, int | None]) -> None:
        """After the last event."""
        self._look(now=True)
        if tail := counts["tail_lost"]:
            self._write(self._format.lost(tail, None))
            if self._tells_loss:
                say(f"lost {ledger.events(tail)} at the end")
        self._write(self._format.end(counts))

    def summary(self, color: str) -> list[str]:
        """Lines for people, if they were asked for."""
        if self._summary is None:
            return []
        from rawtp.cli import frames

        shown = frames.framed(self._summary.sections(), sys.stderr) if frames.wanted(sys.stderr, color) else None
        return self._summary.lines() if shown is None else shown.splitlines()

    def _tell_ledger(self) -> None:
        now_s = time.monotonic()
        if self._stats_s is None or self._tracer is None or now_s < self._told_s + self._stats_s:
            return
        self._told_s = now_s
        say(f"after {now_s - self._begin_s:.0f} s: {ledger.identity(self._tracer.stats().as_dict())}")

    def _look(self, *, now: bool = False) -> None:
        """See whether the file is still the one of its name; what was written to the old one is there."""
        if self._output is None or not self._output.reopened(now=now):
            return
        if self._tells_file and self.file is not None:
            say(f"{self.file.path} was opened anew: the file of that name was another one, or gone")
        self._begin_output()

    def _begin_output(self) -> None:
        if self._output is not None:
            self._write(self._format.begin(self._session, continues=self._output.continues))

    def _write(self, text: str) -> None:
        if self._output is not None and text:
            self._output.write(text, self._encoding)
