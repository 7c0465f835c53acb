"""Terminals as SVG. Lines can appear one after the other, as in a recording; the last state then stays.

The text stays text: it can be searched, read aloud, and compared by a test. Nothing is fetched, and no script runs.
"""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING, NamedTuple

from rawtp.formats.ansi import FAILURE, LOSS
from rawtp.formats.escape import width

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_CELL, _LINE, _MARGIN, _BAR = 8.4, 19, 14, 30
_FONT = "ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono','Liberation Mono',monospace"
_STYLE = f"""\
.frame{{fill:#161b22;stroke:#30363d}}
.title{{fill:#9198a1;font:12px {_FONT}}}
text{{fill:#e6edf3;font:14px {_FONT};white-space:pre}}
.prompt{{fill:#7ee787}}
.failure{{fill:#ff7b72}}
.loss{{fill:#e3b341;font-weight:bold}}
.late{{animation:appear .01s both}}
@keyframes appear{{from{{opacity:0}}to{{opacity:1}}}}
@media (prefers-reduced-motion:reduce){{.late{{animation:none}}}}"""
_SPAN = re.compile(r"\x1b\[([\d;]*)m")
_CLASSES = {FAILURE: "failure", LOSS: "loss"}


class Line(NamedTuple):
    """A line of a terminal."""

    text: str
    """What a format returned, with its colours; a line that begins with ``$`` was typed."""
    at_s: float = 0.0
    """The time in seconds after which it appears."""


class Terminal(NamedTuple):
    """One terminal of a picture."""

    title: str
    lines: Sequence[Line]


def drawn(description: str, terminals: Sequence[Terminal], columns: int) -> str:
    """The picture, one terminal above the other, each as wide as so many columns."""
    across = columns * _CELL + 2 * _MARGIN
    parts: list[str] = []
    top = 0.0
    for terminal in terminals:
        down = _BAR + _LINE * len(terminal.lines) + _MARGIN
        parts.append(
            f'<rect class="frame" x=".5" y="{top + 0.5:g}" width="{across - 1:g}" height="{down - 1:g}" rx="7"/>'
        )
        parts.append(f'<text class="title" x="{_MARGIN}" y="{top + 20:g}">{escape(terminal.title)}</text>')
        for at, line in enumerate(terminal.lines):
            parts.append(_row(line, top + _BAR + _LINE * at + 14))
        top += down + 8
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" xml:space="preserve" role="img" viewBox="0 0 {across:g} {top - 8:g}"'
        f' width="{across:g}" height="{top - 8:g}">'
    )
    return "\n".join([head, f"<title>{escape(description)}</title>", f"<style>{_STYLE}</style>", *parts, "</svg>", ""])


def _row(line: Line, y: float) -> str:
    spans = list(_spans(line.text))
    cells = sum(width(text) for _, text in spans)
    late = f' class="late" style="animation-delay:{line.at_s:g}s"' if line.at_s else ""
    # Whatever font the reader has, columns stay aligned.
    size = f' textLength="{cells * _CELL:.1f}"' if cells else ""
    inner = "".join(f'<tspan class="{name}">{escape(text)}</tspan>' if name else escape(text) for name, text in spans)
    return f'<text{late} x="{_MARGIN}" y="{y:g}"{size}>{inner}</text>'


def _spans(text: str) -> Iterable[tuple[str, str]]:
    """The text in pieces of one colour each, with the colour's class."""
    if text.startswith("$"):
        yield "prompt", "$"
        text = text[1:]
    name = ""
    for at, piece in enumerate(_SPAN.split(text)):
        if at % 2:
            name = _CLASSES.get(f"\x1b[{piece}m", "")
        elif piece:
            yield name, piece
