"""A path that is not known could be any, and passes a filter; one that is nowhere does not. Neither is ever a guess."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import rawtp
from helpers.support import HANG_S, assert_ledger_of, hook_refusal, read_to_end, release, stopped

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.kernel

_LIBC = ctypes.CDLL(None, use_errno=True)
OPEN_TREE = 428  # the same on every architecture
OPEN_TREE_CLONE = 1

Shown = tuple[str | None, str | None, str | None, str | None, int | None]


def clone(directory: Path) -> int:
    """A mount of it that is attached nowhere."""
    descriptor = _LIBC.syscall(OPEN_TREE, -100, os.fsencode(directory), OPEN_TREE_CLONE | os.O_CLOEXEC)
    assert descriptor >= 0, os.strerror(ctypes.get_errno())
    return int(descriptor)


def seen_in_fork(action: Callable[[], object], **options: object) -> list[Shown]:
    """What a fork that does this is seen to do, by a tracer of its own process only."""
    ready, go = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            os.read(ready, 1)
            with suppress(OSError):
                action()
        finally:
            os._exit(0)
    with rawtp.Tracer(pid=pid, **options) as tracer:  # type: ignore[arg-type]
        os.write(go, b"x")
        os.waitpid(pid, 0)
    os.close(ready)
    os.close(go)
    events = list(tracer)
    assert_ledger_of(tracer)
    return [
        (event["filename"], event["path"], event["path_kind"], event["host_path"], event["ret"]) for event in events
    ]


@pytest.mark.parametrize("wanted", ["itself", "elsewhere"])
def test_in_a_mount_that_is_attached_nowhere(tmp_path: Path, wanted: str) -> None:
    (tmp_path / "itself/below").mkdir(parents=True)
    for name in ("secret", "below/secret", "third"):
        (tmp_path / "itself" / name).touch()

    def action() -> None:
        detached = clone(tmp_path / "itself")
        os.unlink("secret", dir_fd=detached)
        os.fchdir(detached)
        Path("below/secret").unlink()
        os.chdir("below")
        Path("../third").unlink()

    assert seen_in_fork(action, path=tmp_path / wanted) == [
        ("secret", "secret", "partial", None, 0),
        ("below/secret", "below/secret", "partial", None, 0),
        ("../third", "third", "partial", None, 0),
    ]
    assert [path.name for path in (tmp_path / "itself").iterdir()] == ["below"]


def test_a_root_that_is_attached_nowhere(tmp_path: Path) -> None:
    """What the process sees is known, and where it is on the host is not: even "/secret" could be any."""
    (tmp_path / "secret").touch()

    def action() -> None:
        os.fchdir(clone(tmp_path))
        os.chroot(".")
        Path("/secret").unlink()
        Path("/secret").unlink()

    assert seen_in_fork(action, path="/elsewhere") == [
        ("/secret", "/secret", "absolute", None, 0),
        ("/secret", "/secret", "absolute", None, -2),
    ]


def test_a_lazily_unmounted_root(tmp_path: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "none", tmp_path], check=True)
    (tmp_path / "in").mkdir()

    def action() -> None:
        os.chroot(tmp_path)
        os.chdir("/in")
        _LIBC.umount2(b"/", 2)  # MNT_DETACH
        Path("gone").unlink()

    seen = seen_in_fork(action, path="/elsewhere")
    subprocess.run(["umount", "-l", tmp_path], check=False, capture_output=True)
    assert seen == [("gone", "/in/gone", "cwd", None, -2)]


@pytest.mark.parametrize("hook", ["raw_tp", "tracepoint"])
def test_a_name_that_is_not_in_memory(program: Callable[[str], Path], tmp_path: Path, hook: str) -> None:
    """Without results nobody reads it again. With them it is known in the end."""
    if reason := hook_refusal(hook):  # type: ignore[arg-type]
        pytest.skip(reason)
    names = tmp_path / "names"
    names.write_bytes(b"/nonexistent/untouched".ljust(4096, b"\0"))
    for results, expected in ((False, [(None, "fault")]), (True, [])):
        with (
            stopped([program("untouched"), names]) as process,
            rawtp.Tracer(pid=process.pid, path="/elsewhere", results=results, hook=hook) as tracer,  # type: ignore[arg-type]
        ):
            release(process)
            events = read_to_end(tracer, process)
        assert [(event["path"], event["name_status"]) for event in events] == expected


def test_what_the_kernel_did_not_find_either(tmp_path: Path) -> None:
    """EFAULT and EBADF: whatever was meant, nothing was reached."""
    (tmp_path / "file").touch()

    def action() -> None:
        for name, directory in ((ctypes.c_void_p(8), -100), (b"relative", 9999), (os.fsencode(tmp_path / "file"), 0)):
            _LIBC.unlinkat(directory, name, 0)

    assert [shown[0] for shown in seen_in_fork(action)] == [None, "relative", str(tmp_path / "file")]
    (tmp_path / "file").touch()
    assert [shown[0] for shown in seen_in_fork(action, path=tmp_path)] == [str(tmp_path / "file")]


@pytest.mark.parametrize(
    ("cwd", "name", "gone"),
    [
        ("", "jail/../x", "jail/x"),
        ("", "jail/sub/../../x", "jail/x"),
        ("", "jail/sub/../../../../x", "jail/x"),
        ("", "jailhouse/../x", "x"),
        ("out", "../jail/../x", "jail/x"),
        ("out", "../x", "x"),
        ("out", "../../{top}/x", "x"),
        ("jail/sub", "../../x", "jail/x"),
    ],
)
def test_dots_stop_where_the_kernel_stops(tmp_path: Path, cwd: str, name: str, gone: str) -> None:
    """At the process's root, which it can come to from outside as well."""
    files = ("x", "jail/x", "jail/sub/x", "out/x", "jailhouse/x")
    for file in files:
        (tmp_path / file).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / file).touch()

    def action() -> None:
        os.chdir(tmp_path / cwd)
        os.chroot(tmp_path / "jail")
        Path(name.format(top=tmp_path.name)).unlink()

    [(_, path, kind, host_path, ret)] = seen_in_fork(action)
    assert [file for file in files if not (tmp_path / file).exists()] == [gone]
    assert (host_path, ret) == (f"{tmp_path}/{gone}", 0)
    inside = cwd.startswith("jail/")
    assert (path, kind) == (("/x", "cwd") if inside else (None, None))
    wanted = tmp_path / gone
    wanted.touch()
    assert [shown[3] for shown in seen_in_fork(action, path=wanted)] == [f"{tmp_path}/{gone}"]
    wanted.touch()
    other = next(file for file in files if file != gone)
    assert seen_in_fork(action, path=tmp_path / other) == []


