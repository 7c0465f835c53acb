"""The thread that reads for ``rawtp top``, with a tracer that only pretends."""

from __future__ import annotations

import pytest

import rawtp
from helpers.samples import RM
from rawtp._top.feed import Feed
from rawtp._top.model import Model
from rawtp.event import Event


class PretendTracer:
    """Gives these events or errors, one after the other; then it is closed."""

    def __init__(self, *steps: list[Event] | Exception) -> None:
        self._steps = list(steps)
        self.is_closed = False

    def get_many(self, max_events: int, timeout: float) -> list[Event]:
        step = self._steps.pop(0) if self._steps else ValueError("closed")
        if isinstance(step, Exception):
            raise step
        return step

    def close(self) -> None:
        self.is_closed = True


def fed(*steps: list[Event] | Exception) -> Feed:
    tracer = PretendTracer(*steps)
    feed = Feed(tracer, Model(0.0), clock=lambda: 7.5)  # type: ignore[arg-type]
    assert feed.has_ended
    feed.start()
    feed.finish()
    assert tracer.is_closed
    assert feed.has_ended
    return feed


def test_it_counts_up_to_the_close() -> None:
    feed = fed([RM, RM], [], [RM], ValueError("closed"), [RM])
    assert (feed.model.total.events, feed.failure) == (3, None)
    assert feed.model.total.is_active(7)


@pytest.mark.parametrize("error", [rawtp.RawtpError("gave up"), MemoryError(), OSError("odd")])
def test_it_keeps_the_reason_why_it_could_not_go_on(error: Exception) -> None:
    feed = fed([RM], error, [RM])
    assert (feed.model.total.events, feed.failure) == (1, error)


def test_a_defect_is_a_reason() -> None:
    feed = fed([RM], [{"ret": 0}])  # type: ignore[typeddict-item]
    assert isinstance(feed.failure, KeyError)
