"""A report as Markdown, which GitHub shows on a job's page and a notebook below a cell."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

from rawtp.formats import ledger
from rawtp.formats.escape import printable, shortened, size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rawtp._report import Report
    from rawtp._report.losses import Loss

_MAX_ROWS = 200
_MAX_CELLS, _MAX_COMMAND = 160, 400
_WORDS = {
    "deleted": "deleted",
    "removed": "directory removed",
    "overwritten": "overwritten",
    "truncated": "truncated",
    "moved": "moved",
}


def text(report: Report) -> str:
    """The report. No name in it becomes markup, or hides."""
    losses = report.losses
    lines = [f"## What {code(shlex.join(report.command), _MAX_COMMAND, in_table=False)} made go", ""]
    for condition in report.broken:
        lines.append(f"- **fails:** {code(condition, in_table=False)}")
    passed = [one for one in report.conditions.texts if one not in report.broken]
    lines += [f"- passes: {code(condition, in_table=False)}" for condition in dict.fromkeys(passed)]
    if report.conditions.texts:
        lines.append("")
    kinds = [f"{losses.by_kind[kind]} {word}" for kind, word in _WORDS.items() if losses.by_kind[kind]]
    went = f"{', '.join(kinds)}; {_bytes(report)}" if kinds else "Nothing went"
    lines.append(f"{went}. {ledger.counted(losses.failed, 'attempt')} failed. Exit code {report.returncode}.")
    if report.problems:
        lines += ["", *(f"- **not complete:** {code(problem, in_table=False)}" for problem in report.problems)]
    rows = sorted(losses.listed, key=lambda loss: not loss.failing)
    if rows:
        lines += ["", "| | path | size | by | in git |", "|---|---|---|---|---|"]
        lines += [_row(report, loss) for loss in rows[:_MAX_ROWS]]
    if rest := len(rows) - _MAX_ROWS if len(rows) > _MAX_ROWS else 0:
        lines += ["", f"{rest} more are not shown; the JSON report has them."]
    if losses.unlisted:
        lines += ["", f"{ledger.events(losses.unlisted)} beyond these are counted only."]
    return "\n".join(lines) + "\n"


def code(name: str, cells: int = _MAX_CELLS, *, in_table: bool = True) -> str:
    """Any text as a code span that stays one. In a table a bar needs a backslash, which is not shown there."""
    shown = shortened(printable(name), cells)
    if in_table:
        shown = shown.replace("|", r"\|")
    longest = max(map(len, re.findall("`+", shown)), default=0)
    fence = "`" * (longest + 1)
    # One blank at each end is taken off, unless there is nothing else.
    blank = " " if shown.startswith(("`", " ")) or shown.endswith(("`", " ")) or not shown else ""
    return f"{fence}{blank}{shown}{blank}{fence}"


def _bytes(report: Report) -> str:
    losses = report.losses
    if not losses.unknown_sizes:
        return f"{size(losses.bytes)} of content"
    if losses.unknown_sizes == losses.count:
        return "sizes are not known"
    return f"{size(losses.bytes)} of content, and of {ledger.events(losses.unknown_sizes)} the size is not known"


def _row(report: Report, loss: Loss) -> str:
    kind = _WORDS[loss.kind] + (f" {loss.count} times" if loss.count > 1 else "")
    path = code(report.relative(loss.path)) if loss.path is not None else "not known"
    if loss.other is not None and loss.kind == "moved":
        path += f" to {code(report.relative(loss.other))}"
    bytes_ = "" if loss.kind in {"removed", "moved"} else "?" if loss.bytes is None else size(loss.bytes)
    marks: Sequence[str] = ["**fails**", kind] if loss.failing else [kind]
    return f"| {' '.join(marks)} | {path} | {bytes_} | {code(loss.comm)} ({loss.pid}) | {_git(report, loss)} |"


def _git(report: Report, loss: Loss) -> str:
    found = report.recovery.get(loss.path or "")
    if not loss.is_of_content:
        return ""
    if found is None:
        return "no"
    same = ", unchanged" if found.is_unchanged else ""
    return f"{', '.join(found.where)}{same}"
