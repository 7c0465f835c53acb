"""Reads what a recorder has recorded: :class:`rawtp.History`."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from rawtp import _root
from rawtp._containers import table
from rawtp._core import LOSS, HistoryReader, _host_path
from rawtp._history import paths
from rawtp._history.moment import window
from rawtp._warn import warn

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Literal, TypeVar

    from rawtp._core import HistoryScan
    from rawtp._history.moment import Moment

    T = TypeVar("T")

    Path = str | bytes | os.PathLike[str] | os.PathLike[bytes]

DIRECTORY = "/var/lib/rawtp"
"""The directory that ``rawtp record`` records into by default."""

_ACTIONS = ("delete", "rmdir", "rename", "truncate", "punch", "zero", "collapse")

_KEY = ("session", "via", "cpu", "seq")
"""The keys that tell one recorded event from every other one of the same directory."""


class History:
    """What ``rawtp record`` has recorded: who deleted it last night?

    It can be read while the recorder writes, by whoever may read the directory: no other privilege is needed.
    Everything that a recorder has acknowledged is found, at ``--sync`` seconds after the call at the latest.

    ::

        history = rawtp.History()
        for event in history.who("/srv/data/x", since=timedelta(days=1)):
            print(event["comm"], event["argv"], event["action"])

    ``since`` and ``until`` of all methods are a :class:`datetime.datetime`, which is local without a tzinfo; a
    :class:`datetime.timedelta`, which is the time so long ago; or an int, a Unix time in nanoseconds. The first moment
    belongs to the window, the last one does not. Both raise TypeError for another type, and ValueError for times that
    cannot be, or an ``until`` before ``since``.

    Paths are those of the host that recorded. In a container its root is mounted elsewhere, as at ``/host``: symbolic
    links are then followed there, and a relative path begins at the working directory as the host has it.

    Args:
        directory: the directory that a recorder records into, or did.
        root: where the root of that host is mounted; ``None`` is where its last recorder had it (``--root``), if that
            host's root is there, and else ``"/"``.

    Raises:
        FileNotFoundError: there is none, or nobody has recorded there; or there is no such root.
        PermissionError: this user may not read it.
        OSError: it cannot be read.
        TypeError: ``root`` is no path.
        ValueError: ``root`` is relative, or leads out of this process's mount namespace.
    """

    def __init__(
        self, directory: str | os.PathLike[str] = DIRECTORY, *, root: str | os.PathLike[str] | None = None
    ) -> None:
        self._directory = os.fsdecode(directory)
        self._root = None if root is None else _checked(root)
        try:
            self._reader = HistoryReader(directory)
        except FileNotFoundError:
            told = "there is no history: rawtp record makes one"
            raise FileNotFoundError(errno.ENOENT, told, self._directory) from None
        except PermissionError:
            told = "root may read this history, and the group of its directory"
            raise PermissionError(errno.EACCES, told, self._directory) from None

    def __repr__(self) -> str:
        return f"rawtp.History({self._directory!r})"

    @property
    def directory(self) -> str:
        """The directory that is read."""
        return self._directory

    @property
    def root(self) -> str:
        """The directory at which the root of the host that recorded is mounted, as far as that is known; else
        ``"/"``."""
        if self._root is not None:
            return self._root
        sessions = self._reader.sessions()
        return _root.of_session(sessions[-1]) if sessions else "/"

    def who(
        self,
        path: Path,
        *,
        since: Moment | None = None,
        until: Moment | None = None,
        limit: int | None = None,
        failed: bool = False,
    ) -> list[dict[str, Any]]:
        """Find what happened to a name, or to the content behind it, the latest first.

        These are events of the path itself, and of directories above it that were removed, renamed or replaced. A file
        that a rename brought to the path, or took from it, is followed to its other names.

        A path through symbolic links is looked for as it is given, and as they lead now, on the host (:attr:`root`).

        A damaged file is left out, and a RuntimeWarning names it.

        Args:
            path: as the host has it: absolute, or relative to the working directory. It need not exist.
            since: the beginning of the window; ``None`` is that of the recording.
            until: its end; ``None`` is now.
            limit: the most events, the latest ones; ``None`` has no bound.
            failed: whether attempts that failed are given, too.

        Returns:
            Dicts with the keys of :class:`rawtp.Event`, ``None`` for those that were not recorded; ``container_name``,
            ``pod``, ``namespace`` and ``image``, as :meth:`containers` has them; and four more: ``session`` (int), the
            recording; ``host`` (str); ``name`` (str), the path that the event is here for; and ``relation`` (str), why:
            ``"path"``, it was done to the path itself; ``"above"``, to a directory above it; ``"before"``, to the file
            under an earlier name; ``"after"``, under a later one.

        Raises:
            TypeError: an argument of the wrong type.
            ValueError: the path is empty, or relative where the host does not have the working directory; or the limit
                is below 1.
            OSError: the directory cannot be read.
        """
        found, damaged = self._who(path, since=since, until=until, limit=limit, failed=failed)
        for told in damaged:
            warn(f"{told}; it was left out")
        return found

    def _who(
        self, path: Path, *, since: Moment | None, until: Moment | None, limit: int | None, failed: bool
    ) -> tuple[list[dict[str, Any]], list[str]]:
        """The answer of :meth:`who`, and what is wrong with each damaged file."""
        since_ns, until_ns = window(since, until)
        found = [
            self._reader.who(name, since_ns=since_ns, until_ns=until_ns, limit=limit, failed=failed)
            for name in paths.names(path, self.root)
        ]
        merged = merge(events for events, _ in found)[:limit]
        names = table.finder(self.containers())
        events = [{**event, **names(event)._asdict()} for event in merged]
        return events, sorted({told for _, damaged in found for told in damaged})

    def scan(
        self,
        columns: Sequence[str] | None = None,
        *,
        since: Moment | None = None,
        until: Moment | None = None,
        path: Path | None = None,
        under: Path | None = None,
        glob: Path | None = None,
        pid: int | Iterable[int] | None = None,
        uid: int | Iterable[int] | None = None,
        comm: str | Iterable[str] | None = None,
        container: str | Iterable[str] | None = None,
        syscall: str | Iterable[str] | None = None,
        action: str | Iterable[str] | None = None,
        outcome: Literal["any", "ok", "failed"] = "any",
        limit: int | None = None,
        newest_first: bool = False,
    ) -> HistoryScan:
        """Find events, as columns: an Arrow stream, which whatever knows Arrow reads.

        ::

            polars.DataFrame(history.scan(["ts", "comm", "real_path"], under="/srv"))
            pyarrow.RecordBatchReader.from_stream(history.scan())

        It is an iterator of :class:`rawtp.HistoryBatch`, too, whose ``to_dicts()`` gives events as dicts. It reads as
        it is asked for, so that a history of any size takes little memory.

        Filters take one value or several. All that are given must hold; of several values of one, any.

        Args:
            columns: names of columns, in the order that is wanted; ``None`` is all. They are the keys of an event,
                with ``ts`` (timestamp in microseconds, UTC) beside ``ts_ns`` (int), ``KEY_bytes`` for text that is made
                of bytes, ``session`` and ``host``.
            since: the beginning of the window; ``None`` is that of the recording.
            until: its end; ``None`` is now.
            path: absolute, or relative to the working directory: events that have it as one of their paths.
            under: a directory: itself, and all below.
            glob: a glob of absolute paths, such as ``"/srv/**/*.log"``: what it matches, and all below. ``*``, ``?``
                and ``[a-z]`` match within a name, ``**`` any number of directories, ``{a,b}`` either. A backslash takes
                their meaning away. It is compared with bytes.
            pid: process ids.
            uid: real, effective or file-system user ids.
            comm: names of threads; ``"rm*"`` for all that begin so.
            container: container ids, or beginnings of them.
            syscall: names of system calls; :data:`rawtp.DELETE` and the like are such.
            action: ``"delete"``, ``"rmdir"``, ``"rename"``, ``"truncate"``, ``"punch"``, ``"zero"``, ``"collapse"``.
            outcome: ``"ok"``, what did not fail, or is not known to have; ``"failed"``; or ``"any"``.
            limit: the number of events at which it ends.
            newest_first: begin with the latest. Without it the earliest come first.

        Raises:
            TypeError: an argument of the wrong type.
            ValueError: an unknown column, system call or action, an empty path, a glob that means nothing, a limit
                below 1.
            OSError: the directory cannot be read.
        """
        since_ns, until_ns = window(since, until)
        return self._reader.scan(
            columns,
            since_ns=since_ns,
            until_ns=until_ns,
            path=None if path is None else paths.names(path, self.root)[0],
            under=None if under is None else paths.names(under, self.root)[0],
            glob=None if glob is None else os.fsencode(glob),
            pid=_several("pid", pid, int),
            uid=_several("uid", uid, int),
            comm=_several("comm", comm, str),
            container=_several("container", container, str),
            syscall=_known("syscall", _several("syscall", syscall, str), LOSS),
            action=_known("action", _several("action", action, str), _ACTIONS),
            outcome=outcome,
            limit=limit,
            newest_first=newest_first,
        )

    def gaps(self, since: Moment | None = None, until: Moment | None = None) -> list[dict[str, Any]]:
        """The stretches of time in which nothing was watched, between the first session and now, the earliest first.

        Returns:
            Dicts: ``from_ns`` (int) and ``to_ns`` (int; ``None`` when nothing is watched now), Unix times in
            nanoseconds; ``reason`` (str): ``"closed"``, the recorder was stopped; ``"died"``, it ended otherwise, as
            with the host; ``"silent"``, its heartbeat did not come back; ``"damaged"``, what was recorded cannot be
            read; ``"stopped"``, nothing is recorded now; and ``session`` (int or None), the recording after it, or of
            it.
        """
        return self._reader.gaps(*window(since, until))

    def losses(self, since: Moment | None = None, until: Moment | None = None) -> list[dict[str, Any]]:
        """The losses: what was watched, and yet is not in the history; the earliest first.

        Returns:
            Dicts: ``from_ns``, ``to_ns`` (int): when; ``count`` (int): how many events; ``kind`` (str): ``"ring"``, the
            kernel's buffer was full; ``"memory"``, the disk took nothing for too long; ``"discarded"``, no memory to
            read them; ``"missed"``, the kernel skipped a program; ``cpu`` (int or None), ``via`` (str or None): where,
            as far as that is known; ``session`` (int).
        """
        return self._reader.losses(*window(since, until))

    def sessions(self) -> list[dict[str, Any]]:
        """The recordings, the earliest first.

        Returns:
            Dicts: ``session`` (int), its number; ``start_ns``, ``through_ns`` (int): from when and up to when it
            watched, as far as is known; ``closed`` (bool): whether it ended as it should, or has not ended; ``host``,
            ``boot_id``, ``machine_id`` (str); ``info`` (str): a JSON object with the kernel, what is watched by which
            hooks, and the filters.
        """
        return self._reader.sessions()

    def containers(self) -> list[dict[str, Any]]:
        """The names of the containers that events are of, as they were while the containers were there.

        Returns:
            Dicts, one for each container: ``container_id`` (str or None) and ``pod_id`` (str or None), as its events
            have them; ``container_name``, ``pod``, ``namespace``, ``image`` (str or None); and ``seen_ns`` (int), a
            Unix time in ns at which it had events. One whose names nothing told is not among them.

        Raises:
            OSError: the directory cannot be read.
        """
        return table.read(self._directory)

    def coverage(self) -> list[tuple[int, int]]:
        """The stretches of time that were watched, as Unix times in nanoseconds, the earliest first. Stretches whose
        events were removed because they were too old are not among them."""
        return self._reader.coverage()

    def is_recording(self) -> bool:
        """Whether a recorder records into the directory now."""
        return self._reader.is_recording()

    def stats(self) -> dict[str, Any]:
        """The size of the history: ``segments``, ``segment_bytes``, ``wal_files``, ``wal_bytes``; ``events``, those in
        segments; ``first_ns`` and ``last_ns`` of these (int or None); ``quarantined``, ``expired``, ``journal_lines``,
        ``journal_damaged_lines`` (int)."""
        return self._reader.stats()

    def verify(self) -> list[str]:
        """Read everything, and name the damaged files, relative to the directory. A gigabyte takes about a second.

        Raises:
            OSError: the directory cannot be read.
        """
        return self._reader.verify()


def merge(answers: Iterable[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """The events of several answers, the latest first, each once: as the first answer has it."""
    found: dict[object, dict[str, Any]] = {}
    for answer in answers:
        for event in answer:
            found.setdefault(tuple(event[key] for key in _KEY), event)
    return sorted(found.values(), key=lambda event: event["ts_ns"], reverse=True)


def _checked(root: object) -> str:
    """The directory at which a host's root is mounted.

    Raises:
        TypeError, ValueError, OSError: as :class:`History`.
    """
    if not isinstance(root, (str, os.PathLike)):
        raise TypeError(f"root must be a path, not {type(root).__name__}")
    found = os.fsdecode(root)
    _host_path(found, "/")
    return found


def _several(name: str, value: T | Iterable[T] | None, one: type) -> list[T] | None:
    """The value, or the values, as a list."""
    if value is None:
        return None
    if isinstance(value, one):
        return [value]  # type: ignore[list-item]
    if isinstance(value, Iterable) and not isinstance(value, (str, bytes)):
        return list(value)
    kind = type(value).__name__
    raise TypeError(f"{name} must be {'a str' if one is str else 'an int'}, or several, not {kind}")


def _known(name: str, values: list[str] | None, known: Sequence[str]) -> list[str] | None:
    """The values, each of which must be a known one: nothing found for a misspelt word reads like nothing happened."""
    for value in values or ():
        if value not in known:
            raise ValueError(f"unknown {name} {value!r}: it must be {', '.join(known[:-1])} or {known[-1]}")
    return values
