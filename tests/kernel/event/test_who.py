"""Who called, from the kernel's structures at the time, against what /proc says of a process that is still there."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import rawtp
from helpers.support import events_of, of_own_family, read_to_end, release, run, stopped, until_sentinel

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.kernel

NOBODY = 65534
UNSET = 0xFFFF_FFFF


def namespace(pid: int, kind: str) -> int:
    return int(Path(f"/proc/{pid}/ns/{kind}").readlink().name.split("[")[1].rstrip("]"))


def only(events: list[rawtp.Event]) -> rawtp.Event:
    assert len(events) == 1, events
    return events[0]


def test_a_program_that_is_still_there(program: Callable[[str], Path]) -> None:
    path = "/nonexistent/rawtp-who"
    before = time.time_ns()
    with stopped([program("burst"), "1", path]) as process, rawtp.Tracer(pid=process.pid) as tracer:
        proc = Path(f"/proc/{process.pid}")
        exe = str((proc / "exe").readlink())
        namespaces = (namespace(process.pid, "pid"), namespace(process.pid, "mnt"))
        login, session = (int((proc / name).read_text()) for name in ("loginuid", "sessionid"))
        unified = [line for line in (proc / "cgroup").read_text().splitlines() if line.startswith("0::")]
        release(process)
        event = only(read_to_end(tracer, process))
    assert (event["exe"], event["argv"], event["argv_truncated"]) == (exe, (exe, "1", path), False)
    assert event["parent_comm"] == Path("/proc/self/comm").read_text().rstrip("\n")
    assert (event["pid_ns"], event["mnt_ns"]) == namespaces
    assert (event["ns_pid"], event["ppid"]) == (process.pid, os.getpid())
    assert event["auid"] == (None if login == UNSET else login)
    assert event["session_id"] == (None if session == UNSET else session)
    assert before - 20_000_000 < event["start_ns"] < event["ts_ns"]
    if unified == ["0::/"]:
        assert event["unit"] is None


def test_the_start_is_the_process_s_not_the_thread_s(own: rawtp.Tracer, tmp_path: Path) -> None:
    def delete() -> None:
        (tmp_path / "none").unlink(missing_ok=True)

    delete()
    time.sleep(0.05)
    thread = threading.Thread(target=delete)
    thread.start()
    thread.join()
    events = until_sentinel(own)
    assert len({event["tid"] for event in events}) == 2
    assert len({event["start_ns"] for event in events}) == 1


def test_effective_and_real_user(tracer: rawtp.Tracer, tmp_path: Path) -> None:
    pid = os.fork()
    if not pid:
        try:
            os.setresuid(0, NOBODY, 0)
            (tmp_path / "none").unlink(missing_ok=True)
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    event = only(events_of(tracer, pid))
    assert (event["uid"], event["euid"]) == (0, NOBODY)


GROUP = 54_322
CHANGES = """
import ctypes, os, sys
libc = ctypes.CDLL(None)
{change}
try:
    os.unlink(sys.argv[1])
except OSError:
    pass
"""


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("libc.setfsgid(54322); libc.setfsuid(65534)", (0, 0, NOBODY, 0, GROUP)),
        ("os.setegid(54322); os.seteuid(65534)", (0, NOBODY, NOBODY, 0, GROUP)),
        ("os.setregid(54322, -1); os.setreuid(65534, -1)", (NOBODY, 0, 0, GROUP, 0)),
        ("os.setgid(54322); os.setuid(65534)", (NOBODY, NOBODY, NOBODY, GROUP, GROUP)),
    ],
)
def test_the_user_whose_rights_count(tracer: rawtp.Tracer, change: str, expected: tuple[int, ...]) -> None:
    name = f"/nonexistent/rights-{os.getpid()}"
    pid = run([sys.executable, "-I", "-c", CHANGES.format(change=change), name])
    [event] = [event for event in events_of(tracer, pid) if event["filename"] == name]
    assert (event["uid"], event["euid"], event["fsuid"], event["gid"], event["fsgid"]) == expected


def test_the_login_user_survives_a_change_of_user(tracer: rawtp.Tracer) -> None:
    if not os.access("/proc/self/loginuid", os.W_OK):
        pytest.skip("this kernel has no audit (CONFIG_AUDIT)")
    script = "echo 4242 > /proc/self/loginuid && exec setpriv --reuid=65534 --clear-groups unlink /nonexistent/login"
    event = only(events_of(tracer, run(["sh", "-c", script])))
    assert (event["auid"], event["uid"]) == (4242, NOBODY)
    assert event["session_id"] is not None


def test_in_a_pid_namespace(tracer: rawtp.Tracer) -> None:
    """unshare's child is process 1 there, whatever it is here."""
    name = f"/nonexistent/in-pid-namespace-{os.getpid()}"
    run(["unshare", "--pid", "--fork", "--mount-proc", "unlink", name])
    event = only([event for event in until_sentinel(tracer) if event["filename"] == name])
    assert event["ns_pid"] == 1
    assert event["pid"] > 1
    assert event["pid_ns"] != namespace(os.getpid(), "pid")
    assert event["mnt_ns"] != namespace(os.getpid(), "mnt")


