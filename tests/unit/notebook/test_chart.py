"""The chart: which bars, how high, under which names."""

from __future__ import annotations

import io
import subprocess
import sys
from typing import TYPE_CHECKING, cast

import matplotlib.style
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.colors import to_rgb
from PIL import Image

from helpers.samples import RM
from rawtp import notebook
from rawtp.formats.timestamp import Clock
from rawtp.notebook._chart import bar_ns

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
    assert bars(chart) == [[2, 0, 0, 0, 0, 0, 0, 1], [1, 0, 0, 0, 1, 0, 0, 0]]
    [axes] = chart.figure.axes
    assert axes.get_title() == "5 events in 120 seconds"
    assert axes.get_ylabel() == "events in each 15 seconds"
    assert axes.get_xlabel() == f"seconds after {Clock().of_date(RM['ts_ns'])}"
    legend = axes.get_legend()
    assert legend is not None
    assert legend.get_title().get_text() == "process (comm)"
    assert repr(chart) == "<chart of 5 events>"


def test_of_a_short_time_the_unit_is_a_shorter_one() -> None:
    [axes] = notebook.chart(events((0, "rm"), (0.03, "rm"))).figure.axes
    assert axes.get_title() == "2 events in 30 milliseconds"
    assert axes.get_ylabel() == "events in each 5 milliseconds"


@pytest.mark.parametrize(
    ("span_s", "title", "each"),
    [
        (0, "3 events in 0 milliseconds", "0.001 milliseconds"),
        (1, "3 events in 1 seconds", "100 milliseconds"),
        (599, "3 events in 599 seconds", "minute"),
        (600, "3 events in 10 minutes", "minute"),
        (35_999, "3 events in 600 minutes", "hour"),
        (86_400, "3 events in 24 hours", "3 hours"),
        (30 * 86_400, "3 events in 30 days", "5 days"),
    ],
)
def test_times_are_told_as_people_count_them(span_s: float, title: str, each: str) -> None:
    [axes] = notebook.chart(events((0, "rm"), (span_s / 2, "rm"), (span_s, "rm"))).figure.axes
    assert (axes.get_title(), axes.get_ylabel()) == (title, f"events in each {each}")
    unit = title.split(" ")[-1]
    assert axes.get_xlabel() == f"{unit} after {Clock().of_date(RM['ts_ns'])}"
    # The last event is in the picture.
    assert axes.get_xlim()[1] * {"milliseconds": 1e-3, "seconds": 1, "minutes": 60, "hours": 3600}.get(unit, 86400) >= (
        span_s
    )


def test_a_dark_style_is_followed() -> None:
    for style, page, ink in (("default", (1, 1, 1), (0, 0, 0)), ("dark_background", (0, 0, 0), (1, 1, 1))):
        with matplotlib.style.context(style):
            chart = notebook.chart(events((0, "rm"), (1, "make")))
            picture = Image.open(io.BytesIO(chart._repr_png_())).convert("RGBA")
        [axes] = chart.figure.axes
        assert picture.getpixel((0, 0)) == (*(255 * part for part in page), 255)
        assert {to_rgb(text.get_color()) for text in (axes.title, axes.xaxis.label, axes.yaxis.label)} == {ink}
        assert {bar.get_edgecolor()[:3] for container in axes.containers for bar in container} == {ink}


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


@given(st.floats(0, 1e21))
def test_a_bar_is_of_a_nice_length(least_ns: float) -> None:
    found_ns = bar_ns(least_ns)
    assert found_ns >= least_ns
    assert found_ns <= max(least_ns * 2.6, 1.1e3)
    amounts = [found_ns / unit_ns for unit_ns in (86_400e9, 3600e9, 60e9, 1e9, 1e6)]
    assert any(f"{amount:.6e}".startswith(("1.000", "2.000", "5.000", "3.000", "6.000")) for amount in amounts)


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
