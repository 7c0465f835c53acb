"""Each filter on real deletions. What the kernel leaves out never comes into the ring: `buffered` stays as it is."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import rawtp
from helpers.counted import assert_positions
from helpers.support import (
    HANG_S,
    assert_ledger,
    assert_ledger_of,
    ledger_of,
    of_own_family,
    read_to_end,
    release,
    run,
    stopped,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.kernel

UID = 54_321
"""Nobody's here."""


def unlink(name: str) -> None:
    Path("/nonexistent", name).unlink(missing_ok=True)


def names(tracer: rawtp.Tracer) -> list[str]:
    """What it saw in the end."""
    tracer.close()
    events = list(tracer)
    assert_ledger_of(tracer)
    assert tracer.stats().unpaired == 0
    return sorted(Path(event["filename"] or "?").name for event in events)


def assert_left_out(tracer: rawtp.Tracer, calls: int) -> None:
    """So many calls at least were left out, and by the kernel: nothing waits to be looked at."""
    stats = tracer.stats()
    assert stats.filtered >= calls
    assert (stats.buffered, stats.pending) == (0, 0)


@pytest.mark.parametrize("hook", ["auto", "raw_tp", "tracepoint"])
def test_several_processes(program: Callable[[str], Path], hook: Any) -> None:
    with ExitStack() as stack:
        one, two, other = (stack.enter_context(stopped([program("burst"), "3"])) for _ in range(3))
        try:
            tracer = stack.enter_context(rawtp.Tracer(pid=(one.pid, two.pid), hook=hook))
        except rawtp.UnsupportedKernelError as error:
            pytest.skip(str(error))
        assert repr(tracer) == f"<rawtp.Tracer open pid={one.pid},{two.pid}>"
        release(other)
        assert other.wait(HANG_S) == 0
        assert_left_out(tracer, 3)
        for process in (one, two):
            release(process)
            assert process.wait(HANG_S) == 0
        tracer.close()
        assert sorted(event["pid"] for event in tracer) == sorted([one.pid] * 3 + [two.pid] * 3)


FAMILY = """
unlink /nonexistent/child
(unlink /nonexistent/grandchild; sh -c 'unlink /nonexistent/great; exit 0') &
setsid sh -c '(sleep 0.1; unlink /nonexistent/daemon) & exit 0'
wait; sleep 0.4
"""


def test_a_process_and_those_born_to_it() -> None:
    with stopped(["sh", "-c", f"read go; {FAMILY}"]) as shell:
        stranger = ["unlink", "/nonexistent/stranger"]
        with rawtp.Tracer(pid=shell.pid, follow=True) as tracer:
            run(stranger)
            assert_left_out(tracer, 1)
            release(shell)
            shell.wait(HANG_S)
            run(stranger)
            assert names(tracer) == ["child", "daemon", "grandchild", "great"]
            assert tracer.stats().unfollowed == 0
        with rawtp.Tracer(pid=os.getpid()) as tracer:
            run(stranger)
            assert names(tracer) == []


def test_who_was_born_before_is_not_followed() -> None:
    script = "(read go < $0; unlink /nonexistent/before) & read go; echo > $0; wait; unlink /nonexistent/parent-gave"
    with ExitStack() as stack:
        fifo = Path(stack.enter_context(directory()), "fifo")
        os.mkfifo(fifo)
        shell = stack.enter_context(stopped(["sh", "-c", script, fifo]))
        children = Path(f"/proc/{shell.pid}/task/{shell.pid}/children")
        while not children.read_text():
            pass
        tracer = stack.enter_context(rawtp.Tracer(pid=shell.pid, follow=True))
        release(shell)
        shell.wait(HANG_S)
        assert names(tracer) == ["parent-gave"]


def test_a_number_that_is_given_again_is_another_process() -> None:
    """The child's pid is made the next one that the kernel gives out, and a stranger gets it."""
    last = Path("/proc/sys/kernel/ns_last_pid")
    if not os.access(last, os.W_OK):
        pytest.skip("ns_last_pid cannot be written here (CONFIG_CHECKPOINT_RESTORE)")
    script = "read go; sh -c 'echo $$; unlink /nonexistent/mine; exit 0'; read go"
    with stopped(["sh", "-c", script]) as shell, rawtp.Tracer(pid=shell.pid, follow=True) as tracer:
        release(shell)
        assert shell.stdout is not None
        child = int(shell.stdout.readline())
        while Path(f"/proc/{child}").exists():
            pass
        for _ in range(100):
            last.write_text(str(child - 1))
            if run(["unlink", "/nonexistent/stranger"]) == child:
                break
        else:
            pytest.fail("the pid was not given again")
        assert names(tracer) == ["mine"]


