"""What the events of raw tracepoints say, compared with what was done."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import rawtp
from helpers.disks import MAKE, SIZE
from helpers.support import HANG_S

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.kernel

HEAD = ("ts_ns", "cpu", "seq", "lost", "pid", "tid", "comm")

FIRST_REGISTER = "regs.di" if os.uname().machine == "x86_64" else "regs.regs[0]"
GETPGID = 121 if os.uname().machine == "x86_64" else 155

ABSENT_PID = 0x7FFF_FFF0
"""A pid that no process has: it marks a call as ours."""


def arguments(name: str) -> dict[str, str]:
    """The arguments of a tracepoint on this kernel."""
    [found] = rawtp.tracepoints(name)
    return found.arguments


def of(events: list[dict[str, Any]], **wanted: object) -> dict[str, Any]:
    """The only event with these values."""
    [event] = [event for event in events if all(event[key] == value for key, value in wanted.items())]
    return event


def run(*command: str) -> int:
    """Runs a command to its end, and gives its pid."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    process.wait(timeout=HANG_S)
    return process.pid


def test_an_exec() -> None:
    fields = ["p.pid", "p.comm", "p.real_parent.comm", "p.real_parent.tgid", "old_pid", "bprm.filename", "p.cred.uid"]
    with rawtp.RawTracepoint("sched_process_exec", fields) as execs:
        before = time.time_ns()
        pid = run("/bin/true")
        event = of(execs.get_many(timeout=HANG_S), pid=pid)
        assert before <= event["ts_ns"] <= time.time_ns()
    assert tuple(event) == (*HEAD, *fields)
    assert (event["tid"], event["comm"], event["p.pid"], event["p.comm"]) == (pid, "true", pid, "true")
    own = Path("/proc/self/comm").read_text().rstrip("\n")
    # A child of vfork(2) has this thread's name; its parent is the process.
    assert (event["p.real_parent.comm"], event["p.real_parent.tgid"]) == (own, os.getpid())
    assert (event["old_pid"], event["bprm.filename"], event["p.cred.uid"]) == (pid, "/bin/true", os.geteuid())


def test_the_default_is_every_argument_that_is_a_value() -> None:
    with rawtp.RawTracepoint("sched_process_exec") as execs:
        assert (execs.name, execs.fields) == ("sched_process_exec", ("old_pid",))
        pid = run("/bin/true")
        event = of(execs.get_many(timeout=HANG_S), pid=pid)
    assert tuple(event) == (*HEAD, "old_pid")


def test_addresses_come_only_when_asked_for() -> None:
    assert arguments("sched_process_exec")["p"] == "struct task_struct *"
    with pytest.raises(ValueError, match='"p" of sched_process_exec: it is an address'):
        rawtp.RawTracepoint("sched_process_exec", ["p"])
    with rawtp.RawTracepoint("sched_process_exec", pointers=True) as execs:
        assert execs.fields == ("p", "old_pid", "bprm")
        pid = run("/bin/true")
        event = of(execs.get_many(timeout=HANG_S), pid=pid)
    # The kernel is in the upper half of the address space.
    assert event["p"] >> 63 == event["bprm"] >> 63 == 1
    assert event["p"] != event["bprm"]


def test_an_exit() -> None:
    fields = ["p.exit_code", "p.comm", "p.tgid"] + ["group_dead"] * ("group_dead" in arguments("sched_process_exit"))
    with rawtp.RawTracepoint("sched_process_exit", fields) as exits:
        pid = run("sh", "-c", "exit 7")
        event = of(exits.get_many(timeout=HANG_S), pid=pid)
    assert (event["p.exit_code"], event["p.comm"], event["p.tgid"]) == (7 << 8, "sh", pid)
    assert event.get("group_dead", True) is True


def test_a_signal() -> None:
    with (
        subprocess.Popen(["sleep", "60"]) as process,
        rawtp.RawTracepoint("signal_generate", ["sig", "task.pid", "info.si_code", "group"], pid=os.getpid()) as sent,
    ):
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=HANG_S)
        event = of(sent.get_many(timeout=HANG_S), sig=int(signal.SIGTERM))
    assert (event["task.pid"], event["group"]) == (process.pid, 1)
    # SI_USER, or no structure at all (SEND_SIG_NOINFO, which is NULL), which Linux 7.3 passes for kill(2).
    assert event["info.si_code"] in {0, None}
    assert event["pid"] == os.getpid()