def test_an_exec_is_seen(tracer: rawtp.Tracer) -> None:
    """One process, one tid, two programs."""
    source = "import os\ntry: os.unlink('/nonexistent/first')\nexcept OSError: pass\n"
    source += "os.execlp('unlink', 'unlink', '/nonexistent/second')"
    pid = run([sys.executable, "-c", source])
    first, second = events_of(tracer, pid)
    assert (first["argv"] or ())[1:] == ("-c", source)
    assert second["argv"] == ("unlink", "/nonexistent/second")
    assert first["exe"] != second["exe"]
    assert first["start_ns"] == second["start_ns"]


def test_arguments_that_are_cut_say_so(tracer: rawtp.Tracer) -> None:
    long = ["unlink", "/nonexistent/" + "x" * 2000]
    event = only(events_of(tracer, run(long)))
    assert event["argv_truncated"] is True
    assert event["argv"] == tuple("\0".join(long)[:1023].split("\0"))


def test_the_container_of_its_cgroup(tracer: rawtp.Tracer) -> None:
    mounts = [line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    unified = [fields[4] for fields in mounts if fields[fields.index("-") + 1] == "cgroup2"]
    if not unified:
        pytest.skip("no cgroup v2 is mounted here")
    container = "0123456789abcdef" * 4
    group = Path(unified[0]) / f"docker-{container}.scope"
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"no cgroup can be made here: {error}")
    try:
        pid = run(["sh", "-c", 'echo $$ > "$0/cgroup.procs" && exec unlink /nonexistent/contained', group])
        event = only(events_of(tracer, pid))
        assert event["cgroup_id"] == group.stat().st_ino
    finally:
        group.rmdir()
    assert (event["container_id"], event["unit"], event["pod_id"]) == (container, group.name, None)


def test_a_kernel_thread_or_a_dying_process_does_not_matter(tracer: rawtp.Tracer) -> None:
    """Many processes that end at once, some killed: each event is whole."""
    processes = [
        subprocess.Popen(["unlink", f"/nonexistent/dying-{number}"], stderr=subprocess.DEVNULL) for number in range(200)
    ]
    for process in processes[::3]:
        process.kill()
    for process in processes:
        process.wait()
    events = [event for event in until_sentinel(tracer) if event["pid"] in {process.pid for process in processes}]
    assert all(event["argv"] and event["argv"][0] == "unlink" and event["exe"] for event in events)
    assert len(events) >= 130


def test_ancestors_up_to_the_first_process() -> None:
    """A chain of shells: each level is what it says in /proc."""
    depth = 9
    script = "unlink /nonexistent/ancestors; exit 0"
    for _ in range(depth):
        script = f"sh -c {shlex.quote(script)}; exit 0"
    with of_own_family(fields=("filename", "ppid", "ancestors")) as tracer:
        shell = run(["sh", "-c", script])
        events = [event for event in until_sentinel(tracer) if event["filename"] == "/nonexistent/ancestors"]
    ancestors = only(events)["ancestors"]
    assert ancestors[0][0] == events[0]["ppid"]
    assert [comm for _, comm, _ in ancestors[: depth + 1]] == ["sh"] * (depth + 1)
    assert ancestors[depth][0] == shell
    above = {pid: comm for pid, comm, _ in ancestors[depth + 1 :]}
    assert next(iter(above)) == os.getpid()
    assert len(ancestors) <= 16
    for pid, comm in above.items():
        assert comm == Path(f"/proc/{pid}/comm").read_text().rstrip("\n")
    assert len(ancestors) == 16 or ancestors[-1][0] == 1
    with of_own_family() as tracer:
        run(["unlink", "/nonexistent/no-ancestors"])
        assert all("ancestors" not in event for event in until_sentinel(tracer))


def test_the_parent_is_named_as_the_process_not_as_its_thread(program: Callable[[str], Path]) -> None:
    """The thread that forks has a name of its own, which /proc/PPID/comm does not show."""
    source = """
import ctypes, subprocess, sys, threading
def fork():
    ctypes.CDLL(None).prctl(15, b"a-thread", 0, 0, 0)
    subprocess.run(sys.argv[1:], input=b"x")
open("/proc/self/comm", "w").write("a-process")
thread = threading.Thread(target=fork)
thread.start()
thread.join()
"""
    fields = ("pid", "ppid", "comm", "parent_comm", "ancestors", "filename")
    with of_own_family(fields=fields) as tracer:
        name = f"/nonexistent/rawtp-parent-{os.getpid()}"
        command: list[str | Path] = [sys.executable, "-I", "-c", source, program("burst"), "1", name]
        parent = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        assert parent.wait() == 0
        [event] = [event for event in until_sentinel(tracer) if event["filename"] == name]
    assert (event["ppid"], event["parent_comm"]) == (parent.pid, "a-process")
    assert event["ancestors"][0] == (parent.pid, "a-process", tuple(map(str, command)))


def test_a_container_by_its_cgroup_of_version_1(tracer: rawtp.Tracer) -> None:
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    mounted = {name: point for _, point, kind, options, *_ in mounts if kind == "cgroup" for name in options.split(",")}
    controller = next((name for name in ("memory", "pids", "devices", "cpu") if name in mounted), None)
    if controller is None:
        pytest.skip("this host has no cgroups of version 1")
    name = f"{os.getpid():064x}"
    cgroup = Path(mounted[controller]) / "docker" / name
    cgroup.mkdir(parents=True)
    try:
        script = f"echo $$ > {cgroup}/cgroup.procs && exec unlink /nonexistent/v1"
        event = only(events_of(tracer, run(["sh", "-c", script])))
        assert event["container_id"] == name
    finally:
        cgroup.rmdir()
        cgroup.parent.rmdir()