def test_threads_of_a_child_are_followed_and_outlive_its_first() -> None:
    script = (
        "import os, threading, ctypes, time, pathlib\n"
        "input()\n"
        "if os.fork() == 0:\n"
        "    def late():\n"
        "        time.sleep(0.2)\n"
        "        pathlib.Path('/nonexistent/late').unlink(missing_ok=True)\n"
        "        os._exit(0)\n"
        "    threading.Thread(target=late).start()\n"
        "    ctypes.CDLL(None).syscall(60 if os.uname().machine == 'x86_64' else 93, 0)\n"
        "os.wait()\n"
    )
    with stopped([sys.executable, "-c", script]) as process, rawtp.Tracer(pid=process.pid, follow=True) as tracer:
        release(process)
        assert process.wait(HANG_S) == 0
        assert names(tracer) == ["late"]


def test_users() -> None:
    with rawtp.Tracer(uid=[UID, UID + 1]) as tracer:
        unlink("ours")
        run(["unlink", "/nonexistent/of-another"], user=UID + 2)
        assert_left_out(tracer, 2)
        run(["unlink", "/nonexistent/of-this"], user=UID)
        run(["unlink", "/nonexistent/of-that"], user=UID + 1)
        assert names(tracer) == ["of-that", "of-this"]


AS = """
import ctypes, os
libc = ctypes.CDLL(None)
{change}
try:
    os.unlink("/nonexistent/{name}")
except OSError:
    pass
"""


def test_users_by_any_of_their_ids() -> None:
    """The kernel checks the last of them."""
    changes = {
        "real": f"os.setresuid({UID}, 0, 0)",
        "effective": f"os.setresuid(0, {UID}, 0)",
        "file-system": f"libc.setfsuid({UID})",
        "back-again": f"os.setresuid(0, {UID}, 0); os.setresuid(0, 0, 0)",
        "saved": f"os.setresuid(0, 0, {UID})",
        "group": f"os.setresgid({UID}, {UID}, {UID})",
    }
    with rawtp.Tracer(uid=UID) as tracer:
        for name, change in changes.items():
            run([sys.executable, "-I", "-c", AS.format(change=change, name=name)])
        assert names(tracer) == ["effective", "file-system", "real"]
        assert tracer.stats().filtered >= 3


def test_commands(program: Callable[[str], Path], tmp_path: Path) -> None:
    commands = ["rawtp-f", "rawtp-filter", "rawtp-filter-fo", "rawtp-filter-foo", "rawtp-g"]
    for command in commands:
        (tmp_path / command).write_bytes(program("burst").read_bytes())
        (tmp_path / command).chmod(0o755)

    def seen(comm: str | list[str]) -> list[str]:
        with rawtp.Tracer(comm=comm) as tracer:
            unlink("ours")
            assert_left_out(tracer, 1)
            for command in commands:
                with stopped([tmp_path / command, "1", f"/nonexistent/{command}"]) as process:
                    release(process)
                    process.wait(HANG_S)
            return names(tracer)

    assert seen("rawtp-f") == ["rawtp-f"]
    # Both have this name: the kernel keeps no more of it.
    assert seen("rawtp-filter-fo") == ["rawtp-filter-fo", "rawtp-filter-foo"]
    assert seen("rawtp-f*") == commands[:4]
    assert seen(["rawtp-g", "rawtp-filter"]) == ["rawtp-filter", "rawtp-g"]


@contextmanager
def directory() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as path:
        yield path


@pytest.fixture
def cgroup() -> Iterator[Path]:
    """A cgroup of version 2, with another one in it."""
    with directory() as mount:
        subprocess.run(["mount", "-t", "cgroup2", "none", mount], check=True)
        group = Path(mount, f"rawtp-filter-{os.getpid()}")
        try:
            (group / "inner").mkdir(parents=True)
            yield group
        finally:
            (group / "inner").rmdir()
            group.rmdir()
            subprocess.run(["umount", mount], check=True)