def test_a_number_with_a_sign() -> None:
    """``si_code`` of a signal by tgkill(2) is SI_TKILL, -6."""
    before = signal.signal(signal.SIGUSR1, lambda *_: None)
    try:
        with rawtp.RawTracepoint("signal_generate", ["sig", "info.si_code", "group"], pid=os.getpid()) as sent:
            signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)
            event = of(sent.get_many(timeout=HANG_S), sig=int(signal.SIGUSR1))
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert (event["info.si_code"], event["group"]) == (-6, 0)


def test_a_switch() -> None:
    fields = ["preempt", "prev.comm", "prev.pid", "next.pid", "next.comm"]
    with rawtp.RawTracepoint("sched_switch", fields, pid=os.getpid()) as switches:
        time.sleep(0.01)
        events = [event for event in switches.get_many(timeout=HANG_S) if event["tid"] == threading.get_native_id()]
    assert events
    for event in events:
        assert event["prev.pid"] == event["tid"] != event["next.pid"]
        assert event["prev.comm"] == event["comm"]
        assert isinstance(event["preempt"], bool)
        assert event["next.comm"]


def dropped_datagram() -> None:
    """Sends a datagram to a port of this host that nobody listens at."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"x", ("127.0.0.1", 1))


def test_the_reason_of_a_drop_has_a_name() -> None:
    if "reason" not in arguments("kfree_skb"):
        pytest.skip("this kernel tells no reason")
    with rawtp.RawTracepoint("kfree_skb", ["reason", "skb.len"], pid=os.getpid()) as drops:
        dropped_datagram()
        events = drops.get_many(timeout=HANG_S)
    # The UDP header and the byte.
    assert "SKB_DROP_REASON_NO_SOCKET" in {event["reason"] for event in events if event["skb.len"] == 9}


def test_registers_by_hand() -> None:
    with rawtp.RawTracepoint("sys_enter", [FIRST_REGISTER, "id"], pid=os.getpid()) as calls:
        with pytest.raises(ProcessLookupError):
            os.getpgid(ABSENT_PID)
        event = of(calls.get_many(timeout=HANG_S), **{FIRST_REGISTER: ABSENT_PID})
    assert (event["id"], event["tid"]) == (GETPGID, threading.get_native_id())


def test_bit_fields_arrays_and_wrapped_values() -> None:
    fields = ["p.cpus_mask.bits", "p.cpus_mask.bits[0]", "p.in_execve", "p.comm[0]", "p.usage", "p.mm.saved_auxv[0]"]
    with rawtp.RawTracepoint("sched_process_exec", fields) as execs:
        pid = run("taskset", "1", "/bin/true") if Path("/usr/bin/taskset").exists() else run("/bin/true")
        event = [event for event in execs.get_many(timeout=HANG_S) if event["pid"] == pid][-1]
    assert event["p.cpus_mask.bits"][0] == event["p.cpus_mask.bits[0]"] > 0
    assert (event["p.in_execve"], event["p.comm[0]"]) == (1, ord("t"))
    assert event["p.usage"] > 0
    assert isinstance(event["p.mm.saved_auxv[0]"], int)


def test_a_name_of_the_file_system_is_a_text() -> None:
    path = "bprm.file.f_path.dentry.d_name.name"
    with rawtp.RawTracepoint("sched_process_exec", [path, "bprm.buf"]) as execs:
        pid = run("/bin/true")
        event = of(execs.get_many(timeout=HANG_S), pid=pid)
    assert event[path] == Path("/bin/true").resolve().name
    # A text ends at a NUL, here in the version of the ELF header.
    assert event["bprm.buf"] == "\x7fELF\x02\x01\x01"


def test_what_cannot_be_read_is_none() -> None:
    """A thread of the kernel has no memory of its own: ``mm`` is NULL."""
    fields = ["prev.mm.start_stack", "prev.mm.exe_file.f_path.dentry.d_name.name", "prev.pid"]
    with rawtp.RawTracepoint("sched_switch", fields) as switches:
        events = switches.get_many(timeout=HANG_S)
        deadline = time.monotonic() + HANG_S
        while not any(event["prev.pid"] == 0 for event in events) and time.monotonic() < deadline:
            events += switches.get_many(timeout=1)
        found = [event for event in events if event["prev.pid"] == 0]
        assert found
        assert {event[path] for event in found for path in fields[:2]} == {None}
        assert switches.stats().name_faults >= len(found)


@pytest.fixture
def own_comm() -> Iterator[Callable[[bytes], None]]:
    """Sets this thread's name, and takes it back."""
    path = Path(f"/proc/self/task/{threading.get_native_id()}/comm")
    before = path.read_bytes().rstrip(b"\n")

    def set_name(name: bytes) -> None:
        path.write_bytes(name)

    yield set_name
    path.write_bytes(before)


