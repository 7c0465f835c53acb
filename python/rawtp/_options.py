"""The keyword arguments of :class:`rawtp.Tracer` and :func:`rawtp.run`, for type checkers."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable
    from typing import Literal


class RunOptions(TypedDict, total=False):
    """Keyword arguments of :func:`rawtp.run`."""

    syscalls: Iterable[str] | None
    results: bool
    fields: Iterable[str] | None
    uid: int | Iterable[int] | None
    comm: str | Iterable[str] | None
    cgroup: int | str | os.PathLike[str] | Iterable[int | str | os.PathLike[str]] | None
    path: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] | None
    exclude_self: bool
    outcome: Literal["any", "ok", "failed"]
    hook: Literal["auto", "raw_tp", "tracepoint", "vfs"]
    when: Literal["loss", "change", "always"] | None
    exclude: Iterable[str] | None
    buffers: int
    ring_bytes: int
    queue_bytes: int
    root: str | os.PathLike[str]
    sudo: bool
    broker: str | os.PathLike[str] | None


class TracerOptions(RunOptions, total=False):
    """Keyword arguments of :class:`rawtp.Tracer`."""

    pid: int | Iterable[int] | None
    follow: bool


class CountsOptions(TypedDict, total=False):
    """Keyword arguments of :class:`rawtp.Counts` and :func:`rawtp.counts`."""

    syscalls: Iterable[str] | None
    by: Literal["syscall", "process"]
    latency: bool
    pid: int | Iterable[int] | None
    follow: bool
    uid: int | Iterable[int] | None
    comm: str | Iterable[str] | None
    cgroup: int | str | os.PathLike[str] | Iterable[int | str | os.PathLike[str]] | None
    exclude_self: bool
    max_rows: int
    sudo: bool
    broker: str | os.PathLike[str] | None
