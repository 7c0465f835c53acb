"""The window of a rule, beside a plain model."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rawtp._alert.window import Window


def test_enough_in_time() -> None:
    window = Window(3, 10)
    assert [window.add(at, at) for at in (0, 5, 9)] == [False, False, True]


def test_the_beginning_is_outside() -> None:
    window = Window(3, 10)
    assert [window.add(at, at) for at in (0, 5, 10, 14)] == [False, False, False, True]


def test_out_of_order() -> None:
    window = Window(3, 10)
    assert [window.add(at, 100) for at in (20, 12, 10, 11)] == [False, False, False, True]
    assert (window.first_ns, window.last_ns, len(window)) == (11, 20, 3)


def test_a_clock_that_is_set_back() -> None:
    window = Window(2, 10)
    assert not window.add(1000, 1000)
    # An hour back, so to say: what was, is now.
    assert window.add(500, 500)
    assert window.last_ns == 500


def test_times_of_the_future() -> None:
    window = Window(2, 10)
    assert not window.add(10**18, 100)
    assert window.last_ns == 100
    assert not window.add(110, 110)


def test_it_is_over() -> None:
    window = Window(2, 10)
    assert window.is_over(0)
    window.add(5, 5)
    assert (window.is_over(14), window.is_over(15)) == (False, True)


@given(
    st.integers(1, 6),
    st.integers(1, 20),
    st.lists(st.tuples(st.integers(0, 15), st.integers(0, 8)), max_size=60),
)
def test_it_counts_as_the_model_does(count: int, length: int, steps: list[tuple[int, int]]) -> None:
    """The clock goes on by one number, and the event is late by the other."""
    window, model, now = Window(count, length), list[int](), 0
    for step, late in steps:
        now += step
        at = max(now - late, 0)
        model.append(at)
        latest = max(model)
        expected = sum(latest - length < time <= latest for time in model)
        is_enough = window.add(at, now)
        assert (is_enough, len(window)) == (expected >= count, expected)
        if is_enough:
            window, model = Window(count, length), []
