"""What the machines found live, as the table of docs/kernels.md."""

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
    '`hook="tracepoint"`',
    "32-bit calls",
)


def matrix(results: Sequence[Result]) -> str:
    """In Markdown; a kernel that did not tell has no row."""
    rows = [COLUMNS, ("---",) * len(COLUMNS)]
    for result in results:
        if result.features:
            release, hooks, tracepoints, abi = json.loads(result.features)
            live = [f"`{hook}`" if hook else "-" for hook in hooks]
            rows.append((result.name, release, *live, "yes" if tracepoints else "-", abi or "not tried"))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
