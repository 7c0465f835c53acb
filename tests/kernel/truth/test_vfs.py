"""``hook="vfs"``: events by the kernel's functions alone, beside those of a hook on system calls."""

# ruff: noqa: PTH104, PTH108 - the tests are about these very calls
from __future__ import annotations

import contextlib
import ctypes
import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import rawtp
from helpers.files import EVERYTHING, facts, in_fork, told
from helpers.support import (
    UNLINK,
    assert_ledger,
    assert_ledger_of,
    mounted,
    of_own_family,
    on_one_cpu,
    read_to_end,
    release,
    stopped,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

pytestmark = pytest.mark.kernel

NOBODY = 65534
DELETERS, COUNT = 4, 500
# The keys of what a call asks for, of who asks, and of the file.
KEYS = (
    *("syscall", "abi", "via", "action", "dfd", "flags", "filename", "new_filename", "path", "new_path", "path_kind"),
    *("pid", "tid", "ppid", "uid", "gid", "comm", "exe", "argv", "cgroup_id", "mnt_ns", "parent_comm", "name_status"),
    *("real_path", "new_real_path", "real_path_by", "dev", "nlink", "size", "mode", "file_type", "owner"),
    *("replaced", "replaced_size", "replaced_nlink", "length", "exchange", "errno"),
)


def tracer(syscalls: Sequence[str] = EVERYTHING, **options: Any) -> rawtp.Tracer:
    return of_own_family(syscalls, hook="vfs", **options)


def seen(action: Callable[[], object], **options: Any) -> list[rawtp.Event]:
    """The events of a fork that does this."""
    with tracer(**options) as watching:
        pid = in_fork(action)
        # No name of a missing file ends them: such a deletion is not seen.
        events = [event for event in watching.get_many(timeout=0) if event["pid"] == pid]
        stats = watching.stats()
    assert (stats.lost_ring, stats.lost_truths, stats.unpaired, stats.lost_exits) == (0, 0, 0, 0)
    return events


def test_what_it_covers() -> None:
    with tracer() as watching:
        coverage = watching.coverage
    kind, _, functions = (coverage["syscalls"]["hook"] or "").partition("/")
    assert (kind in {"fentry", "kprobe", "kprobe.multi"}, functions) == (True, "security_path_*")
    assert "ENOENT" in (coverage["syscalls"]["reason"] or "")
    assert "fallocate, ioctl and mq_unlink" in (coverage["syscalls"]["reason"] or "")
    results, _, gap = (coverage["syscall_results"]["hook"] or "").partition(", ")
    assert (results.endswith("/vfs_*"), gap in {"", "but of no rmdir"}) == (True, True), coverage
    assert coverage["truth"]["hook"] == coverage["io_uring"]["hook"] == coverage["syscalls"]["hook"]
    assert (coverage["kernel_threads"]["hook"] or "").endswith("/security_inode_*"), coverage


def test_no_system_call_is_hooked() -> None:
    def links() -> list[str]:
        texts = []
        for fd in os.listdir("/proc/self/fdinfo"):  # noqa: PTH208
            with contextlib.suppress(FileNotFoundError):
                texts.append(Path(f"/proc/self/fdinfo/{fd}").read_text())
        return [text for text in texts if "link_type" in text]

    with tracer():
        attached = links()
    assert attached
    assert not [text for text in attached if "sys_enter" in text or "sys_exit" in text]
    with rawtp.Tracer(hook="raw_tp", pid=1):
        assert [text for text in links() if "sys_enter" in text]


def test_its_start_is_no_event() -> None:
    for syscalls in (rawtp.DELETE, rawtp.RENAME, rawtp.TRUNCATE, EVERYTHING):
        with tracer(syscalls) as watching:
            stats = watching.stats()
            assert (stats.matched, stats.filtered, stats.lost_truths, stats.unpaired) == (0, 0, 0, 0)
            assert watching.get_many(timeout=0) == []


def in_directory(program: Path, directory: Path, **options: Any) -> list[dict[str, Any]]:
    # For compat, most of whose calls fail otherwise.
    (directory / "second").mkdir(parents=True)
    for name in ("first", "native"):
        (directory / name).touch()
    with stopped([program, directory]) as process, rawtp.Tracer(EVERYTHING, pid=process.pid, **options) as watching:
        release(process)
        events = read_to_end(watching, process)
        if process.returncode == 77:
            pytest.skip("this kernel has no 32-bit system calls (CONFIG_IA32_EMULATION)")
        assert_ledger_of(watching)
    for left in directory.iterdir():
        left.rmdir() if left.is_dir() else left.unlink()
    directory.rmdir()
    of_process = {"pid", "tid"}
    return [
        {key: event[key] for key in KEYS if key not in of_process}  # type: ignore[literal-required]
        | {"is_own": {event["pid"], event["tid"]} == {process.pid}}
        # What has not reached a file is not seen.
        for event in events
        if event["ino"] is not None
    ]


@pytest.mark.parametrize("name", ["ways", "compat"])
def test_each_call_is_seen_as_by_its_own_hook(program: Callable[[str], Path], tmp_path: Path, name: str) -> None:
    if name == "compat" and os.uname().machine != "x86_64":
        pytest.skip("int 0x80 is x86's")
    expected = in_directory(program(name), tmp_path / "same")
    found = in_directory(program(name), tmp_path / "same", hook="vfs")
    assert found == expected
    assert len(found) >= 3


def test_deletions_and_their_results(tmp_path: Path) -> None:
    for name in ("a", "full/b"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"content")
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "c").touch()
    before = [facts(tmp_path / name) for name in ("kept/c", "full", "full", "a")]

    def removals() -> None:
        def attempt(call: Callable[[Path], None], name: str) -> None:
            with contextlib.suppress(OSError):
                call(tmp_path / name)

        pid = os.fork()
        if not pid:
            os.setuid(NOBODY)
            attempt(os.unlink, "kept/c")
            os._exit(0)
        os.waitpid(pid, 0)
        attempt(os.unlink, "none of them")
        attempt(os.rmdir, "full")
        attempt(os.unlink, "full")
        attempt(os.unlink, "a")

    tmp_path.chmod(0o755)
    for directory in tmp_path.parents[:3]:
        directory.chmod(directory.stat().st_mode | 0o055)
    with tracer() as watching:
        hides_rmdir = (watching.coverage["syscall_results"]["hook"] or "").endswith("but of no rmdir")
        in_fork(removals)
        events = watching.get_many(timeout=10)
    assert [told(event) for event in events] == before
    results: list[int | None] = [-errno.EACCES, -errno.ENOTEMPTY, -errno.EISDIR, 0]
    if hides_rmdir:
        # Both are of a directory, so that neither result is waited for.
        results[1:3] = [None, None]
    assert [event["ret"] for event in events] == results
    assert [event["errno"] for event in events] == [result and errno.errorcode[-result] for result in results[:3]] + [
        None
    ]
    assert all((event["duration_ns"] or 0) > 0 for event in events if event["ret"] is not None)
    assert [event["uid"] for event in events] == [NOBODY, 0, 0, 0]


