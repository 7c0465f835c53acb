"""Calls that change files and make nothing go, and any call by its name."""

# ruff: noqa: PTH101, PTH102, PTH104, PTH106, PTH108, PTH123, PTH211
from __future__ import annotations

import ctypes
import errno
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import rawtp
from helpers.support import assert_ledger_of

pytestmark = pytest.mark.kernel

FIELDS = ("tid", "syscall", "action", "filename", "path", "new_path", "real_path", "ret", "errno")
AT_FDCWD, AT_EMPTY_PATH, AT_SYMLINK_FOLLOW, AT_SYMLINK_NOFOLLOW = -100, 0x1000, 0x400, 0x100
X86 = os.uname().machine == "x86_64"

libc = ctypes.CDLL(None, use_errno=True)


def call(name: str, *arguments: Any) -> int:
    result: int = libc.syscall(rawtp.syscalls.number(name), *arguments)
    return result


def watched(**options: Any) -> rawtp.Tracer:
    return rawtp.Tracer(**{"syscalls": "file_changes", "pid": os.getpid(), "fields": FIELDS, **options})


def rows(tracer: rawtp.Tracer) -> list[tuple[Any, ...]]:
    tracer.close()
    assert_ledger_of(tracer)
    return [((e["syscall"] or "").removesuffix("at"), e["path"], e["new_path"], e["ret"]) for e in tracer]


def test_each_change_of_names_and_attributes(tmp_path: Path) -> None:
    at = str(tmp_path)
    os.chdir(at)
    with watched(path=at) as tracer:
        os.mkdir("d")
        with open("f", "w"):
            pass
        os.link("f", "g")
        os.symlink("to nothing", "s")
        os.mkfifo("p")
        os.chmod("f", 0o600)
        os.chown("f", 0, 0)
        os.utime("f")
        os.rename("g", "h")
        os.unlink("h")
        os.rmdir("d")
        os.truncate("f", 0)
    assert rows(tracer) == [
        ("mkdir", f"{at}/d", None, 0),
        ("open", f"{at}/f", None, pytest.approx(3, abs=200)),
        ("link", f"{at}/f", f"{at}/g", 0),
        ("symlink", f"{at}/s", None, 0),
        ("mknod", f"{at}/p", None, 0),
        ("chmod", f"{at}/f", None, 0) if X86 else ("fchmod", f"{at}/f", None, 0),
        ("chown", f"{at}/f", None, 0) if X86 else ("fchown", f"{at}/f", None, 0),
        ("utimens", f"{at}/f", None, 0),
        ("rename", f"{at}/g", f"{at}/h", 0),
        ("unlink", f"{at}/h", None, 0),
        ("rmdir" if X86 else "unlink", f"{at}/d", None, 0),
        ("truncate", f"{at}/f", None, 0),
    ]


def test_action_is_none_where_nothing_goes(tmp_path: Path) -> None:
    file = tmp_path / "file"
    with watched(path=str(tmp_path)) as tracer:
        os.close(os.open(file, os.O_CREAT | os.O_RDWR))
        os.close(os.open(file, os.O_TRUNC | os.O_RDWR))
        os.chmod(file, 0o600)
        os.unlink(file)
    found = [((event["syscall"] or "").removesuffix("at"), event["action"]) for event in tracer]
    assert found == [("open", None), ("open", "truncate"), ("chmod" if X86 else "fchmod", None), ("unlink", "delete")]


