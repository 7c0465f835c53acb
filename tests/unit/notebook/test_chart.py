"""The chart: which bars, how high, under which names."""

from __future__ import annotations

import io
import subprocess
import sys
from typing import TYPE_CHECKING, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from helpers.samples import RM
from rawtp import notebook
from rawtp.notebook._chart import nice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rawtp.event import Event
    from rawtp.notebook._chart import Chart


def events(*calls: tuple[float, str]) -> list[Event]:
    return [{**RM, "ts_ns": RM["ts_ns"] + round(at_s * 1e9), "comm": comm} for at_s, comm in calls]


def bars(chart: Chart) -> list[list[int]]:
    """The heights, by name and then in time."""
    [axes] = chart.figure.axes
    return [[round(bar.get_height()) for bar in container] for container in axes.containers]


def names(chart: Chart) -> list[str]:
    [axes] = chart.figure.axes
    legend = axes.get_legend()
    assert legend is not None
    return [text.get_text() for text in legend.get_texts()]


def test_each_event_is_in_its_bar() -> None:
    chart = notebook.chart(events((0, "rm"), (0.1, "make"), (0.2, "make"), (119.9, "make"), (60.5, "rm")))
    assert names(chart) == ["make", "rm"]
    assert bars(chart) == [[2, 0, 0, 0, 0, 1], [1, 0, 0, 1, 0, 0]]
    [axes] = chart.figure.axes
    assert axes.get_ylabel() == "events in 20 s"
    assert axes.get_xlabel().startswith("s after ")
    assert repr(chart) == "<chart of 5 events>"


def test_of_a_short_time_the_unit_is_a_shorter_one() -> None:
    [axes] = notebook.chart(events((0, "rm"), (0.03, "rm"))).figure.axes
    assert axes.get_ylabel() == "events in 5 ms"


def test_of_many_events_the_bars_are_shorter() -> None:
    chart = notebook.chart(events(*[(number / 10, "rm") for number in range(1200)]))
    assert bars(chart) == [[20] * 60]


@pytest.mark.parametrize(("count", "shown"), [(7, 7), (8, 8), (9, 8)])
def test_rare_names_are_one(count: int, shown: int) -> None:
    chart = notebook.chart(events(*[(0, f"p{number}") for number in range(count) for _ in range(20 - number)]))
    assert len(names(chart)) == shown
    assert names(chart)[:7] == [f"p{number}" for number in range(7)]
    assert names(chart)[7:] == {7: [], 8: ["p7"], 9: ["2 others"]}[count]
    assert sum(map(sum, bars(chart))) == sum(20 - number for number in range(count))


def test_names_are_not_formulas_and_none_is_left_out() -> None:
    hostile = ["_hidden", "$x^2$", "$", "\\frac", "\x1b[2J", "日本", "кот", "<b>", "a\nb"]
    chart = notebook.chart(events(*[(0, name) for name in hostile[:8]]))
    image = Image.open(io.BytesIO(chart._repr_png_()))
    assert image.format == "PNG"
    assert sorted(names(chart)) == sorted(
        ["_hidden", "$x^2$", "$", r"\\frac", r"\x1b[2J", r"\u65e5\u672c", "кот", '"<b>"']
    )


@settings(max_examples=20, deadline=None)  # matplotlib draws each bar
@given(st.lists(st.tuples(st.floats(0, 1e6), st.sampled_from("abcdefghijk"))))
def test_the_sum_is_exact(calls: Sequence[tuple[float, str]]) -> None:
    chart = notebook.chart(events(*calls))
    assert sum(map(sum, bars(chart))) == len(calls)
    assert all(len(row) <= 61 for row in bars(chart))


@given(st.floats(0, 1e12))
def test_a_bar_is_of_a_nice_length(least: float) -> None:
    found = nice(least)
    assert found >= least
    assert found <= max(least * 2.6, 1.1e-3)
    assert f"{found:.3e}"[0] in "125"


def test_by_another_key() -> None:
    assert names(notebook.chart([RM, {**RM, "uid": 0}, {**RM, "uid": 0}], by="uid")) == ["0", "1000"]


def test_wrong_events() -> None:
    with pytest.raises(ValueError, match=r"^the events have no 'exe_': make the tracer with fields that name it$"):
        notebook.chart([RM], by="exe_")
    with pytest.raises(ValueError, match=r"^the events have no 'ts_ns'"):
        notebook.chart([cast("Event", {"comm": "rm"})])


def test_without_matplotlib_it_says_what_to_install() -> None:
    source = """
import sys
sys.modules["matplotlib"] = None
from rawtp import notebook
try:
    notebook.chart([])
except ImportError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("a chart needs matplotlib: pip install 'rawtp[notebook]'\n", "")
