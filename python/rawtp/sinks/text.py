"""The sink that writes events as text, in one of the formats."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rawtp.sinks.base import Sink
from rawtp.sinks.file import File

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rawtp.event import Event
    from rawtp.formats.base import Format
    from rawtp.sinks.stdout import Standard

_FILE_WAIT_S = 1.0  # after SIGHUP or a removal the new file is there within this time, even if no event comes


class TextSink(Sink):
    """Writes each event at once: nobody waits for a line that is there.

    ``encoding`` is None for the output's own. ``on_reopen`` is called with the path of a file that was opened anew.
    """

    def __init__(
        self,
        fmt: Format,
        output: Standard | File,
        *,
        encoding: str | None = None,
        on_reopen: Callable[[str], None] | None = None,
    ) -> None:
        self._format = fmt
        self._output = output
        self._encoding = encoding
        self._on_reopen = on_reopen
        self._session: Mapping[str, object] = {}
        self.fields = fmt.fields

    @property
    def wait_s(self) -> float:
        """A file's name is looked at once a second; a format may have something to say later."""
        if isinstance(self._output, File):
            return _FILE_WAIT_S
        later_s = self._format.wait_s
        return super().wait_s if later_s is None else later_s

    def begin(self, session: Mapping[str, object]) -> None:
        """Write what the format begins with."""
        self._session = session
        self._begin_output()

    def events(self, events: Sequence[Event]) -> None:
        """Write the events, each loss in its place."""
        self._look()
        self._write(self._format.events(events))

    def text(self, data: bytes) -> None:
        """Write what the format would make of events."""
        self._look()
        if data:
            self._output.write_bytes(data)

    def lost(self, count: int) -> None:
        """Write the loss, where the format shows any."""
        self._look(now=True)
        self._write(self._format.lost(count, None))

    def end(self, counts: Mapping[str, int | None]) -> None:
        """Write what the format ends with."""
        self._look(now=True)
        self._write(self._format.end(counts))

    def _look(self, *, now: bool = False) -> None:
        """See whether the file is still the one of its name; what was written to the old one is there."""
        if not self._output.reopened(now=now):
            return
        if self._on_reopen is not None and isinstance(self._output, File):
            self._on_reopen(self._output.path)
        self._begin_output()

    def _begin_output(self) -> None:
        self._write(self._format.begin(self._session, continues=self._output.continues))

    def _write(self, text: str) -> None:
        if text:
            self._output.write(text, self._encoding)