def test_opens_that_change_nothing_are_left_out(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("here")
    with watched(path=str(tmp_path)) as tracer:
        os.close(os.open(file, os.O_RDONLY))
        os.close(os.open(file, os.O_CREAT | os.O_RDWR))
        os.close(os.open(tmp_path / "new", os.O_CREAT | os.O_RDWR))
        with pytest.raises(FileExistsError):
            os.open(file, os.O_CREAT | os.O_EXCL | os.O_RDWR)
        os.close(os.open("/dev/null", os.O_TRUNC | os.O_WRONLY))
    assert [(event["path"], event["errno"]) for event in tracer] == [
        (str(tmp_path / "new"), None),
        (str(file), "EEXIST"),
    ]


def test_every_open_with_always(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    how = (ctypes.c_uint64 * 3)(os.O_RDONLY, 0, 0)
    with watched(syscalls=["openat", "openat2"], when="always", path=str(tmp_path)) as tracer:
        os.close(os.open(file, os.O_RDONLY))
        os.close(call("openat2", AT_FDCWD, os.fsencode(file), how, ctypes.sizeof(how)))
        os.close(os.open(file, os.O_TRUNC | os.O_WRONLY))
    # The tracer looks paths up as well.
    found = [(event["syscall"], event["action"], event["path"]) for event in tracer if event["filename"] == str(file)]
    assert found == [
        ("openat", None, str(file)),
        ("openat2", None, str(file)),
        ("openat", "truncate", str(file)),
    ]


def test_an_empty_path_is_that_of_the_descriptor(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    fd = os.open(file, os.O_RDONLY)
    try:
        with watched(syscalls=["fchownat", "linkat"], path=str(tmp_path)) as tracer:
            assert call("fchownat", fd, b"", 0, 0, AT_EMPTY_PATH) == 0
            assert call("linkat", fd, b"", AT_FDCWD, os.fsencode(tmp_path / "again"), AT_EMPTY_PATH) == 0
            # Without the flag an empty name is none.
            assert call("fchownat", fd, b"", 0, 0, 0) == -1
    finally:
        os.close(fd)
    found = [(event["syscall"], event["filename"], event["path"], event["new_path"]) for event in tracer]
    assert found == [
        ("fchownat", None, str(file), None),
        ("linkat", None, str(file), str(tmp_path / "again")),
    ]


def test_links_are_followed_as_the_flags_say(tmp_path: Path) -> None:
    file, link = tmp_path / "file", tmp_path / "link"
    file.touch()
    link.symlink_to(file)
    # Otherwise following it writes its time of access, and no look-up in the kernel's cache can do that.
    os.utime(link, (time.time() + 3600, 0), follow_symlinks=False)
    name = os.fsencode(link)
    with watched(syscalls=["fchownat", "linkat"], path=str(tmp_path)) as tracer:
        assert call("fchownat", AT_FDCWD, name, 0, 0, 0) == 0
        assert call("fchownat", AT_FDCWD, name, 0, 0, AT_SYMLINK_NOFOLLOW) == 0
        assert call("linkat", AT_FDCWD, name, AT_FDCWD, os.fsencode(tmp_path / "1"), 0) == 0
        assert call("linkat", AT_FDCWD, name, AT_FDCWD, os.fsencode(tmp_path / "2"), AT_SYMLINK_FOLLOW) == 0
    assert [event["real_path"] for event in tracer] == [str(file), str(link), str(link), str(file)]


def test_descriptors_have_the_path_of_their_file(tmp_path: Path) -> None:
    file = tmp_path / "file"
    calls = ["write", "pwrite64", "read", "fsync", "fchmod"]
    with open(file, "w+b", buffering=0) as opened, watched(syscalls=calls, path=str(file)) as tracer:
        opened.write(b"x")
        os.pwrite(opened.fileno(), b"yz", 1)
        os.fsync(opened.fileno())
        os.fchmod(opened.fileno(), 0o644)
        opened.seek(0)
        assert os.read(opened.fileno(), 10) == b"xyz"
    found = [(event["syscall"], event["path"], event["ret"]) for event in tracer]
    results = (("write", 1), ("pwrite64", 2), ("fsync", 0), ("fchmod", 0), ("read", 3))
    assert found == [(name, str(file), ret) for name, ret in results]


def test_mounts_are_events_and_still_followed(tmp_path: Path) -> None:
    """The calls that mount are watched for the paths' sake anyway. As events they are seen once each."""
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    target.mkdir()
    with watched(syscalls=["mount", "umount2", "unlink", "unlinkat"], path=str(tmp_path)) as tracer:
        subprocess.run(["mount", "--bind", source, target], check=True)
        (target / "file").touch()
        os.unlink(target / "file")
        subprocess.run(["umount", target], check=True)
    assert tracer.stats().unpaired == 0
    with watched(syscalls=["mount", "umount2", "unlink", "unlinkat"], pid=None, path=str(tmp_path)) as tracer:
        subprocess.run(["unshare", "--mount", "mount", "--bind", source, target], check=True)
    assert [event["path"] for event in tracer if event["syscall"] == "mount" and event["ret"] == 0][-1:] == [
        str(target)
    ]


@pytest.mark.parametrize("name", ["getppid", "getpgid", "sched_yield"])
def test_any_call_by_its_name(name: str) -> None:
    with rawtp.Tracer([name], pid=os.getpid(), fields=(*rawtp.ALL_FIELDS,)) as tracer:
        for _ in range(3):
            call(name, 0)
    events = list(tracer)
    assert [event["syscall"] for event in events] == [name] * 3
    none = ("action", "path", "new_path", "filename", "dfd", "flags", "real_path", "path_kind", "errno")
    assert all(event[key] is None for event in events for key in none)  # type: ignore[literal-required]
    assert all((event["ret"] or 0) >= 0 for event in events)


def test_a_fork_returns_once_as_an_event() -> None:
    """In the child it returns without having been called there."""
    with rawtp.Tracer(["clone", "clone3", "fork", "vfork"], pid=os.getpid(), follow=True) as tracer:
        child = os.fork()
        if not child:
            os._exit(0)
        os.waitpid(child, 0)
    # The tracer's own thread has been made meanwhile.
    returned = [(event["tid"], event["ret"]) for event in tracer]
    assert returned[-1] == (os.getpid(), child)
    assert all(ret is not None and ret > 0 for _, ret in returned)


def test_all_calls_of_a_command() -> None:
    result = rawtp.run(["sleep", "0"], syscalls="all", fields=("syscall", "ret", "errno", "duration_ns", "path"))
    names = [event["syscall"] for event in result.events]
    assert result.returncode == 0
    assert names[-1] == "exit_group"
    assert {"execve", "mmap", "openat", "close", "brk"} <= set(names)
    assert result.events[-1]["ret"] is None
    opened = [event["path"] for event in result.events if event["syscall"] == "openat" and event["errno"] is None]
    assert opened
    assert all(path is not None and path.startswith("/") for path in opened)
    assert result.stats.lost_ring == result.stats.unpaired == 0


def test_exclude_leaves_calls_and_groups_out() -> None:
    result = rawtp.run(["sleep", "0"], syscalls="all", exclude=["memory", "close"], fields=("syscall",))
    names = {event["syscall"] for event in result.events}
    assert "openat" in names
    assert not names & {"mmap", "munmap", "mprotect", "brk", "close"}


def test_groups_have_each_call_of_theirs() -> None:
    code = "import socket; socket.socket().close(); open('/dev/null').close()"
    result = rawtp.run([sys.executable, "-c", code], syscalls=["network"], fields=("syscall",))
    assert [event["syscall"] for event in result.events if event["syscall"] == "socket"] == ["socket"]
    result = rawtp.run([sys.executable, "-c", code], syscalls=["file"], fields=("syscall", "path"))
    assert "/dev/null" in [event["path"] for event in result.events if event["syscall"] == "openat"]


def test_all_calls_need_a_process() -> None:
    with pytest.raises(ValueError, match=r'syscalls="all" needs a filter by process .* millions of calls'):
        rawtp.Tracer("all")
    with pytest.raises(ValueError, match=r"cannot watch the process that reads the events"):
        rawtp.Tracer("all", pid=os.getpid())


@pytest.mark.parametrize(
    ("filters", "named"),
    [
        ({"comm": "*"}, r'comm="\*"'),
        ({"comm": ["rm", "*"]}, r'comm="\*"'),
        ({"cgroup": "/"}, "the root cgroup"),
        ({"cgroup": "/", "comm": "*"}, r'comm="\*" or the root cgroup'),
    ],
    ids=str,
)
def test_a_filter_that_every_process_passes_is_none(filters: dict[str, Any], named: str) -> None:
    if "cgroup" in filters and " cgroup2 " not in Path("/proc/mounts").read_text():
        pytest.skip("there is no cgroup hierarchy of version 2")
    with pytest.raises(
        ValueError, match=rf"needs a filter by process \(pid, uid, comm or cgroup\), which {named} is not"
    ):
        rawtp.Tracer("all", **filters)
    with rawtp.Tracer("all", **filters, uid=65533) as tracer:
        assert len(tracer.batch(timeout=0)) == 0


@pytest.mark.parametrize("filters", [{"path": "/"}, {"path": "/srv"}, {"outcome": "ok"}], ids=str)
def test_other_filters_are_not_by_process(filters: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"needs a filter by process \(pid, uid, comm or cgroup\), or rawtp\.run"):
        rawtp.Tracer("all", **filters)


def test_the_command_line_refuses_it_as_well() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "rawtp", "-s", "all", "--comm", "*"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert 'which comm="*" is not' in done.stderr


def test_an_unknown_call_is_named_with_its_nearest() -> None:
    with pytest.raises(ValueError, match=r'^no system call of this machine is named "openta": did you mean "open"'):
        rawtp.Tracer(["openta"])
    with pytest.raises(ValueError, match=r'^exclude: no system call of this machine is named "openta"'):
        rawtp.Tracer(["openat"], exclude=["openta"])
    with pytest.raises(ValueError, match=r"^exclude leaves none of the syscalls"):
        rawtp.Tracer(["unlink", "unlinkat", "rmdir"], exclude=["delete"])
    with pytest.raises(ValueError, match=r'^when must be "loss", "change" or "always", not "never"'):
        rawtp.Tracer(when="never")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"^when must be a str, not int"):
        rawtp.Tracer(when=1)  # type: ignore[arg-type]


def test_failures_of_calls_have_their_error() -> None:
    with (
        rawtp.Tracer(["connect"], pid=os.getpid()) as tracer,
        socket.socket(socket.AF_UNIX) as sock,
        pytest.raises(FileNotFoundError),
    ):
        sock.connect("/no/such/socket")
    assert [(event["syscall"], event["errno"], event["ret"]) for event in tracer] == [
        ("connect", "ENOENT", -errno.ENOENT)
    ]