def test_files_without_a_name_pass_no_filter(tmp_path: Path) -> None:
    """A memfd, and what was opened by O_TMPFILE, are nowhere; that has a path in no sense."""
    named = tmp_path / "named"
    named.write_text("content")
    unnamed = [os.memfd_create("memory")]
    with suppress(OSError):
        unnamed.append(os.open(tmp_path, os.O_TMPFILE | os.O_RDWR))
    with tempfile.TemporaryFile() as file, named.open("r+") as last:
        unnamed.append(file.fileno())

        def action() -> None:
            for descriptor in (*unnamed, last.fileno()):
                os.pwrite(descriptor, b"content", 0)
                os.ftruncate(descriptor, 0)

        everything = seen_in_fork(action, syscalls=["ftruncate"])
        assert [shown[4] for shown in everything] == [0] * (len(unnamed) + 1)
        assert everything[0][:4] == (None, None, None, None)
        for wanted in ("/", tmp_path, "/tmp", "/**"):
            assert [shown[1] for shown in seen_in_fork(action, syscalls=["ftruncate"], path=wanted)] == [str(named)]
    for descriptor in unnamed[:-1]:
        os.close(descriptor)


OWN_LINK = """
mount -t tmpfs none "$1" && ln -s "$2" "$1/link" && rm "$1/link/0" || exit 1
exec "$3" -c 'import os, sys, time
for number in range(1, 20):
    os.unlink(f"{sys.argv[1]}/link/{number}")
    time.sleep(0.01)
sys.stdin.read()' "$1"
"""


@pytest.mark.parametrize("is_late", [False, True], ids=["at once", "late"])
def test_a_link_that_no_mount_here_shows(tmp_path: Path, is_late: bool) -> None:
    """Where it led nobody knows once its process has ended. That says nothing about the processes that live."""
    data, own = tmp_path / "data", tmp_path / "own"
    data.mkdir()
    own.mkdir()
    for number in range(20):
        (data / str(number)).touch()
    command = ["unshare", "-m", "sh", "-c", OWN_LINK, "sh", str(own), str(data), sys.executable]
    with (
        rawtp.Tracer(path=data, outcome="ok") as tracer,
        subprocess.Popen(command, stdin=subprocess.PIPE) as process,
    ):
        events = []
        deadline_s = time.monotonic() + HANG_S
        while any(data.iterdir()):
            assert time.monotonic() < deadline_s
            time.sleep(0.02)
            if not is_late:
                events += tracer.get_many(timeout=0)
        events += tracer.get_many(timeout=0)
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(HANG_S) == 0
    paths = {event["filename"]: event["real_path"] for event in events}
    assert paths.keys() == {f"{own}/link/{number}" for number in range(20)}
    assert {path for path in paths.values() if path} <= {str(data / str(number)) for number in range(20)}
