"""The rules that cannot match what is watched."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rawtp._alert.patterns import PathPattern
from rawtp._core import _NATIVE_ABI, DELETE, RENAME, TRUNCATE, _syscall_number

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from rawtp._alert.rules import Rule

_ACTIONS = {
    **dict.fromkeys(DELETE, ("delete", "rmdir")),
    **dict.fromkeys(RENAME, ("rename",)),
    **dict.fromkeys(TRUNCATE, ("truncate",)),
    "mq_unlink": ("delete",),
    "fallocate": ("punch", "zero", "collapse"),
    "ioctl": ("delete", "truncate", "punch", "zero"),
}
"""What a call can do."""
_RANGES = ("punch", "zero", "collapse")
"""Actions whose arguments say how many bytes go."""
_MAGIC = frozenset("*?[{\\")


@dataclass(frozen=True)
class Scope:
    """What a rule asks of events that the watching decides about, too. By default it asks for nothing."""

    actions: frozenset[str] = frozenset()
    paths: tuple[PathPattern, ...] = ()
    outcome: str = "any"
    has_size: bool = False

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> Scope:
        """Of a rule's table that is known to be right."""
        return cls(
            actions=frozenset(_several(table.get("action"))),
            paths=tuple(map(PathPattern, _several(table.get("path")))),
            outcome=table.get("outcome", "ok"),
            has_size="min_size" in table or "max_size" in table,
        )


def out_of_reach(
    rules: Iterable[Rule], *, syscalls: Sequence[str], paths: Sequence[str], outcome: str | None, shows_sizes: bool
) -> Iterator[str]:
    """Say of each rule that matches nothing, or less than it says, why that is.

    ``syscalls``, ``paths`` and ``outcome`` are what a tracer is asked for. ``shows_sizes``: whether it watches
    functions of the kernel, which alone show the sizes of files.
    """
    # What is no call is a group, which may have any.
    calls = _ACTIONS if any(_is_group(name) for name in syscalls) else syscalls
    possible = {action for call in calls for action in _ACTIONS.get(call, ())}
    directories = [os.path.realpath(path) for path in paths if not _MAGIC & {*path}]
    for rule in rules:
        scope = rule.scope
        if scope.actions and not scope.actions & possible:
            yield f"rule {rule.name!r} matches nothing: no call that is watched (-s) does {_listed(scope.actions)}"
        elif outcome in {"ok", "failed"} and scope.outcome not in {outcome, "any"}:
            yield f"rule {rule.name!r} matches nothing: its outcome is {scope.outcome!r}, and --outcome is {outcome}"
        elif scope.paths and len(directories) == len(paths) > 0 and not _meet(scope.paths, directories):
            # A rename from a watched directory to another is an event of both.
            has_renames = "rename" in (scope.actions or possible) & possible
            less = "only renames into its path and out of it" if has_renames else "nothing"
            yield f"rule {rule.name!r} matches {less}: its path is outside of -P/--path"
        elif scope.has_size and not shows_sizes:
            of_ranges = not scope.actions or not scope.actions.isdisjoint(_RANGES)
            yield (
                f"rule {rule.name!r} matches {'only ranges of files' if of_ranges else 'nothing'}: no function of the"
                " kernel's can be watched here, which would show the sizes of files"
            )


def _is_group(name: str) -> bool:
    return name not in _ACTIONS and _syscall_number(name, _NATIVE_ABI) is None


def _several(value: Any) -> list[str]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _listed(words: Iterable[str]) -> str:
    return " or ".join(sorted(words))


def _meet(patterns: Sequence[PathPattern], directories: Sequence[str]) -> bool:
    return any(pattern.meets(directory) for pattern in patterns for directory in directories)