@pytest.mark.parametrize("name", [b"\xff\xfe\x1b[31m", b"a\nb'\"<b>", b"sixteen bytes ab", b""])
def test_hostile_names(own_comm: Callable[[bytes], None], name: bytes) -> None:
    fields = ["prev.comm", "prev.pid"]
    with rawtp.RawTracepoint("sched_switch", fields, pid=os.getpid()) as switches:
        if name:
            own_comm(name)
        else:
            assert ctypes.CDLL(None).prctl(15, b"", 0, 0, 0) == 0  # PR_SET_NAME
        time.sleep(0.01)
        batch = switches.batch(timeout=HANG_S)
    kept = name[:15]
    events: list[Any] = [*batch.to_dicts()]
    own = [event for event in events if event["tid"] == threading.get_native_id()]
    assert own
    assert {(event["comm"], event["prev.comm"]) for event in own[-1:]} == {(os.fsdecode(kept),) * 2}


def test_long_texts_are_cut_off_and_counted(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 100)
    path.symlink_to("/bin/true")
    with rawtp.RawTracepoint("sched_process_exec", ["bprm.filename"], text_bytes=32) as execs:
        pid = run(str(path))
        event = of(execs.get_many(timeout=HANG_S), pid=pid)
        assert event["bprm.filename"] == str(path)[:31]
        assert execs.stats().truncated >= 1
    with rawtp.RawTracepoint("sched_process_exec", ["bprm.filename"], text_bytes=4096) as execs:
        pid = run(str(path))
        assert of(execs.get_many(timeout=HANG_S), pid=pid)["bprm.filename"] == str(path)
        assert execs.stats().truncated == 0


def test_an_argument_named_like_a_key() -> None:
    name = next(one.name for one in rawtp.tracepoints() if "cpu" in one.arguments and one.module is None)
    with rawtp.RawTracepoint(name, ["cpu"]) as found:
        assert found.fields == ("arg_cpu",)


@pytest.fixture
def xfs(tmp_path: Path) -> Iterator[Path]:
    """A mounted XFS. The module of a file system is loaded as long as one is mounted."""
    place, made = tmp_path / "place", tmp_path / "image"
    place.mkdir()
    made.touch()
    os.truncate(made, SIZE)
    try:
        subprocess.run([*MAKE["xfs"], made], check=True, capture_output=True)
        subprocess.run(["mount", "-o", "loop", made, place], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no xfs can be made and mounted here")
    yield place
    subprocess.run(["umount", place], check=True)


def test_a_module_has_tracepoints_too(xfs: Path) -> None:
    """Its types are split from the kernel's."""
    of_modules = [one for one in rawtp.tracepoints() if one.module]
    if not of_modules:
        pytest.skip("this kernel has no types of its modules")
    for one in of_modules[:20]:
        with rawtp.RawTracepoint(one.name) as found:
            assert set(found.fields) <= {*one.arguments} | {f"arg_{name}" for name in one.arguments}
    [remove] = rawtp.tracepoints("xfs_remove")
    assert (remove.module, remove.arguments["dp"]) == ("xfs", "struct xfs_inode *")
    # XFS makes it by a macro whose own parameter is `name`: in the types the tracepoint's name is in its place.
    [_, name] = remove.arguments
    fields = ["dp.i_vnode.i_ino", "dp.i_vnode.i_sb.s_type.name", f"{name}.name", f"{name}.len"]
    with rawtp.RawTracepoint("xfs_remove", fields, pid=os.getpid()) as removes:
        file = xfs / "rawtp-of-a-module"
        file.touch()
        file.unlink()
        [event] = removes.get_many(timeout=HANG_S)
    assert {key: event[key] for key in fields} == {
        "dp.i_vnode.i_ino": xfs.stat().st_ino,
        "dp.i_vnode.i_sb.s_type.name": "xfs",
        f"{name}.name": file.name,
        f"{name}.len": len(file.name),
    }


def test_only_the_processes_that_are_asked_for() -> None:
    with (
        subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process,
        rawtp.RawTracepoint("sys_enter", pid=[process.pid]) as calls,
    ):
        os.getppid()
        process.communicate(b"\n", timeout=HANG_S)
        events = calls.get_many(timeout=HANG_S)
        calls.close()
        events += calls
        assert events
        assert {event["pid"] for event in events} == {process.pid}
        stats = calls.stats()
        assert stats.filtered > 0
        assert stats.matched == stats.filtered + stats.lost_ring + len(events)
