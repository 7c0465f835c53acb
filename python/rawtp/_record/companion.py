"""The interface of what runs beside a recorder, in a thread of its own."""

from __future__ import annotations


class Companion:
    """Runs from ``start`` to ``finish``. None of its methods waits, but for ``finish``, and none raises."""

    def start(self) -> None:
        """Begin, when the recorder records."""

    def said(self) -> list[str]:
        """Lines for the recorder's messages, since the last call."""
        return []

    def finish(self) -> list[str]:
        """End, after the recorder has closed; the last lines. It takes a few seconds at the most."""
        return []
