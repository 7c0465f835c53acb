"""The raw tracepoints that :class:`rawtp.RawTracepoint` can watch here."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import NamedTuple

from rawtp._core import _tracepoints


class Tracepoint(NamedTuple):
    """A raw tracepoint of the running kernel or of one of its modules."""

    name: str
    """Its name, for :class:`rawtp.RawTracepoint`."""
    module: str | None
    """The module that has it; ``None`` for the kernel itself."""
    arguments: dict[str, str]
    """The names of its arguments, and their types as C writes them: ``{"p": "struct task_struct *"}``."""


def tracepoints(pattern: str = "*") -> list[Tracepoint]:
    """List the raw tracepoints whose names match, the kernel's own first, then each module's.

    They are read from the kernel's type information, which needs no privilege.

    Args:
        pattern: a glob, such as ``"sched_*"``.

    Raises:
        TypeError: the pattern is no str.
        UnsupportedKernelError: the kernel has no BTF.
        MemoryError: this process has too little memory.
    """
    if not isinstance(pattern, str):
        raise TypeError(f"pattern must be a str, not {type(pattern).__name__}")
    return [Tracepoint(*found) for found in _tracepoints() if fnmatchcase(found[0], pattern)]