def in_cgroup(group: Path, name: str) -> None:
    run(["sh", "-c", 'echo $$ > "$0/cgroup.procs" && exec unlink "$1"', group, f"/nonexistent/{name}"])


def test_cgroups(cgroup: Path) -> None:
    inode = cgroup.stat().st_ino
    for given in (cgroup, str(cgroup), f"/{cgroup.name}", inode, [inode]):
        with rawtp.Tracer(cgroup=given) as tracer:
            in_cgroup(cgroup.parent, "outside")
            assert_left_out(tracer, 1)
            in_cgroup(cgroup, "in-it")
            in_cgroup(cgroup / "inner", "below-it")
            assert names(tracer) == ["below-it", "in-it"], given
    with rawtp.Tracer(cgroup=[cgroup / "inner", inode]) as tracer:
        in_cgroup(cgroup / "inner", "below-it")
        assert names(tracer) == ["below-it"]


def delete_as_self_and_as_a_child(prefix: str) -> None:
    thread = threading.Thread(target=unlink, args=[f"{prefix}-of-a-thread"])
    thread.start()
    thread.join()
    unlink(f"{prefix}-of-this-process")
    run(["unlink", f"/nonexistent/{prefix}-of-a-child"])


def test_all_but_this_process() -> None:
    with of_own_family(exclude_self=True) as tracer:
        delete_as_self_and_as_a_child("rawtp")
        assert names(tracer) == ["rawtp-of-a-child"]
        # Of these, two at least are this process's, and all were left out by the kernel.
        stats = ledger_of(tracer)
        assert stats.matched - 1 == stats.filtered >= 2


def test_all_of_the_host_but_this_process() -> None:
    """Without another filter, the events of the host's other processes come, too."""
    prefix = f"rawtp-{os.getpid()}"
    with rawtp.Tracer(exclude_self=True, fields=("pid", "filename"), ring_bytes=32 << 20) as tracer:
        delete_as_self_and_as_a_child(prefix)
        tracer.close()
        events = list(tracer)
    assert os.getpid() not in {event["pid"] for event in events}
    mine = [event["filename"] for event in events if prefix in (event["filename"] or "")]
    assert mine == [f"/nonexistent/{prefix}-of-a-child"]


def test_all_but_this_process_in_a_pid_namespace() -> None:
    prefix = f"rawtp-{os.getpid()}"
    script = (
        "import os, rawtp, subprocess, pathlib\n"
        "tracer = rawtp.Tracer(exclude_self=True, ring_bytes=32 << 20)\n"
        "assert os.getpid() < 10\n"
        f"pathlib.Path('/nonexistent/{prefix}-self').unlink(missing_ok=True)\n"
        f"subprocess.run(['unlink', '/nonexistent/{prefix}-child'], stderr=subprocess.DEVNULL)\n"
        "tracer.close()\n"
        f"print(*(e['filename'] for e in tracer if '{prefix}-' in (e['filename'] or '')))\n"
    )
    command = ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=HANG_S, check=False)
    assert (done.stdout, done.stderr) == (f"/nonexistent/{prefix}-child\n", "")


def test_outcomes(tmp_path: Path) -> None:
    def seen(outcome: Any) -> list[str]:
        with rawtp.Tracer(pid=os.getpid(), outcome=outcome) as tracer:
            for name in ("first", "second"):
                (tmp_path / name).touch()
                (tmp_path / name).unlink()
                unlink(f"no-{name}")
            tracer.close()
            stats = tracer.stats()
            # Only the result tells, and it comes late: this filter is not the kernel's, which leaves out others' calls.
            assert (stats.discarded, stats.matched - stats.filtered) == (4, 4)
            return names(tracer)

    assert seen("any") == ["first", "no-first", "no-second", "second"]
    assert seen("ok") == ["first", "second"]
    assert seen("failed") == ["no-first", "no-second"]


def test_all_kinds_must_hold() -> None:
    with rawtp.Tracer(pid=os.getpid(), follow=True, uid=UID, comm="unlink") as tracer:
        run(["unlink", "/nonexistent/user-only"])
        run(["rm", "-f", "/nonexistent/wrong-command"], user=UID)
        assert_left_out(tracer, 2)
        run(["unlink", "/nonexistent/both"], user=UID)
        assert names(tracer) == ["both"]