def test_what_reaches_no_file_is_not_even_matched() -> None:
    with tracer() as watching:
        in_fork(lambda: os.unlink("/nonexistent/rawtp"))
        stats = watching.stats()
    assert (stats.matched, stats.delivered) == (0, 0)


def test_an_open_has_the_result_of_its_truncation(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    [event] = seen(lambda: os.open(tmp_path / "file", os.O_WRONLY | os.O_TRUNC))
    assert (event["ret"], event["length"], event["size"], event["action"]) == (0, 0, 7, "truncate")
    # Nothing is lost when a file grows.
    assert seen(lambda: os.truncate(tmp_path / "file", 100)) == []


def test_without_results(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    [event] = seen(lambda: os.unlink(tmp_path / "file"), results=False)
    assert (event["ret"], event["real_path"]) == (None, f"{tmp_path}/file")


def test_with_few_fields(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    fields = ["pid", "filename", "ret", "syscall"]
    with tracer(fields=fields) as watching:
        pid = in_fork(lambda: os.unlink(tmp_path / "file"))
        assert watching.coverage["kernel_threads"]["hook"] is None
        [event] = watching.get_many(timeout=10)
    assert dict(event) == {"pid": pid, "filename": f"{tmp_path}/file", "ret": 0, "syscall": UNLINK}


def test_filters(tmp_path: Path) -> None:
    for name in ("in/a", "out/b"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    (tmp_path / "link").symlink_to("in")

    def both() -> None:
        os.unlink(tmp_path / "link" / "a")
        os.unlink(tmp_path / "out" / "b")

    [event] = seen(both, path=tmp_path / "in")
    assert (event["real_path"], event["path"]) == (f"{tmp_path}/in/a", f"{tmp_path}/link/a")
    with rawtp.Tracer(hook="vfs", pid=1) as other:
        (tmp_path / "file").touch()
        os.unlink(tmp_path / "file")
        stats = other.stats()
    assert (stats.delivered, stats.lost_truths) == (0, 0)
    (tmp_path / "file").touch()
    assert seen(lambda: os.unlink(tmp_path / "file"), syscalls=rawtp.RENAME) == []


def test_on_an_overlay_the_outer_result_counts(tmp_path: Path) -> None:
    for name in ("layers", "overlay"):
        (tmp_path / name).mkdir()
    with mounted(tmp_path / "layers", "-t", "tmpfs", "none"):
        lower, upper, work = (tmp_path / "layers" / name for name in ("lower", "upper", "work"))
        for layer in (lower, upper, work):
            layer.mkdir()
        for name in ("a", "b"):
            (lower / name).write_bytes(b"content")
        options = f"lowerdir={lower},upperdir={upper},workdir={work}"
        try:
            overlay = mounted(tmp_path / "overlay", "-t", "overlay", "overlay", "-o", options)
            overlay.__enter__()
        except OSError:
            pytest.skip("this kernel has no overlayfs")
        with contextlib.ExitStack() as stack:
            stack.push(overlay)

            def both() -> None:
                os.unlink(tmp_path / "overlay" / "a")
                os.rename(tmp_path / "overlay" / "b", tmp_path / "overlay" / "c")

            events = seen(both)
    place = f"{tmp_path}/overlay"
    assert [(event["action"], event["ret"]) for event in events] == [("delete", 0), ("rename", 0)]
    assert [event["real_path"] for event in events] == [f"{place}/a", f"{place}/b"]
    assert events[1]["new_real_path"] == f"{place}/c"


class Ruleset(ctypes.Structure):
    """``struct landlock_ruleset_attr`` of its first version."""

    _fields_ = [("handled_access_fs", ctypes.c_uint64)]


def forbid_removals() -> None:
    """By Landlock (landlock(7)): from here on this process removes no file."""
    remove_file = 1 << 5
    libc = ctypes.CDLL(None, use_errno=True)
    rules = Ruleset(remove_file)
    fd = libc.syscall(444, ctypes.byref(rules), ctypes.sizeof(rules), 0)
    if fd < 0 or libc.prctl(38, 1, 0, 0, 0) or libc.syscall(446, fd, 0):
        os._exit(77)


def test_a_security_module_refuses(tmp_path: Path) -> None:
    """It does so in the very function that is hooked: the one that does the work is not called."""
    (tmp_path / "file").touch()

    def both() -> None:
        forbid_removals()
        for _ in range(2):
            with contextlib.suppress(PermissionError):
                os.unlink(tmp_path / "file")

    pid = os.fork()
    if not pid:
        forbid_removals()
        os._exit(0)
    if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 77:
        pytest.skip("this kernel has no Landlock")
    events = seen(both)
    assert [(event["errno"], event["real_path"]) for event in events] == [("EACCES", f"{tmp_path}/file")] * 2


@pytest.mark.parametrize("mode", ["inline", "async", "sqpoll"])
def test_requests(program: Callable[[str], Path], tmp_path: Path, mode: str) -> None:
    """A request is seen in the thread that carries it out, by the call that does the same."""
    with (
        stopped([program("uring"), tmp_path, mode]) as process,
        rawtp.Tracer(EVERYTHING, pid=process.pid, hook="vfs") as watching,
    ):
        release(process)
        events = read_to_end(watching, process)
        if process.returncode == 77:
            pytest.skip("this kernel has no io_uring, or forbids it (kernel.io_uring_disabled)")
        assert_ledger_of(watching)
        hides_rmdir = (watching.coverage["syscall_results"]["hook"] or "").endswith("but of no rmdir")
    events = [event for event in events if event["via"] == "io_uring"]
    here = os.path.realpath(tmp_path)
    done = [(event["syscall"], event["action"], event["real_path"], event["ret"]) for event in events]
    assert ("unlinkat", "delete", f"{here}/c", 0) in done, done
    assert ("unlinkat", "rmdir", f"{here}/d", None if hides_rmdir else 0) in done, done
    renamed = [(event["real_path"], event["new_real_path"]) for event in events if event["action"] == "rename"]
    assert (f"{here}/a", f"{here}/c") in renamed
    assert {event["path"] for event in events} == {None}
    assert len({event["seq"] for event in events if event["cpu"] == events[0]["cpu"]}) > 0


def test_deleters_on_one_cpu(program: Callable[[str], Path], tmp_path: Path) -> None:
    """In directories of their own: each deletion is an event with its file and its result."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(on_one_cpu())
        processes = []
        for at in range(DELETERS):
            (tmp_path / str(at)).mkdir()
            command: list[str | Path] = [program("removals"), tmp_path / str(at), str(COUNT)]
            processes.append(stack.enter_context(stopped(command)))
        pids = [process.pid for process in processes]
        watching = stack.enter_context(rawtp.Tracer(pid=pids, ring_bytes=32 << 20, hook="vfs"))
        for process in processes:
            release(process)
        events = [event for process in processes for event in read_to_end(watching, process)]
        stats = watching.stats()
    assert_ledger(stats)
    expected = {f"{tmp_path}/{at}/{turn}": (pids[at], turn, 0) for at in range(DELETERS) for turn in range(COUNT)}
    found = {event["real_path"]: (event["pid"], event["size"], event["ret"]) for event in events}
    assert (len(events), found) == (len(expected), expected)
    assert (stats.missed or 0, stats.lost_ring, stats.lost_exits, stats.unpaired) == (0, 0, 0, 0)


def test_a_full_ring_is_counted(tmp_path: Path) -> None:
    count = 4000
    for at in range(count):
        (tmp_path / str(at)).touch()
    with tracer(rawtp.DELETE, ring_bytes=65536, queue_bytes=65536) as watching, on_one_cpu():
        for at in range(count):
            os.unlink(tmp_path / str(at))
    events = list(watching)
    stats = watching.stats()
    assert_ledger(stats)
    assert (stats.matched, stats.lost_ring > 0) == (count, True)
    assert sum(event["lost"] for event in events) + stats.tail_lost == stats.lost_ring
    assert {event["ret"] for event in events} <= {0, None}
    for event in events:
        assert event["real_path"] == event["path"]


def test_none_of_its_calls() -> None:
    with pytest.raises(ValueError, match=r'^hook="vfs" sees none of the syscalls \["fallocate", "ioctl"\]: '):
        rawtp.Tracer(["fallocate", "ioctl"], hook="vfs")
