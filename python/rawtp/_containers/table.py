"""The names of containers beside what is recorded: ``containers.jsonl`` in a recorder's directory.

A line is a JSON object: ``container_id``, ``pod_id``, ``container_name``, ``pod``, ``namespace``, ``image`` (str or
None), and ``seen_ns`` (int), a Unix time at which the container had events. Of several lines about a container the last
one counts.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from rawtp._containers.runtimes import Names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import Any

    Ids = tuple[str | None, str | None]
    """The ids of a container and of its pod."""

NAME = "containers.jsonl"
_NEW = "containers.jsonl.new"
MAX_KEPT = 16_384
"""The containers that are kept, those with the latest events."""
MAX_BYTES = 32 << 20
"""The size of the file at which nothing is added until it is cleared up."""
_CHUNK_BYTES = 256 << 10
_DAY_NS = 86_400_000_000_000


class Entry(NamedTuple):
    """What is known of a container."""

    names: Names
    seen_ns: int


class Table:
    """The file, for the one recorder that writes it.

    Args:
        directory: an open descriptor of the recorder's directory, which it takes over.
    """

    def __init__(self, directory: int) -> None:
        self._directory = directory
        self._fd: int | None = None
        self._entries = _parse(_read(NAME, directory))

    def __getitem__(self, ids: Ids) -> Entry | None:
        return self._entries.get(ids)

    def add(self, ids: Ids, names: Names, seen_ns: int) -> None:
        """Write the names down, if they are new or a day older. What was known before and is not now stays.

        Raises:
            OSError: it cannot be written.
        """
        if (before := self._entries.get(ids)) is not None:
            names = Names(*(one or other for one, other in zip(names, before.names, strict=True)))
            if names == before.names and seen_ns < before.seen_ns + _DAY_NS:
                return
            del self._entries[ids]
        self._entries[ids] = Entry(names, seen_ns)
        while len(self._entries) > MAX_KEPT:
            self._entries.pop(next(iter(self._entries)))
        if self._fd is None:
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            self._fd = os.open(NAME, flags, 0o640, dir_fd=self._directory)
        size = os.fstat(self._fd).st_size
        if size >= MAX_BYTES:
            return
        # A kill may have left half a line.
        end = b"\n" if size and os.pread(self._fd, 1, size - 1) != b"\n" else b""
        os.write(self._fd, end + _line(ids, self._entries[ids]))
        os.fdatasync(self._fd)

    def clear_up(self, first_ns: int | None) -> None:
        """Write the file anew, with one line for each container, and without those that had no events since
        ``first_ns``, before which nothing is recorded any more.

        Raises:
            OSError: it cannot be written.
        """
        bound_ns = 0 if first_ns is None else first_ns - 2 * _DAY_NS
        kept = {ids: entry for ids, entry in self._entries.items() if entry.seen_ns >= bound_ns}
        content = b"".join(_line(ids, entry) for ids, entry in kept.items())
        if content == _read(NAME, self._directory):
            return
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        fd = os.open(_NEW, flags, 0o640, dir_fd=self._directory)
        with open(fd, "wb") as file:  # noqa: PTH123 - a descriptor
            file.write(content)
            file.flush()
            os.fsync(fd)
        os.rename(_NEW, NAME, src_dir_fd=self._directory, dst_dir_fd=self._directory)
        self._entries = kept
        self._close_file()

    def close(self) -> None:
        """Close it."""
        self._close_file()
        with suppress(OSError):
            os.close(self._directory)

    def _close_file(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def read(directory: str) -> list[dict[str, Any]]:
    """What is known of each container: dicts with the members of a line. Lines that are none are left out.

    Raises:
        OSError: the file cannot be read. One that does not exist is empty.
    """
    entries = _parse(_read(os.path.join(directory, NAME)))  # noqa: PTH118 - bytes and text alike
    return [_members(ids, entry) for ids, entry in entries.items()]


def lines_after(
    directory: str, place: tuple[int, int] | None
) -> Iterator[tuple[list[dict[str, Any]], tuple[int, int]]]:
    """The lines behind a place, some at a time, each time with the place behind them: the file's inode and an offset.
    Of another file than that of ``place``, all lines.

    Raises:
        OSError: the file cannot be read. One that does not exist is empty.
    """
    try:
        fd = os.open(os.path.join(directory, NAME), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)  # noqa: PTH118
    except FileNotFoundError:
        return
    with open(fd, "rb") as file:  # noqa: PTH123 - a descriptor
        found = os.fstat(fd)
        offset = place[1] if place is not None and place[0] == found.st_ino and place[1] <= found.st_size else 0
        file.seek(offset)
        while content := file.readlines(_CHUNK_BYTES):
            is_cut = not content[-1].endswith(b"\n")  # being written, or by a kill
            if is_cut:
                content.pop()
            if content:
                offset += sum(map(len, content))
                entries = _parse(b"".join(content))
                yield [_members(ids, entry) for ids, entry in entries.items()], (found.st_ino, offset)
            if is_cut:
                return


def finder(found: Iterable[Mapping[str, Any]]) -> Callable[[Mapping[str, Any]], Names]:
    """A function that gives the names of an event's container, by what :func:`read` gives."""
    names = {(one["container_id"], one["pod_id"]): Names(**{key: one[key] for key in Names._fields}) for one in found}
    # Those of a pod are the same for all of its containers.
    pods = {pod: Names(pod=one.pod, namespace=one.namespace) for (_, pod), one in names.items() if pod is not None}

    def find(event: Mapping[str, Any]) -> Names:
        ids = event.get("container_id"), event.get("pod_id")
        return names.get(ids) or pods.get(ids[1]) or Names()

    return find


def _members(ids: Ids, entry: Entry) -> dict[str, Any]:
    return {"container_id": ids[0], "pod_id": ids[1], **entry.names._asdict(), "seen_ns": entry.seen_ns}


def _line(ids: Ids, entry: Entry) -> bytes:
    return json.dumps(_members(ids, entry), separators=(",", ":")).encode("ascii") + b"\n"


def _read(path: str, directory: int | None = None) -> bytes:
    try:
        # No link, and no FIFO that nobody writes to.
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory)
    except FileNotFoundError:
        return b""
    with open(fd, "rb") as file:  # noqa: PTH123 - a descriptor
        return file.read(2 * MAX_BYTES)


def _parse(content: bytes) -> dict[Ids, Entry]:
    """The entries, those with the latest lines at the end."""
    found: dict[Ids, Entry] = {}
    for text in content.split(b"\n"):
        try:
            line = json.loads(text)
            ids = _text(line["container_id"]), _text(line["pod_id"])
            entry = Entry(Names(*(_text(line[key]) for key in Names._fields)), int(line["seen_ns"]))
        except (ValueError, KeyError, TypeError, RecursionError):
            continue
        found.pop(ids, None)
        found[ids] = entry
    return found


def _text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise TypeError
