"""Colours, for failures and losses only."""

from __future__ import annotations

import os

FAILURE = "\x1b[31m"
LOSS = "\x1b[1;33m"
_PLAIN = "\x1b[0m"


class Colours:
    """Paints text that is safe already, or leaves it as it is."""

    def __init__(self, *, use: bool) -> None:
        self._use = use

    def paint(self, colour: str, text: str) -> str:
        """The text in that colour; blanks at its end have none."""
        if not self._use:
            return text
        inked = text.rstrip(" ")
        return f"{colour}{inked}{_PLAIN}{text[len(inked) :]}"


def no_color() -> bool:
    """Tell whether the user refuses colours in all programs."""
    # The convention of NO_COLOR: any value but the empty one.
    return bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
