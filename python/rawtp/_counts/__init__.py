"""Counts system calls in the kernel: :class:`rawtp.Counts` and :func:`rawtp.counts`."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from dataclasses import replace
from threading import TIMEOUT_MAX
from typing import TYPE_CHECKING

from rawtp._core import CallCounter
from rawtp._counts.result import CountRow, CountsResult
from rawtp._run.child import Child, words_of
from rawtp._warn import warn

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType
    from typing import Any

    from typing_extensions import Self, Unpack

    from rawtp._options import CountsOptions

__all__ = ["CountRow", "Counts", "CountsResult", "counts"]

_BY = ("syscall", "process")


class Counts:
    """Counts the system calls of this host in the kernel. No event is sent, and nothing is read until you ask.

    ::

        with rawtp.Counts(latency=True) as counts:
            time.sleep(10)
            print(counts.read())

    It counts from its making on until :meth:`close`, which the end of the ``with`` calls. What was counted can be read
    after that, too. Counting by call alone adds some nanoseconds to every call of the host; ``by="process"`` and
    ``latency=True`` cost more: see ``docs/explanation/costs.md``.

    A call is counted when it begins. Its error and its time are counted when it returns, so a call that has not
    returned, or never does (``exit``), has no time. A call that a seccomp filter refuses never begins: it is counted by
    its error.

    Args:
        syscalls: names of calls, or groups as in :class:`rawtp.Tracer`. ``None``, or ``"all"``, is every call, with one
            row for the numbers that have no name.
        by: ``"syscall"``: a row a call. ``"process"``: a row for each call of each process. A process is a pid and the
            name of its main thread, so a process that runs another program has other rows from then on.
        latency: measure how long calls take. It takes 8 bytes of kernel memory for each possible thread id, which is
            32 MiB where ``kernel.pid_max`` is four million, and some 300 bytes for each call and CPU.
        pid: these processes only.
        follow: with ``pid``: their descendants too, if born from now on.
        uid: these users only: real, effective or file-system uid.
        comm: tasks of these names only; ``"NAME*"``: names with this beginning.
        cgroup: these cgroups (version 2) and all below.
        exclude_self: leave out this process. Its own calls are counted with ``False`` only.
        max_rows: the most rows of processes, at most 4,194,304. What finds no room is counted by call, in rows without
            a process: :attr:`CountsResult.others`.
        sudo: where this process lacks the privilege, have a helper load under sudo(8), as :class:`rawtp.Tracer` does.
        broker: the path of the socket of a broker, who loads. It counts the calls of this process's user alone, unless
            it allows all. When it ends, so does the counting: :attr:`CountsResult.ended`. Neither of these two goes
            with ``by="process"``, of which each read takes privilege.

    Raises:
        ValueError: an argument outside its rule.
        TypeError: an argument of the wrong type.
        PermissionError: this process may not load BPF programs; or sudo, or the broker, refuses.
        UnsupportedKernelError: the kernel lacks something.
        LoadError: the kernel refused a program.
    """

    def __init__(self, **options: Unpack[CountsOptions]) -> None:
        given = dict(options)
        by = given.pop("by", "syscall")
        if by not in _BY:
            raise ValueError(f"by must be one of {', '.join(map(repr, _BY))}, not {by!r}")
        self._by_process = by == "process"
        self._has_times = bool(given.get("latency", False))
        self._counter = CallCounter(by_process=self._by_process, **given)  # type: ignore[arg-type]

    @classmethod
    def _of(cls, child: Child, options: Mapping[str, Any]) -> Self:
        """Count the calls of a command and its descendants, from its exec on."""
        given: Any = {**options, "pid": child.pid, "follow": True, "_from_exec": True}
        return cls(**given)

    def read(self) -> CountsResult:
        """What was counted up to now, or up to the close.

        Raises:
            RuntimeError: in a forked child.
        """
        return CountsResult._read(self._counter.read(), has_times=self._has_times, by_process=self._by_process)

    def close(self) -> None:
        """Stop counting. May be called again."""
        self._counter.close()

    @property
    def closed(self) -> bool:
        """Whether it is closed."""
        return self._counter.closed

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<rawtp.Counts {'closed' if self.closed else 'open'}>"


def counts(
    seconds: float | Iterable[str | bytes | os.PathLike[str] | os.PathLike[bytes]] = 1.0,
    **options: Unpack[CountsOptions],
) -> CountsResult:
    """Count the system calls of this host for some seconds, or those of a command.

    ::

        print(rawtp.counts())
        rawtp.counts(5, by="process", latency=True, cgroup="/system.slice").to_arrow()
        rawtp.counts(["make"], latency=True)

    Args:
        seconds: how long, at least 0. Or a command: its words, as :func:`rawtp.run` takes them. It is run to its end,
            and its calls and those of its descendants are counted, from the execve(2) of its program on;
            :attr:`CountsResult.returncode` is its exit code.
        options: what :class:`rawtp.Counts` takes, by name; with a command, all but ``pid`` and ``follow``.

    Raises:
        ValueError: ``seconds`` is negative, or longer than any wait; or the command is empty.
        TypeError: ``seconds`` is neither a number nor a command; or ``pid`` or ``follow`` with a command.
        FileNotFoundError: there is no such program.
        Exception: whatever ``rawtp.Counts(**options)`` raises. A command has not run then.
    """
    if isinstance(seconds, Iterable):
        return _counts_of(words_of(seconds), options)
    if not isinstance(seconds, (int, float)):
        raise TypeError(f"seconds must be a number, or the words of a command, not {type(seconds).__name__}")
    if not 0 <= seconds <= TIMEOUT_MAX:
        raise ValueError(f"seconds must be from 0 to {TIMEOUT_MAX:.0f}, not {seconds!r}")
    with Counts(**options) as counting:
        time.sleep(seconds)
    return _read(counting)


def _counts_of(words: list[bytes], options: CountsOptions) -> CountsResult:
    for name in ("pid", "follow"):
        if name in options:
            raise TypeError(f"rawtp.counts() of a command takes no {name!r}: it follows the command")
    with Child(words, os.environb) as child, Counts._of(child, options) as counting:
        child.release()
        returncode = child.wait()
    return replace(_read(counting), returncode=returncode)


def _read(counting: Counts) -> CountsResult:
    found = counting.read()
    if found.ended:
        warn(f"the counting was ended ({found.ended}): what came then is not counted")
    return found
