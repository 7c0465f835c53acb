"""What every format of output is."""

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
    """What it shows of an event, and so what the tracer must be asked for, beside :data:`LOSS_KEYS`."""

    def begin(self, session: Mapping[str, object], *, continues: bool = False) -> str:
        """What comes first. ``session`` says who watches what, and where; ``continues``, that other text is there."""
        return ""

    def event(self, event: Event) -> str:
        """One event."""
        return ""

    def lost(self, count: int, event: Event | None) -> str:
        """Events that were lost just before this one, or at the end."""
        return ""

    def end(self, counts: Mapping[str, int | None]) -> str:
        """What comes last: the ledger."""
        return ""

    def events(self, events: Sequence[Event]) -> str:
        """Events in their order, each loss in its place."""
        texts = []
        for event in events:
            if event["lost"]:
                texts.append(self.lost(event["lost"], event))
            texts.append(self.event(event))
        return "".join(texts)
