"""Runs a command and gives what it deletes: :func:`rawtp.run`."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rawtp._core import Stats, Tracer
from rawtp._run.child import Child, readable, words_of
from rawtp._warn import warn
from rawtp.formats import ledger

if TYPE_CHECKING:
    from collections.abc import Iterable

    from typing_extensions import Unpack

    from rawtp._options import RunOptions
    from rawtp._report import Report
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
    command: tuple[str, ...] = field(default=(), compare=False)
    """The command's words."""
    directory: str | None = field(default=None, compare=False)
    """The working directory that the command began in; ``None`` where it was gone."""
    start_ns: int | None = field(default=None, compare=False)
    """Unix time at which the command was started, in nanoseconds."""

    def report(self, fail_if: Iterable[str] = ()) -> Report:
        """Report what the command deleted, overwrote, truncated and moved, and what git still has of it.

        A notebook shows it as a table; ``to_markdown()``, ``to_json()`` and ``to_sarif()`` give texts, ``as_dict()``
        plain values, and ``broken`` the conditions that hold. Keys that ``fields`` left out of the events are not known
        to it. git is asked now, for 10 seconds at the most.

        Args:
            fail_if: conditions: ``"outside=DIR"``, ``"path=GLOB"``, ``"count>N"``, ``"bytes>SIZE"``.

        Raises:
            TypeError: ``fail_if`` is a single str.
            ValueError: one of them is no condition.
        """
        from rawtp._report import Report
        from rawtp._report.conditions import Conditions

        if isinstance(fail_if, str):
            raise TypeError("fail_if must be a sequence of conditions, not a str")
        made = Report(self.command, Conditions(fail_if, self.directory), self.directory)
        made.start_ns = self.start_ns
        made.add(self.events)
        counts = self.stats.as_dict()
        made.finish(self.returncode, ledger.missing(counts))
        return made


def run(
    command: Iterable[str | bytes | os.PathLike[str] | os.PathLike[bytes]], **options: Unpack[RunOptions]
) -> RunResult:
    """Run a command to its end, and give what it and its descendants deleted meanwhile.

    It is watched from its first call on, which is the execve(2) of its program; what leads there is rawtp's own, and
    is counted in ``stats.filtered``. Its user, standard streams, environment and working directory are this
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
            given of the command, such as ``path="/srv"`` or ``outcome="failed"``. With ``root`` paths are the host's,
            which ``report()`` does not expect.

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
    words = words_of(command)
    directory = _working_directory()
    start_ns = time.time_ns()
    with Child(words, os.environb) as child:
        with Tracer(pid=child.pid, follow=True, _from_exec=True, **options) as tracer:
            child.release()
            events = _taken(tracer, child)
        events += tracer
        shown = tuple(map(os.fsdecode, words))
        result = RunResult(events, child.wait(), tracer.stats(), shown, directory, start_ns)
    syscalls = tracer.coverage["syscalls"]
    if syscalls["hook"] is None:
        why = syscalls["reason"]
        warn(f"the watching was ended ({why}): what the command did from then on is not among the events")
    return result


def _working_directory() -> str | None:
    try:
        return os.getcwd()  # noqa: PTH109 - as real_path names it
    except OSError:
        return None


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
