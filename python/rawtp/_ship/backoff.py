"""How long to wait before the next attempt."""

from __future__ import annotations

import random

FIRST_S, MOST_S = 0.5, 60.0
MOST_ASKED_S = 3600.0
"""The longest wait that a receiver may ask for."""


class Backoff:
    """Waits twice as long after each failure, up to :data:`MOST_S`, with a random part, so that a thousand hosts do not
    come back at the same moment."""

    def __init__(self) -> None:
        self._next_s = FIRST_S

    def after_failure(self, asked_s: float | None = None) -> float:
        """The seconds to wait now; ``asked_s`` is what the receiver asked for, and is the least."""
        delay_s = self._next_s * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
        self._next_s = min(2 * self._next_s, MOST_S)
        if asked_s is None:
            return delay_s
        return min(max(asked_s, 0.0), MOST_ASKED_S) + random.uniform(0.0, 0.1) * delay_s  # noqa: S311

    def after_success(self) -> None:
        """Begin with the shortest wait again."""
        self._next_s = FIRST_S
