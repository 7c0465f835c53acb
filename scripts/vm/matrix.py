"""What the machines found live, and how their tests ended: the tables of docs/kernels.md."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scripts.vm.result import Result

COLUMNS = (
    "kernel",
    "release",
    "syscalls",
    "their results",
    "io_uring",
    "its results",
    "cgroups",
    "files",
    '`hook="tracepoint"`',
    "32-bit calls",
)


def matrix(results: Sequence[Result]) -> str:
    """In Markdown; a kernel that did not tell has no row."""
    rows = [COLUMNS]
    for result in results:
        if result.features:
            release, hooks, tracepoints, abi = json.loads(result.features)
            live = [f"`{hook}`" if hook else "-" for hook in hooks]
            rows.append((result.name, release, *live, "yes" if tracepoints else "-", abi or "not tried"))
    return _table(rows)


def runs(results: Sequence[Result]) -> str:
    """How many tests passed, were skipped and failed on each, and under that each reason for a skip, with how often."""
    rows = [("machine", "release", "passed", "skipped", "failed", "minutes")]
    reasons = []
    for result in results:
        if result.absent:
            rows.append((result.name, f"NOT TESTED: {result.absent}", "", "", "", ""))
            continue
        passed = result.tests - result.skipped - result.failed
        counts = (f"{passed:,}", f"{result.skipped:,}", f"{result.failed:,}", f"{result.took_s / 60:.0f}")
        rows.append((result.name, result.package.removeprefix("linux-image-"), *counts))
        skips = "; ".join(f"{count} × {reason}" for reason, count in result.reasons.most_common())
        reasons.append(f"- {result.name}: {skips or 'nothing is skipped'}")
    return "\n".join([_table(rows), "", "Skipped:", "", *reasons])


def _table(rows: Sequence[tuple[str, ...]]) -> str:
    head, *body = rows
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ("---",) * len(head), *body))
