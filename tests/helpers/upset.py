"""Programs that make one call's result or path look like another's, each with what must be seen of it."""

from __future__ import annotations

import errno
import subprocess
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rawtp
from helpers.support import assert_ledger, read_to_end, release, stopped, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Program = Callable[[str], Path]


def _is_right(event: rawtp.Event) -> bool:
    """Whether the result is that of a name of flips.c's."""
    there = str(event["filename"]).startswith("yes")
    return (event["ret"], event["errno"]) == ((0, None) if there else (-errno.ENOENT, "ENOENT"))


def flips(program: Program, place: Path, count: int, words: Sequence[str | Path], **options: Any) -> None:
    """What a filter looks at changes inside calls: each result is that of its own call."""
    command = [program("flips"), place, str(count), *words]
    with stopped(command) as process, rawtp.Tracer(["unlinkat"], ring_bytes=32 << 20, **options) as tracer:
        release(process)
        events = [event for event in read_to_end(tracer, process) if event["pid"] == process.pid]
        # Calls of others are counted, too. Only a closed tracer's ledger is at rest then.
        tracer.close()
        stats = tracer.stats()
    assert process.returncode == 0
    known = [event for event in events if event["ret"] is not None]
    assert [event for event in known if not _is_right(event)] == []
    # Where raw tracepoints are preemptible, the kernel skips some exits.
    assert len(known) == len(events) or stats.missed
    kinds = {str(event["filename"])[:2] for event in events}
    assert kinds == {"ye", "no"}, f"{len(events)} events"
    assert len(events) < count, "nothing was flipped"
    assert (stats.unpaired, stats.lost_exits) == (0, 0)
    assert_ledger(stats)


@contextmanager
def ext4(place: Path) -> Iterator[Path | None]:
    """A filesystem that can be frozen, mounted there; ``None`` where none can be made and mounted."""
    image, mount = place / "image", place / "mount"
    mount.mkdir()
    with image.open("wb") as file:
        file.truncate(64 << 20)
    try:
        subprocess.run(["mkfs.ext4", "-q", image], check=True)
        subprocess.run(["mount", "-o", "loop", image, mount], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        yield None
        return
    try:
        yield mount
    finally:
        subprocess.run(["umount", mount], check=True)


def hangs(program: Program, mount: Path, count: int) -> None:
    """So many threads inside a call, while the filesystem is frozen: all get their results.

    By a path, which only the entries can tell.
    """
    with (
        stopped([program("hanging"), mount, str(count)]) as process,
        rawtp.Tracer(pid=process.pid, path=mount, ring_bytes=16 << 20) as tracer,
    ):
        assert process.stdout is not None
        assert process.stdout.readline() == "made\n"
        events: list[rawtp.Event] = []

        def all_hang() -> bool:
            events.extend(tracer.get_many(timeout=0))
            return tracer.stats().pending + len(events) == count

        subprocess.run(["fsfreeze", "-f", mount], check=True)
        try:
            release(process)
            wait_for(all_hang, f"{count} open calls")
            # Those of missing names, half of them, need not wait for the filesystem.
            assert {event["errno"] for event in events} <= {"ENOENT"}
            assert len(events) <= count / 2
        finally:
            subprocess.run(["fsfreeze", "-u", mount], check=True)
        events += read_to_end(tracer, process)
        tracer.close()
        stats = tracer.stats()
    assert {int(str(event["filename"])): event["errno"] for event in events} == {
        number: "ENOENT" if number % 2 else None for number in range(count)
    }
    assert (len(events), stats.pending, stats.lost_exits, stats.unpaired) == (count, 0, 0, 0)
    assert_ledger(stats)


def _place(event: rawtp.Event) -> str:
    """Of moving.c's directories, the one that the path is below."""
    path = Path(str(event["path"]))
    if event["path_kind"] == "partial":
        assert str(path) == event["filename"]
        return "not known"
    return next(name for name in ("here", "there", "aside") if name in path.parts)


def moves(program: Program, place: Path, levels: int, count: int) -> None:
    """Directories move while the way up is walked: no event has a path that never was."""
    seen: Counter[str] = Counter()
    with (
        stopped([program("moving"), place, str(levels), str(count)]) as process,
        rawtp.Tracer(
            pid=process.pid, fields=("filename", "path", "path_kind"), ring_bytes=32 << 20, queue_bytes=512 << 20
        ) as tracer,
    ):
        release(process)
        while process.poll() is None:
            seen.update(map(_place, tracer.get_many(timeout=0.2)))
        tracer.close()
        seen.update(map(_place, tracer))
        stats = tracer.stats()
    assert process.returncode == 0
    assert seen["there"] == 0
    assert seen.total() + stats.lost_ring == count
    # Both places are seen, and few tries fail all.
    assert seen["aside"] > 0
    assert seen["not known"] < seen.total() / 10
    assert_ledger(stats)
