"""`path=`: the kernel leaves out what surely is elsewhere, and user space what is not meant after all."""

from __future__ import annotations

import os
import random
import subprocess
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import rawtp
from helpers.counted import assert_positions
from helpers.support import HANG_S, assert_ledger, assert_ledger_of, ledger_of, read_to_end, release, stopped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.kernel


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """``wanted/a/b``, ``wanted2``, ``other``: directories."""
    for name in ("wanted/a/b", "wanted2", "other"):
        (tmp_path / name).mkdir(parents=True)
    return tmp_path


@contextmanager
def working_in(directory: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(directory)
    try:
        yield
    finally:
        os.chdir(before)


def delete(*names: str | bytes, dir_fd: int | None = None) -> None:
    for name in names:
        with suppress(OSError):
            os.unlink(name, dir_fd=dir_fd)


def paths(tracer: rawtp.Tracer) -> list[str | None]:
    tracer.close()
    events = list(tracer)
    stats = tracer.stats()
    assert_ledger(stats)
    assert (stats.unpaired, stats.delivered) == (0, len(events))
    assert all(event["ret"] is not None for event in events)
    return [event["path"] for event in events]


def test_itself_and_what_is_below(tree: Path) -> None:
    with rawtp.Tracer(pid=os.getpid(), path=tree / "wanted") as tracer:
        delete(f"{tree}/wanted/a/x", f"{tree}/wanted2/x", f"{tree}/wanted", f"{tree}/other/x", f"{tree}", "/")
        delete(f"{tree}/other/../wanted/up", f"{tree}//wanted/empty", f"{tree}/./wanted/dot", f"{tree}/wanted/../gone")
        with working_in(tree):
            delete("wanted/rel", "wanted2/rel", "other/../wanted/rel-up", "nothing")
        with working_in(tree / "wanted/a"):
            delete("b/deep", "../up", "../../wanted2/out", "../../out", "./here")
        other = os.open(tree / "other", os.O_DIRECTORY)
        delete("no", "../wanted/by-fd", dir_fd=other)
        os.close(other)
        delete("bad fd", dir_fd=other)
        assert [path and path.removeprefix(f"{tree}/wanted") for path in paths(tracer)] == [
            *("/a/x", "", "/up", "/empty", "/dot"),
            *("/rel", "/rel-up"),
            *("/a/b/deep", "/up", "/a/here"),
            "/by-fd",
        ]


def test_the_kernel_leaves_out_what_surely_is_elsewhere(tree: Path) -> None:
    """By directory and by descriptor: none of it comes into the ring. A longer name could lead anywhere, and does."""
    with rawtp.Tracer(pid=os.getpid(), path=[tree / "wanted", "/srv/rawtp"]) as tracer:
        with working_in(tree / "other"):
            delete("x", ".hidden", "...", "x" * 255)
        with working_in(tree / "wanted2"):
            delete("x", "wanted", "y")
        other = os.open(tree / "wanted2", os.O_DIRECTORY)
        delete("x", dir_fd=other)
        os.close(other)
        stats = ledger_of(tracer)
        # Others delete, too, and are left out.
        assert stats.matched >= 8
        assert (stats.matched - stats.filtered, stats.buffered) == (0, 0)
        with working_in(tree):
            delete("other/x", f"{tree}/other/x")
        stats = ledger_of(tracer)
        assert (stats.matched - stats.filtered, stats.buffered) == (2, 2)
        assert paths(tracer) == []
        stats = ledger_of(tracer)
        assert stats.filtered == stats.matched


def test_globs(tree: Path) -> None:
    def seen(*given: str) -> list[str | None]:
        with rawtp.Tracer(pid=os.getpid(), path=[f"{tree}/{one}" for one in given]) as tracer:
            for name in ("a.log", "a/b.log", "a/b/c.txt", "a/b/d.log"):
                delete(f"{tree}/wanted/{name}")
            return [path and path.removeprefix(f"{tree}/wanted/") for path in paths(tracer)]

    assert seen("wanted/*.log") == ["a.log"]
    assert seen("wanted/**/*.log") == ["a.log", "a/b.log", "a/b/d.log"]
    assert seen("want*/a/[a-b]") == ["a/b/c.txt", "a/b/d.log"]
    # What is special in an earlier part is not for the kernel to compare.
    assert seen("{wanted,other}/*.log") == ["a.log"]
    assert seen("want\\ed/*.log") == ["a.log"]
    assert seen("wanted/?.log", "wanted/a/b/c.txt") == ["a.log", "a/b/c.txt"]


def left(tree: Path, path: str | Path) -> list[str]:
    """Which of ``[ab]/x``, ``a/x`` and ``[c`` a filter lets through, deleted in this order."""
    with rawtp.Tracer(pid=os.getpid(), path=path) as tracer:
        delete(f"{tree}/[ab]/x", f"{tree}/a/x", f"{tree}/[c")
        return [str(path).removeprefix(f"{tree}/") for path in paths(tracer)]


def test_a_name_with_brackets_that_is_there_is_that_name(tree: Path) -> None:
    (tree / "[ab]").mkdir()
    assert left(tree, tree / "[ab]") == ["[ab]/x"]
    # What is below it may be made later.
    assert left(tree, tree / "[ab]/x") == ["[ab]/x"]
    (tree / "[ab]").rmdir()
    assert left(tree, tree / "[ab]") == ["a/x"]
    (tree / "[c").touch()
    assert left(tree, tree / "[c") == ["[c"]


def test_it_is_said_which(tree: Path) -> None:
    """By :func:`rawtp.escape` that it is a name, there or not; by a backslash that it is a pattern."""
    assert left(tree, rawtp.escape(tree / "[ab]")) == ["[ab]/x"]
    (tree / "[ab]").mkdir()
    assert left(tree, rawtp.escape(tree / "[ab]")) == ["[ab]/x"]
    assert left(tree, f"{tree}/\\[ab]") == ["[ab]/x"]
    assert left(tree, f"{tree}/[a\\b]") == ["a/x"]
    assert rawtp.escape("/x/[2024] photos") == "/x/\\[2024] photos"
    assert rawtp.escape(Path("/plain{a}\\")) == "/plain{a}\\"
    with pytest.raises(TypeError, match=r"^path must be a path, not int$"):
        rawtp.escape(3)  # type: ignore[arg-type]


@pytest.mark.parametrize("owner", [0, 65534])
@pytest.mark.parametrize("mode", [0o755, 0o775, 0o777])
def test_nobody_can_blind_a_glob_by_a_file_of_its_name(tree: Path, owner: int, mode: int) -> None:
    """Where others can have put it there, both are meant."""
    (tree / "[ab]").mkdir()
    os.chown(tree, owner, owner)
    tree.chmod(mode)
    both = owner != 0 or mode & 0o022
    assert left(tree, tree / "[ab]") == (["[ab]/x", "a/x"] if both else ["[ab]/x"])


def test_a_pattern_costs_what_the_name_is_long(tree: Path) -> None:
    """Of such a one, with the names that it is worst for, each event once took milliseconds."""
    extensions = ",".join(f"e{number:02}" for number in range(50))
    slow = f"{tree}/**/*.{{{extensions}}}"
    names = [f"{tree}/{'a.' * 100}{number}" for number in range(5_000)] + [f"{tree}/b.e49"]
    with rawtp.Tracer(pid=os.getpid(), path=slow) as tracer:
        delete(*names)
        tracer.close()
        start = time.thread_time()
        assert [event["path"] for event in tracer] == [f"{tree}/b.e49"]
        # 5,001 of 2.6 ms would be 13 s.
        assert time.thread_time() - start < 5


def test_a_rename_into_it_and_out_of_it(tree: Path) -> None:
    with rawtp.Tracer(rawtp.RENAME, pid=os.getpid(), path=tree / "wanted") as tracer:
        for old, new in [("other/a", "other/b"), ("other/in", "wanted/in"), ("wanted/out", "other/out")]:
            with suppress(OSError):
                (tree / old).rename(tree / new)
        assert paths(tracer) == [f"{tree}/other/in", f"{tree}/wanted/out"]


@pytest.mark.parametrize(("watched", "seen"), [("wanted", 2), ("other", 0)])
def test_from_a_directory_that_is_gone(tree: Path, watched: str, seen: int) -> None:
    # Its path is where it was: the kernel and user space, which sees the name that winds, agree.
    gone = tree / "wanted/a/b"
    with working_in(gone):
        gone.rmdir()
        with rawtp.Tracer(pid=os.getpid(), path=tree / watched) as tracer:
            delete("x", "./x")
            assert paths(tracer) == [f"{gone}/x"] * seen
            stats = tracer.stats()
            assert (stats.delivered, stats.matched - stats.filtered) == (seen, seen)


def test_a_file_by_its_descriptor_alone(tree: Path) -> None:
    for name in ("wanted/file", "other/file"):
        (tree / name).write_text("x")
    with rawtp.Tracer(rawtp.TRUNCATE, pid=os.getpid(), path=tree / "wanted") as tracer:
        for name in ("other/file", "wanted/file"):
            with (tree / name).open("r+b", buffering=0) as file:
                os.ftruncate(file.fileno(), 0)
            os.close(os.open(tree / name, os.O_WRONLY | os.O_TRUNC))
        assert paths(tracer) == [f"{tree}/wanted/file"] * 2


def test_both_sides_of_a_chroot(tree: Path) -> None:
    (tree / "wanted/wanted").mkdir()

    def seen(path: str | Path) -> list[tuple[str | None, str | None]]:
        gone, ready = os.pipe()
        child = os.fork()
        if not child:
            os.read(gone, 1)
            os.chroot(tree / "wanted")
            os.chdir("/a")
            delete("cwd", "/absolute", "/wanted/inner")
            os._exit(0)
        with rawtp.Tracer(pid=child, path=path) as tracer:
            os.write(ready, b"x")
            os.waitpid(child, 0)
            os.close(gone)
            os.close(ready)
            tracer.close()
            return [(event["path"], event["host_path"]) for event in tracer]

    everything = [
        ("/a/cwd", f"{tree}/wanted/a/cwd"),
        ("/absolute", f"{tree}/wanted/absolute"),
        ("/wanted/inner", f"{tree}/wanted/wanted/inner"),
    ]
    assert seen(tree / "wanted") == everything
    # What the process calls so is not the host's.
    assert seen("/wanted") == seen("/a") == []
    assert seen(tree / "wanted/a") == everything[:1]
    assert seen(tree / "other") == []


def test_through_a_bind_mount(tree: Path) -> None:
    (tree / "wanted/a/b/x").touch()
    subprocess.run(["mount", "--bind", tree / "wanted/a", tree / "other"], check=True)
    try:
        with rawtp.Tracer(pid=os.getpid(), path=[tree / "other"]) as tracer:
            delete(f"{tree}/wanted/a/b/nothing")
            with working_in(tree / "other/b"):
                delete("x")
            assert paths(tracer) == [f"{tree}/wanted/a/b/nothing", f"{tree}/other/b/x"]
    finally:
        subprocess.run(["umount", tree / "other"], check=True)


def test_longer_than_the_programs_compare(tree: Path) -> None:
    long = tree / "/".join(["d" * 100] * 4)
    (long / "in").mkdir(parents=True)
    sibling = long.with_name("e" * 100)
    sibling.mkdir()
    with rawtp.Tracer(pid=os.getpid(), path=long / "in") as tracer:
        delete(f"{long}/in/x", f"{long}/x", f"{sibling}/x")
        with working_in(long / "in"):
            delete("y")
        with working_in(sibling):
            delete("y")
        with working_in(tree / "other"):
            delete("y")
        assert paths(tracer) == [f"{long}/in/x", f"{long}/in/y"]


def test_names_that_are_not_text(tree: Path) -> None:
    odd = os.fsencode(tree) + b"/\xff\xfe"
    Path(os.fsdecode(odd)).mkdir()
    with rawtp.Tracer(pid=os.getpid(), path=os.fsdecode(odd)) as tracer:
        delete(odd + b"/\x01", os.fsencode(tree) + b"/\xff\xfd/x")
        assert paths(tracer) == [os.fsdecode(odd + b"/\x01")]


def test_a_name_whose_page_is_not_there(program: Callable[[str], Path], tree: Path) -> None:
    """Read at the exit, and only then told by it."""
    names = tree / "names"
    names.write_bytes(b"/nonexistent/untouched\0")
    for wanted, expected in [("/nonexistent", 1), (str(tree), 0)]:
        with (
            stopped([program("untouched"), names]) as process,
            rawtp.Tracer(pid=process.pid, path=wanted) as tracer,
        ):
            release(process)
            events = read_to_end(tracer, process)
            assert [event["filename"] for event in events] == ["/nonexistent/untouched"] * expected
            assert_ledger_of(tracer)


def test_requests_of_io_uring(program: Callable[[str], Path], tree: Path) -> None:
    for wanted in (True, False):
        place = tree / "wanted"
        with (
            stopped([program("uring"), place, "inline"]) as process,
            rawtp.Tracer(pid=process.pid, path=place if wanted else tree / "other") as tracer,
        ):
            release(process)
            events = read_to_end(tracer, process)
            if process.returncode == 77:
                pytest.skip("this kernel has no io_uring, or forbids it (kernel.io_uring_disabled)")
            stats = tracer.stats()
            assert_ledger(stats)
            assert (stats.unpaired, stats.pending, stats.lost_exits) == (0, 0, 0)
            # What is relative could be any path by the time that the request runs, unless a hook on the kernel's
            # functions tells where it went. The absolute name is elsewhere.
            has_hook = tracer.coverage["truth"]["hook"] is not None
            assert len(events) >= (3 if wanted or not has_hook else 0)
            assert {event["path_kind"] for event in events} <= {"partial", None}
            assert stats.filtered > 0


def test_openat2_is_an_event_only_where_it_is_wanted(tree: Path) -> None:
    for name in ("wanted/old", "other/old"):
        (tree / name).write_text("content")
    with rawtp.Tracer(["openat", "openat2"], pid=os.getpid(), path=tree / "wanted") as tracer:
        for name in ("wanted/old", "other/old"):
            os.close(os.open(tree / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC))
        assert paths(tracer) == [f"{tree}/wanted/old"]


def test_what_was_lost_is_told(program: Callable[[str], Path], tree: Path) -> None:
    """A name that winds is for user space to leave out, and may have been lost before."""
    fields = ("cpu", "via", "seq", "lost")
    with stopped([program("burst"), "100000", f"{tree}/other/../other/x"]) as process:
        wanted = tree / "wanted"
        with rawtp.Tracer(pid=process.pid, path=wanted, fields=fields, ring_bytes=65_536, queue_bytes=65_536) as tracer:
            release(process)
            process.wait(HANG_S)
            tracer.close()
            events = list(tracer)
            stats = tracer.stats()
    assert_ledger(stats)
    assert events == []
    assert stats.tail_lost == stats.lost_ring > 0
    assert stats.filtered == stats.matched - stats.lost_ring
    assert assert_positions(events, stats.tail_lost) == stats.lost_ring


PARTS = ["wanted", "wanted2", "other", "a", "b", "..", ".", "", "x", "want", "...", ".x"]


@pytest.mark.parametrize("seed", range(4))
def test_any_name_from_any_directory(tree: Path, seed: int) -> None:
    """What comes is what comes without the filter, less what is elsewhere: the kernel leaves out nothing else."""
    chance = random.Random(seed)  # noqa: S311 - to be repeated
    wanted = [tree / "wanted", tree / "other/x"][: 1 + seed % 2]
    fields = (*rawtp.BASIC_FIELDS, "path", "host_path", "path_kind")
    places = [tree, tree / "wanted", tree / "wanted/a/b", tree / "wanted2", tree / "other", Path("/")]
    descriptors = [os.open(place, os.O_DIRECTORY) for place in places]

    def is_wanted(event: rawtp.Event) -> bool:
        path = event["path"]
        return path is not None and any(path == str(one) or path.startswith(f"{one}/") for one in wanted)

    with (
        rawtp.Tracer(pid=os.getpid(), fields=fields) as everything,
        rawtp.Tracer(pid=os.getpid(), fields=fields, path=wanted) as tracer,
    ):
        for _ in range(1500):
            name = "/".join(chance.choices(PARTS, k=chance.randint(1, 6)))
            match chance.randrange(3):
                case 0:
                    delete(f"{chance.choice(places)}/{name}")
                case 1:
                    delete(name, dir_fd=chance.choice(descriptors))
                case _:
                    with working_in(chance.choice(places)):
                        delete(name)
        expected = [event["filename"] for event in drained(everything) if is_wanted(event)]
        assert [event["filename"] for event in drained(tracer)] == expected
        assert 100 < len(expected) < 1000
    for descriptor in descriptors:
        os.close(descriptor)


def drained(tracer: rawtp.Tracer) -> list[rawtp.Event]:
    tracer.close()
    events = list(tracer)
    assert_ledger_of(tracer)
    assert tracer.stats().lost_ring == 0
    return events


def test_as_many_paths_as_there_may_be(tree: Path) -> None:
    """Of 8 the verifier once made so many ways that it gave up, after 20 seconds."""
    wanted = [tree / "wanted" / str(number) for number in range(32)]
    with rawtp.Tracer(pid=os.getpid(), path=wanted) as tracer:
        delete(f"{tree}/wanted/32", f"{tree}/other/0", *[f"{path}/x" for path in wanted])
        with working_in(tree / "wanted"):
            delete("31", "33", "0/y")
        assert paths(tracer) == [*[f"{path}/x" for path in wanted], str(wanted[31]), f"{wanted[0]}/y"]
