"""Runs a command and gives what it deletes: :func:`rawtp.run`."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rawtp._core import Stats, Tracer
from rawtp._run.child import Child, readable, words_of
from rawtp._warn import warn

if TYPE_CHECKING:
    from collections.abc import Iterable

    from typing_extensions import Unpack

    from rawtp._options import RunOptions
    from rawtp.event import Event


_AT_ONCE = 4096


@dataclass(frozen=True)
class RunResult:
    """The result of :func:`rawtp.run`."""

    events: list[Event]
    """The calls of the command and its descendants, in the order in which they ended."""
    returncode: int
    """The command's exit code; 128 + n when signal n ended it, as shells have it (and not -n, as subprocess does)."""
    stats: Stats
    """The ledger, final."""


def run(
    command: Iterable[str | bytes | os.PathLike[str] | os.PathLike[bytes]], **options: Unpack[RunOptions]
) -> RunResult:
    """Run a command to its end, and give what it and its descendants deleted meanwhile.

    It is watched from its first call on. Its user, standard streams, environment and working directory are this
    process's; no shell is involved. All events are kept in memory: for more than that can hold, let the command line,
    ``rawtp -- COMMAND``, write them to a file.

    ::

        result = rawtp.run(["make", "clean"], outcome="ok")
        print(len(result.events), "deletions, exit code", result.returncode)

    Descendants that outlive the command, such as daemons, are seen up to the moment at which the command itself ends,
    and run on. A KeyboardInterrupt comes out when the command has ended: it got the terminal's SIGINT, too. A second
    one kills it, and so does any other exception, such as a signal handler's. Where eventlet has patched the standard
    library, other green threads run meanwhile.

    Args:
        command: the program, looked for on ``PATH``, and its arguments.
        options: what :class:`rawtp.Tracer` takes, by name, but ``pid`` and ``follow``: filters narrow down what is
            given of the command, such as ``path="/srv"`` or ``outcome="failed"``.

    Raises:
        TypeError: ``command`` is a single str, or an option is none, or ``pid`` or ``follow``.
        ValueError: ``command`` is empty.
        FileNotFoundError: there is no such program.
        PermissionError: it is not executable; or what :class:`rawtp.Tracer` needs is missing.
        RawtpError: this process is not in the host's pid namespace, as in a container.
        Exception: whatever ``rawtp.Tracer(**options)`` raises. The command has not run then.
    """
    for name in ("pid", "follow"):
        if name in options:
            raise TypeError(f"rawtp.run() takes no {name!r}: it follows the command")
    with Child(words_of(command), os.environb) as child:
        with Tracer(pid=child.pid, follow=True, **options) as tracer:
            child.release()
            events = _taken(tracer, child)
        events += tracer
        result = RunResult(events, child.wait(), tracer.stats())
    syscalls = tracer.coverage["syscalls"]
    if syscalls["hook"] is None:
        why = syscalls["reason"]
        warn(f"the watching was ended ({why}): what the command did from then on is not among the events")
    return result


def _taken(tracer: Tracer, child: Child) -> list[Event]:
    """The events up to the command's end, taken as they come: the queue stays short, however long it runs."""
    events: list[Event] = []
    fd = tracer.fileno()
    while child.pidfd not in readable(fd, child.pidfd):
        if tracer.closed:  # by a broker; the command runs on
            break
        with suppress(ValueError):  # closed meanwhile
            events += tracer._take(_AT_ONCE, 0)
    return events
