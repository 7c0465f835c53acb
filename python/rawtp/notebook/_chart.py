"""Events over time, by process, as a picture: :func:`rawtp.notebook.chart`."""

from __future__ import annotations

import io
import math
from array import array
from collections import defaultdict
from typing import TYPE_CHECKING

from rawtp._core import Batch
from rawtp.formats import ledger
from rawtp.formats.escape import escape, shortened
from rawtp.formats.table import cell
from rawtp.formats.timestamp import Clock

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Any

    from matplotlib.figure import Figure

    from rawtp._core import Batch
    from rawtp.event import Event

_COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#222255")  # told apart by all eyes
_OTHERS = "#bbbbbb"
_MIN_BARS, _MAX_BARS = 10, 60
_BAR_EVENTS = 3  # on average: with few events, narrow bars would have one event each
_NAME_CELLS = 24
_LABELS = {
    "action": "what was done",
    "comm": "process (comm)",
    "errno": "error, - without one",
    "exe": "executable",
    "parent_comm": "parent process",
    "pid": "process id",
    "syscall": "system call",
    "uid": "user id",
    "unit": "systemd unit",
}
"""What keys are, for who does not know them."""
_UNITS = (
    ("day", 86_400_000_000_000),
    ("hour", 3_600_000_000_000),
    ("minute", 60_000_000_000),
    ("second", 1_000_000_000),
    ("millisecond", 1_000_000),
)
_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)
_MIN_UNITS = 10  # of a unit longer than a second; a shorter time is told in the next one
_CHUNK = 4096  # dicts of a batch, at a time


class Chart:
    """Bars, stacked, one colour for each of the values that come most often. It knows nothing of pyplot's state."""

    figure: Figure
    """matplotlib's."""

    def __init__(self, events: Iterable[Event] | Batch, by: str) -> None:
        try:
            from matplotlib.figure import Figure
        except ImportError as error:
            raise ImportError("a chart needs matplotlib: pip install 'rawtp[notebook]'") from error
        times = _times(events, by)
        most = sorted(times, key=lambda name: (-len(times[name]), name))
        if len(most) > len(_COLOURS) + 1:
            rest = array("q", [ts_ns for name in most[len(_COLOURS) :] for ts_ns in times[name]])
            series = [(name, times[name], colour) for name, colour in zip(most, _COLOURS, strict=False)]
            series.append((f"{len(most) - len(_COLOURS)} others", rest, _OTHERS))
        else:
            series = [(name, times[name], colour) for name, colour in zip(most, (*_COLOURS, _OTHERS), strict=False)]
        self._count = sum(map(len, times.values()))
        self.figure = Figure(figsize=(8, 3), layout="constrained")
        _draw(self.figure.subplots(), series, by)

    def _repr_png_(self) -> bytes:
        picture = io.BytesIO()
        self.figure.savefig(picture, format="png", dpi=110)
        return picture.getvalue()

    def __repr__(self) -> str:
        return f"<chart of {ledger.events(self._count)}>"


def _times(events: Iterable[Event] | Batch, by: str) -> dict[str, array[int]]:
    """By name, when."""
    times: defaultdict[str, array[int]] = defaultdict(lambda: array("q"))
    for event in _each(events):
        try:
            times[cell(event[by])].append(event["ts_ns"])  # type: ignore[literal-required]
        except KeyError as error:
            raise ValueError(f"the events have no {error}: make the tracer with fields that name it") from None
    return times


def _each(events: Iterable[Event] | Batch) -> Iterator[Event]:
    if not isinstance(events, Batch):
        yield from events
        return
    for first in range(0, len(events), _CHUNK):
        yield from events._dicts(first, _CHUNK)


def _draw(axes: Any, series: Sequence[tuple[str, array[int], str]], by: str) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    if not series:
        axes.set_axis_off()
        axes.text(0.5, 0.5, "no events", ha="center", va="center", transform=axes.transAxes)
        return
    begin = min(min(times) for _, times, _ in series)
    span_ns = max(max(times) for _, times, _ in series) - begin
    unit, unit_ns = _unit(span_ns)
    events = sum(len(times) for _, times, _ in series)
    wide_ns = bar_ns(span_ns / min(max(events // _BAR_EVENTS, _MIN_BARS), _MAX_BARS))
    wide = wide_ns / unit_ns
    count = int(span_ns / wide_ns) + 1
    left = [number * wide for number in range(count)]
    below = [0] * count
    # Bars in bright colours can be told from the page by their edges. In a dark style the ink is bright.
    ink = axes.xaxis.label.get_color()
    for _, times, colour in series:
        heights = [0] * count
        for ts_ns in times:
            heights[int((ts_ns - begin) / wide_ns)] += 1
        axes.bar(left, heights, wide, below, align="edge", color=colour, edgecolor=ink, linewidth=0.3)
        below = [one + more for one, more in zip(below, heights, strict=True)]
    axes.set_xlim(0, count * wide)
    axes.set_title(f"{ledger.events(events)} in {span_ns / unit_ns:.3g} {unit}s")
    axes.set_xlabel(f"{unit}s after {Clock().of_date(begin)}")
    axes.set_ylabel(f"events in each {_amount(wide_ns)}")
    axes.yaxis.get_major_locator().set_params(integer=True)
    # matplotlib leaves out a label that begins with an underscore, and parses text between two $ as a formula.
    numbers = [str(number) for number in range(len(series))]
    legend = axes.legend(numbers, title=_LABELS.get(by, by), frameon=False, loc="upper left")
    legend.set_bbox_to_anchor((1, 1))
    for text, (name, _, _) in zip(legend.get_texts(), series, strict=True):
        text.set_parse_math(False)
        text.set_text(_drawable(shortened(name, _NAME_CELLS)))


def _unit(span_ns: float) -> tuple[str, int]:
    """The unit that such a time is told in, and its nanoseconds."""
    *_, shortest = _UNITS
    return next(
        (one for one in _UNITS[:-1] if span_ns >= one[1] * (1 if one[0] == "second" else _MIN_UNITS)),
        shortest,
    )


def _amount(ns: float) -> str:
    """``minute``, ``2 minutes``."""
    unit, unit_ns = next((one for one in _UNITS if ns >= one[1]), _UNITS[-1])
    return unit if ns == unit_ns else f"{ns / unit_ns:g} {unit}s"


def bar_ns(least_ns: float) -> float:
    """Round up to a time that people count in: 5 ms, 15 seconds, 2 hours, 10 days. The least is a microsecond."""
    for step_s in _STEPS_S if least_ns > 0.5e9 else ():
        if step_s * 1e9 >= least_ns:
            return step_s * 1e9
    _, unit_ns = _UNITS[-1 if least_ns <= 0.5e9 else 0]
    return _nice(least_ns / unit_ns) * unit_ns


def _nice(least: float) -> float:
    """Round up to 1, 2 or 5 times a power of ten; the least is a thousandth."""
    least = max(least, 1e-3)
    power: float = 10.0 ** math.floor(math.log10(least))
    return next((power * step for step in (1, 2, 5) if power * step >= least), power * 10)


def _drawable(name: str) -> str:
    """With an escape for what the font has no picture of: two such names would look the same."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    font = get_font(findfont(FontProperties()))
    return "".join(char if font.get_char_index(ord(char)) else escape(char) for char in name)
