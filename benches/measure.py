"""A figure, and what repeated measurements say about it. Pure."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from benches.targets import Target

T = TypeVar("T")


def spread(values: Sequence[float]) -> float:
    """The distance between the quartiles: half of the values lie within it."""
    if len(values) < 2:
        return 0.0
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return high - low


def percentile(values: Sequence[float], percent: float) -> float:
    """The value that so many percent do not exceed: one that was measured, not one between two."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100).__int__() - 1)]


def ratios(values: Sequence[float], base: Sequence[float]) -> tuple[float, ...]:
    """Round by round: what disturbs a round disturbs both."""
    return tuple(value / basis for value, basis in zip(values, base, strict=True))


def differences(values: Sequence[float], base: Sequence[float]) -> tuple[float, ...]:
    """Round by round, as :func:`ratios`."""
    return tuple(value - basis for value, basis in zip(values, base, strict=True))


@dataclass(frozen=True)
class Row:
    """One line of the table. ``values`` and each of ``ratios`` have one entry a round."""

    key: str
    theme: str
    name: str
    unit: str
    values: tuple[float, ...] = ()
    ratios: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    """To what (``"bare"``, ``"floor"``), and how often that."""
    note: str = ""

    @property
    def median(self) -> float:
        """Of the values."""
        return statistics.median(self.values)

    @property
    def spread(self) -> float:
        """Of the values."""
        return spread(self.values)

    def ratio(self, base: str) -> float | None:
        """The median of the rounds' ratios."""
        return statistics.median(self.ratios[base]) if base in self.ratios else None

    def figure(self, of: str) -> float | None:
        """What a target speaks of; ``None`` when it was not measured."""
        if not self.values:
            return None
        if of == "median":
            return self.median
        if of == "most":
            return max(self.values)
        return self.ratio(of)


def verdict(row: Row, target: Target | None) -> str:
    """What to print in the last column."""
    if target is None:
        return ""
    figure = row.figure(target.of)
    if figure is None:
        return "not measured"
    return "met" if figure <= target.limit else "missed"


class Rounds(Generic[T]):
    """Cases measured in turns."""

    def __init__(self, cases: Mapping[str, Callable[[], T]], rounds: int) -> None:
        self.found: dict[str, list[T]] = {name: [] for name in cases}
        names = list(cases)
        for at in range(rounds):
            # Each round begins with another one: none profits from its place.
            for name in names[at % len(names) :] + names[: at % len(names)]:
                self.found[name].append(cases[name]())

    def __getitem__(self, name: str) -> tuple[T, ...]:
        return tuple(self.found[name])


def straightness(xs: Sequence[float], ys: Sequence[float]) -> float:
    """How far the worst point lies from the best straight line: 1.0 is on it, 1.5 half as much again, or two thirds.

    The line is the one of least relative squares, so that small figures count as much as large ones.
    """
    weights = [1 / (y * y) for y in ys]
    total = sum(weights)
    mean_x = sum(w * x for w, x in zip(weights, xs, strict=True)) / total
    mean_y = sum(w * y for w, y in zip(weights, ys, strict=True)) / total
    over = sum(w * (x - mean_x) * (y - mean_y) for w, x, y in zip(weights, xs, ys, strict=True))
    under = sum(w * (x - mean_x) ** 2 for w, x in zip(weights, xs, strict=True))
    slope = over / under if under else 0.0
    line = [mean_y + slope * (x - mean_x) for x in xs]
    return max(max(y / at, at / y) if at > 0 else float("inf") for y, at in zip(ys, line, strict=True))
