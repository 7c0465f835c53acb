"""The interface of every format of output."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rawtp.event import Event

LOSS_KEYS = ("cpu", "seq", "lost", "via")
"""The keys that tell where events were lost: asked for whatever is shown."""


class Format:
    """Events as text, in whole lines; here none. It knows no stream: what it returns can be written anywhere."""

    fields: tuple[str, ...] = ()
    """The keys that it shows, which the tracer must be asked for, together with :data:`LOSS_KEYS`."""

    @property
    def wait_s(self) -> float | None:
        """The time in seconds after which ``events`` is to be called without any; ``None``: no such call is needed."""
        return None

    def begin(self, session: Mapping[str, object], *, continues: bool = False) -> str:
        """The text before the first event. ``session`` describes host and tracer; ``continues``: other text is
        there."""
        return ""

    def event(self, event: Event) -> str:
        """The text of one event."""
        return ""

    def lost(self, count: int, event: Event | None) -> str:
        """The text for events that were lost just before this one, or at the end."""
        return ""

    def end(self, counts: Mapping[str, int | None]) -> str:
        """The text after the last event: the ledger."""
        return ""

    def events(self, events: Sequence[Event]) -> str:
        """The text of events in their order, each loss in its place."""
        texts = []
        for event in events:
            if event["lost"]:
                texts.append(self.lost(event["lost"], event))
            texts.append(self.event(event))
        return "".join(texts)
