"""The real path of what an open opened, whatever it is opened for."""

from __future__ import annotations

import ctypes
import os
import re
import struct
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

import rawtp
from helpers.support import HANG_S
from rawtp.syscalls import number

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.kernel

FIELDS = ("pid", "syscall", "path", "args", "ret", "errno", "real_path", "real_path_by", "ino", "file_type")
OPENS = ("open", "openat", "openat2", "creat")
AT_FDCWD = -100

libc = ctypes.CDLL(None, use_errno=True)


def opened(action: Callable[[], object], **options: Any) -> list[rawtp.Event]:
    """The opens of this process meanwhile, but for what the reader itself looks into."""
    asked: dict[str, Any] = {"fields": FIELDS, "when": "always", **options}
    with rawtp.Tracer(OPENS, pid=os.getpid(), **asked) as tracer:
        action()
        events = tracer.get_many(timeout=HANG_S)
    # It looks into other processes' mounts when other tests mount something.
    own = re.compile(r"/|/proc/(?!self/fd/).*")
    return [event for event in events if not own.fullmatch(event["path"] or "")]


def close(fd: int) -> None:
    assert fd >= 0
    os.close(fd)


@pytest.fixture
def linked(tmp_path: Path) -> Path:
    """A directory with a file that two links lead to, one of them by a directory."""
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "file").write_text("content")
    (tmp_path / "by").symlink_to("real")
    (tmp_path / "link").symlink_to("by/file")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "flags", "real"),
    [
        ("link", os.O_RDONLY, "real/file"),
        ("by/file", os.O_WRONLY | os.O_APPEND, "real/file"),
        ("link", os.O_PATH, "real/file"),
        ("link", os.O_PATH | os.O_NOFOLLOW, "link"),
        ("by", os.O_RDONLY | os.O_DIRECTORY, "real"),
        ("by/../link", os.O_RDWR, "real/file"),
        ("by/new", os.O_WRONLY | os.O_CREAT | os.O_EXCL, "real/new"),
        ("link", os.O_WRONLY | os.O_TRUNC, "real/file"),
    ],
)
def test_of_any_open(linked: Path, name: str, flags: int, real: str) -> None:
    """The file that was opened, through all links, also where it is only read."""
    [event] = opened(lambda: close(os.open(linked / name, flags)))
    assert event["args"] is not None
    assert event["args"]["pathname"] == str(linked / name)
    assert (event["real_path"], event["real_path_by"]) == (str(linked / real), "kernel")
    assert event["ino"] == os.lstat(linked / real).st_ino


def test_by_each_call_and_a_descriptor(linked: Path) -> None:
    directory = os.open(linked, os.O_PATH)
    name, how = os.fsencode(linked / "link"), struct.pack("<3Q", os.O_RDONLY, 0, 0)

    def act() -> None:
        close(libc.syscall(number("openat"), directory, b"by/file", os.O_RDONLY))
        close(libc.syscall(number("openat2"), AT_FDCWD, name, how, 24))
        for call in ("open", "creat"):
            # Not every architecture has them.
            with suppress(ValueError):
                close(libc.syscall(number(call), name, 0 if call == "open" else 0o600))

    events = opened(act)
    os.close(directory)
    assert len(events) >= 2
    assert {(event["real_path"], event["real_path_by"]) for event in events} == {(f"{linked}/real/file", "kernel")}


def test_opens_that_fail_have_reached_nothing(linked: Path) -> None:
    def act() -> None:
        for name in ("gone", "link/x"):
            assert libc.syscall(number("openat"), AT_FDCWD, os.fsencode(linked / name), os.O_RDONLY) == -1

    events = opened(act)
    assert [(event["errno"], event["real_path"]) for event in events] == [("ENOENT", None), ("ENOTDIR", None)]


def test_what_has_no_path(tmp_path: Path) -> None:
    """A file without a name, one that is gone, and a pipe by way of /proc."""
    read, write = os.pipe()
    gone = os.open(tmp_path / "gone", os.O_RDWR | os.O_CREAT)
    (tmp_path / "gone").unlink()

    def act() -> None:
        close(libc.syscall(number("openat"), AT_FDCWD, f"/proc/self/fd/{read}".encode(), os.O_RDONLY | os.O_NONBLOCK))
        close(libc.syscall(number("openat"), AT_FDCWD, f"/proc/self/fd/{gone}".encode(), os.O_RDONLY))

    events = opened(act)
    for fd in (read, write, gone):
        os.close(fd)
    assert [event["real_path"] for event in events] == [None, None]


def test_of_all_calls(linked: Path) -> None:
    """``syscalls="all"`` has it too, of a command."""
    result = rawtp.run(["cat", str(linked / "link")], syscalls="all", fields=FIELDS)
    [event] = [
        event
        for event in result.events
        if event["syscall"] in OPENS and event["args"] and event["args"]["pathname"] == str(linked / "link")
    ]
    assert (event["real_path"], event["real_path_by"]) == (f"{linked}/real/file", "kernel")


def test_in_another_mount_namespace(linked: Path) -> None:
    """By its path on this host, whatever the process calls it."""
    (linked / "elsewhere").mkdir()
    script = f"mount --bind {linked}/real {linked}/elsewhere && exec cat {linked}/elsewhere/file"
    command = ["unshare", "-m", "sh", "-c", script]
    with rawtp.Tracer(OPENS, pid=os.getpid(), follow=True, fields=FIELDS, when="always") as tracer:
        subprocess.run(command, check=True, capture_output=True)
        events = tracer.get_many(timeout=HANG_S)
    [event] = [event for event in events if event["args"] and event["args"]["pathname"] == f"{linked}/elsewhere/file"]
    assert event["real_path"] == f"{linked}/real/file"