@pytest.mark.parametrize("outcome", ["ok", "failed"])
def test_what_was_lost_is_told_though_its_neighbours_are_left_out(program: Callable[[str], Path], outcome: Any) -> None:
    with stopped([program("burst"), "200000"]) as process:
        fields = ("cpu", "via", "seq", "lost")
        tracer = rawtp.Tracer(pid=process.pid, outcome=outcome, fields=fields, ring_bytes=65_536, queue_bytes=65_536)
        with tracer:
            release(process)
            process.wait(HANG_S)
            tracer.close()
            events = list(tracer)
            stats = tracer.stats()
    assert_ledger(stats)
    assert stats.lost_ring > 0
    # What other processes delete meanwhile is filtered, too.
    assert len(events) == stats.delivered == (0 if outcome == "ok" else 200_000 - stats.lost_ring)
    assert sum(event["lost"] for event in events) + stats.tail_lost == stats.lost_ring
    if outcome == "failed":
        assert assert_positions(events, stats.tail_lost) == stats.lost_ring


WRONG = [
    ({"pid": "1"}, TypeError, "pid must be an int, not str"),
    ({"pid": [True]}, TypeError, "pid must be an int, not bool"),
    ({"pid": ()}, ValueError, "pid is empty: give at least one, or None"),
    ({"pid": range(1, 34)}, ValueError, "pid takes at most 32 values, not 33"),
    ({"pid": 0}, ValueError, "pid must be a process id from 1 to 4194304, not 0"),
    ({"follow": True}, ValueError, "follow=True needs a pid: whose descendants are to be followed?"),
    ({"uid": -1}, ValueError, "uid must be a user id from 0 to 4294967294, not -1"),
    ({"uid": "root"}, TypeError, "uid must be an int, not str"),
    ({"comm": 3}, TypeError, "comm must be a str, or an iterable of them, not int"),
    ({"comm": "a*b"}, ValueError, 'comm "a*b" can match no process: a * stands only at the end'),
    ({"comm": ["rm", ""]}, ValueError, 'comm "" can match no process: a name is not empty, and has no NUL'),
    ({"cgroup": 1.5}, TypeError, "cgroup must be a path, an id, or an iterable of them, not float"),
    ({"cgroup": -1}, ValueError, "cgroup is out of range: -1"),
    ({"cgroup": "system.slice"}, ValueError, "cgroup system.slice must be an absolute path, or an id"),
    ({"cgroup": 2**62}, ValueError, f"cgroup {2**62} is not there: no cgroup of version 2 has this id"),
    (
        {"cgroup": "/no/such"},
        ValueError,
        "cgroup /no/such is not there: no such directory in a hierarchy of version 2",
    ),
    ({"path": "relative"}, ValueError, 'path must be absolute, and without NUL, not "relative"'),
    ({"path": ["/a", 7]}, TypeError, "path must be a path, or an iterable of them, not int"),
    ({"outcome": None}, TypeError, "outcome must be a str, not NoneType"),
    ({"follow": "yes"}, TypeError, "follow must be True or False, not str"),
    ({"exclude_self": 1}, TypeError, "exclude_self must be True or False, not int"),
    ({"outcome": "good"}, ValueError, 'unknown outcome "good": there are any, ok, failed'),
    (
        {"outcome": "ok", "results": False},
        ValueError,
        'outcome="ok" needs results=True: without them it is not known',
    ),
]


@pytest.mark.parametrize(("options", "error", "message"), WRONG, ids=[str(options) for options, _, _ in WRONG])
def test_a_wrong_value_is_named(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error) as raised:
        rawtp.Tracer(**options)
    assert str(raised.value) == message


def test_a_filter_that_is_off_lets_all_through(program: Callable[[str], Path]) -> None:
    with stopped([program("burst"), "5"]) as process:
        off: dict[str, Any] = {"uid": None, "comm": None, "cgroup": None, "path": None, "outcome": "any"}
        with rawtp.Tracer(pid=process.pid, follow=False, exclude_self=False, **off) as tracer:
            release(process)
            assert len(read_to_end(tracer, process)) == 5
