"""The table, the JSON and BENCHMARKS.md. Pure: rows to text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benches.measure import verdict
from benches.targets import TARGETS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benches.growth import Curve
    from benches.measure import Row
    from benches.peers import Peer

HEAD = ("figure", "median", "spread", "unit", "÷ bare", "÷ floor", "target", "")
PEER_HEAD = ("tool", "delivered", "slowdown", "÷ rawtp's", "first event ms", "peak memory MB", "")
OF = {"bare": " × bare", "floor": " × floor", "median": "", "most": " in each run"}
RAWTP = "rawtp_all"
FINDINGS = "## Findings"
PREFACE = """Written by `make bench ARGS=--write`, all but the findings at the end. `benches/` is the source.

Each figure is measured in turns with its baseline (A B A B); a ratio is the median of the rounds' ratios.
*bare*: nothing attached. *floor*: the least that could do the same. *spread*: the distance between the quartiles.
*undisturbed*: what was measured while another machine had a part of these cores was measured again, but for bursts,
latency and the comparison (`benches/witness.py`)."""
SLOWDOWN = "Slowdown: the time of a call, to that of one with nothing attached. What the tools print goes to memory."


def number(value: float | None) -> str:
    """Three digits, or what is before the point."""
    if value is None:
        return ""
    if value and abs(value) < 9.995:
        return f"{value:.2f}" if abs(value) >= 0.0995 else f"{value:.3f}"
    return f"{value:,.0f}" if abs(value) >= 99.95 or value == 0 else f"{value:.1f}"


def cells(row: Row) -> tuple[str, ...]:
    """One line of the table."""
    target = TARGETS.get(row.key)
    aim = f"≤ {number(target.limit)}{OF[target.of]}" if target else ""
    words = "; ".join(word for word in (verdict(row, target), row.note) if word)
    if not row.values:
        return (row.name, "", "", row.unit, "", "", aim, words)
    floor, bare = number(row.ratio("floor")), number(row.ratio("bare"))
    return (row.name, number(row.median), number(row.spread), row.unit, bare, floor, aim, words)


def peer_cells(peer: Peer, others: Sequence[Peer]) -> tuple[str, ...]:
    """One line of the peers' table."""
    figures = peer.figures()
    if figures is None:
        return (peer.name, "", "", "", "", "", peer.note)
    own = next((other.figures() for other in others if other.key == RAWTP), None)
    to_own = number(figures["slowdown"] / own["slowdown"]) if own else ""
    return (
        peer.name,
        f"{figures['delivered']:.1%}",
        f"{number(figures['slowdown'])}×",
        to_own,
        number(figures["first_ms"]),
        number(figures["rss_mb"]),
        peer.note,
    )


def aligned(lines: Sequence[Sequence[str]]) -> str:
    """Columns for a terminal: the first and the last to the left, figures to the right."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    last = len(widths) - 1
    return "\n".join(
        "  ".join(
            cell.ljust(width) if at in (0, last) else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def markdown(lines: Sequence[Sequence[str]]) -> str:
    """The same as a table of Markdown."""
    rule = ["---", *["---:"] * (len(lines[0]) - 2), "---"]
    return "\n".join(
        f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in [lines[0], rule, *lines[1:]]
    )


def tables(rows: Sequence[Row], peers: Sequence[Peer]) -> list[list[tuple[str, ...]]]:
    """The table of the figures, and the one of the peers; those that were measured."""
    found = []
    if rows:
        found.append([HEAD, *map(cells, rows)])
    if peers:
        found.append([PEER_HEAD, *(peer_cells(peer, peers) for peer in peers)])
    return found


def as_json(
    machine: Mapping[str, object], rows: Sequence[Row], peers: Sequence[Peer], curves: Sequence[Curve]
) -> dict[str, Any]:
    """All that was measured, each round included."""
    return {
        "machine": dict(machine),
        "rows": [
            {
                "key": row.key,
                "theme": row.theme,
                "name": row.name,
                "unit": row.unit,
                "values": list(row.values),
                "median": row.median if row.values else None,
                "spread": row.spread if row.values else None,
                "ratios": {base: row.ratio(base) for base in row.ratios},
                "target": TARGETS[row.key]._asdict() if row.key in TARGETS else None,
                "verdict": verdict(row, TARGETS.get(row.key)),
                "note": row.note,
            }
            for row in rows
        ],
        "peers": [
            {
                "key": peer.key,
                "name": peer.name,
                "note": peer.note,
                "runs": [run._asdict() for run in peer.runs],
                "medians": peer.figures(),
                "to_rawtp": _to_rawtp(peer, peers),
            }
            for peer in peers
        ],
        "growth": [curve._asdict() for curve in curves],
    }


def _to_rawtp(peer: Peer, peers: Sequence[Peer]) -> dict[str, float] | None:
    """Each figure, ÷ that of rawtp with all it has."""
    figures = peer.figures()
    own = next((other.figures() for other in peers if other.key == RAWTP), None)
    if figures is None or own is None:
        return None
    return {name: value / own[name] for name, value in figures.items() if own[name]}


def page(machine: Mapping[str, object], rows: Sequence[Row], peers: Sequence[Peer], findings: str) -> str:
    """BENCHMARKS.md. ``findings`` is the part of it that is written by hand, and kept."""
    told = "\n".join(f"- {what}: {value}" for what, value in machine.items())
    found = tables(rows, peers)
    return (
        "\n\n".join(
            [
                "# Benchmarks",
                PREFACE,
                told,
                *map(markdown, found),
                SLOWDOWN,
                "![what arrives, and what the caller pays](benches/peers.svg)",
                "![cost as the work grows](benches/growth.svg)",
                f"{FINDINGS}\n\n{findings.strip()}" if findings.strip() else FINDINGS,
            ]
        )
        + "\n"
    )


def findings_of(page_before: str) -> str:
    """What was written by hand on a page that is to be written anew."""
    return page_before.partition(f"\n{FINDINGS}\n")[2].strip()
