"""Counts and raw tracepoints as nobody, by sudo and by a broker: what comes, and what is refused to whom."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from helpers.brokers import broker, client, env
from helpers.sudoers import PERMITTED, sudoer
from helpers.support import HANG_S, SLOWER, wait_for
from helpers.unprivileged import NOBODY, as_user, python, start, told

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(300 * SLOWER)]

needs_sudo = pytest.mark.skipif(shutil.which("sudo") is None, reason="there is no sudo here")

COUNTS = """
before = fds()
with rawtp.Counts(HOW syscalls=["getppid", "rmdir"], pid=os.getpid(), exclude_self=False, latency=True) as counts:
    for _ in range(1000):
        os.getppid()
    for name in ("/nonexistent", "/", "/dev/null/x"):
        try:
            os.rmdir(name)
        except OSError:
            pass
found = counts.read()
again = counts.read()
with rawtp.Counts(HOW syscalls=["getppid"], pid=os.getpid()) as without:
    os.getppid()
rows = {row.syscall: [row.calls, row.errors, dict(row.errnos), row.timed] for row in found.rows}
none = without.read().rows
del counts, without
gc.collect()
tell([rows, found.missed, found.ended, again.rows == found.rows, len(none), fds() == before])
"""


def check(found: list[object]) -> None:
    rows, missed, ended, is_stable, left_out, is_clean = found
    assert isinstance(rows, dict)
    assert rows["getppid"] == [1000, 0, {}, 1000]
    calls, errors, errnos, timed = rows["rmdir"]
    assert (calls, errors, timed, sum(errnos.values())) == (3, 3, 3, 3)
    assert (errnos["ENOENT"], errnos["ENOTDIR"]) == (1, 1)
    assert (missed, ended, is_stable, left_out, is_clean) == (0, None, True, 0, True)


@needs_sudo
def test_counts_by_sudo(package: Path, place: Path) -> None:
    check(told(package, COUNTS.replace("HOW ", "sudo=True, "), *sudoer(place, PERMITTED)))


def test_counts_by_a_broker(package: Path, place: Path) -> None:
    with broker(package, place, "--max-ring-bytes", "64MiB", "--max-tracers", "4") as running:
        check(client(package, running, COUNTS.replace("HOW ", "broker=sys.argv[1], ")))
        wait_for(lambda: sum("why=" in line for line in running.log()) == 2, "an end of both")
        grants = [line for line in running.log() if line.startswith("grant")]
        assert [line.split("tracer=")[1] for line in grants] == [
            f"1 counts latency=True uids=[{NOBODY}]",
            f"2 counts latency=False uids=[{NOBODY}]",
        ]


FROZEN = """
import mmap
from rawtp._privilege import broker_client
request = dict(kind="counts", syscalls=["getppid"], are_all=False, latency=True, pid=None, follow=False, uid=None,
               comm=None, cgroup=None, exclude_self=False, from_exec=False)
(cpus, coverage, maps, links, meters), connection = broker_client.obtain(sys.argv[1], request)
def mapped(fd, protection):
    try:
        mmap.mmap(fd, mmap.PAGESIZE, prot=protection).close()
    except PermissionError:
        return False
    return True
both = mmap.PROT_READ | mmap.PROT_WRITE
tell([[mapped(fd, mmap.PROT_READ), mapped(fd, both)] for fd in maps] + [coverage, links])
for fd in (*maps, *meters, connection):
    os.close(fd)
"""


def test_a_client_can_read_its_counts_and_not_write_them(package: Path, place: Path) -> None:
    with broker(package, place, "--max-ring-bytes", "64MiB", "--max-tracers", "4") as running:
        assert client(package, running, FROZEN) == [[True, False], [True, False], [True, False], [], []]


OTHERS = """
with rawtp.Counts(broker=sys.argv[1], syscalls=["rmdir"], exclude_self=False) as counts:
    tell("counts")
    sys.stdin.readline()
    found = counts.read()
tell([[row.calls, row.errnos] for row in found.rows])
"""

RMDIR = """
import ctypes, os
libc = ctypes.CDLL(None)
def done(change):
    if not (pid := os.fork()):
        change()
        try:
            os.rmdir("/nonexistent")
        except OSError:
            pass
        os._exit(0)
    os.waitpid(pid, 0)
done(lambda: os.setresuid(USER, USER, USER))
done(lambda: os.setresuid(0, USER, 0))
done(lambda: os.setresuid(USER, 0, 0))
done(lambda: libc.setfsuid(USER))
done(lambda: None)
"""


@pytest.mark.quiet_host
@pytest.mark.parametrize("allow", ["own", "all"])
def test_own_counts_what_acts_for_the_user_alone(package: Path, place: Path, allow: str) -> None:
    """Nothing of other users' calls is counted: not that of root's, nor of what borrows the user's rights."""
    with broker(package, place, "--allow", allow) as running:
        process = start(package, OTHERS, *as_user(), arguments=[running.path])
        assert process.stdout is not None
        assert process.stdout.readline() == '"counts"\n'
        subprocess.run([python(), "-c", RMDIR.replace("USER", str(NOBODY))], check=True, env=env(package))
        out, error = process.communicate("\n", timeout=HANG_S)
        assert (process.returncode, error) == (0, "")
        [[calls, errnos]] = json.loads(out)
        if allow == "own":
            assert (calls, errnos) == (1, [["ENOENT", 1]])
        else:
            assert calls >= 5
            assert dict(errnos)["ENOENT"] >= 5


ENDED = """
with rawtp.Counts(broker=sys.argv[1], syscalls=["getppid"], pid=os.getpid(), exclude_self=False) as counts:
    os.getppid()
    tell("counts")
    sys.stdin.readline()
    os.getppid()
    found = counts.read()
tell([found.rows[0].calls, found.ended, counts.read().ended])
"""


def test_a_broker_that_ends(package: Path, place: Path) -> None:
    with broker(package, place) as running:
        process = start(package, ENDED, *as_user(), arguments=[running.path])
        assert process.stdout is not None
        assert process.stdout.readline() == '"counts"\n'
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(timeout=HANG_S) == 0
        out, error = process.communicate("\n", timeout=HANG_S)
        assert (process.returncode, error) == (0, "")
        assert json.loads(out) == [1, "the broker was stopped", "the broker was stopped"]


REFUSALS = """
def refused(make):
    try:
        make()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
how = {"broker": sys.argv[1]}
tell([
    refused(lambda: rawtp.Counts(by="process", **how)),
    refused(lambda: rawtp.Counts(sudo=True, **how)),
    refused(lambda: rawtp.Counts(uid=0, **how)),
    refused(lambda: rawtp.Counts(latency=True, **how)),
    refused(lambda: rawtp.RawTracepoint("sys_enter", **how)),
    refused(lambda: rawtp.RawTracepoint("sys_enter", ["regs.nope"], **how)),
])
"""


def test_refusals(package: Path, place: Path) -> None:
    with broker(package, place, "--max-ring-bytes", "4KiB", "--max-tracers", "4") as running:
        process, both, other, latency, raw, field = client(package, running, REFUSALS)
    assert process.startswith('ValueError: by="process" takes privilege at each read')
    assert both == "ValueError: sudo=True and broker are two ways to the same: choose one"
    assert other == f"PermissionError: this broker shows user {NOBODY} their own calls only, not those of user 0"
    # Where thread ids go up to four million, their times take 32 MiB.
    assert latency is None or latency.startswith("PermissionError: counts take ")
    assert raw.startswith("PermissionError: this broker attaches to no raw tracepoints: they show what all users do")
    # What is wrong with a field is found before the broker is asked.
    assert field.startswith("ValueError: ")


RAW = """
before = fds()
number = rawtp.syscalls.number("getppid")
fields = ["id", "regs.orig_ax" if os.uname().machine == "x86_64" else "regs.syscallno"]
with rawtp.RawTracepoint("sys_enter", fields, pid=os.getpid(), ring_bytes=1 << 20, HOW) as watch:
    for _ in range(100):
        os.getppid()
    hook = watch.coverage["raw_tracepoint"]["hook"]
found = [event for event in watch if event["id"] == number]
stats = watch.stats()
good = all(event[fields[1]] == number and event["pid"] == os.getpid() for event in found)
del watch
gc.collect()
tell([len(found), good, hook, adds_up(stats), stats.lost_ring, fds() == before])
"""

SEEN = [100, True, "raw_tp/sys_enter", True, 0, True]


@needs_sudo
def test_a_raw_tracepoint_by_sudo(package: Path, place: Path) -> None:
    assert told(package, RAW.replace("HOW", "sudo=True"), *sudoer(place, PERMITTED)) == SEEN


def test_a_raw_tracepoint_by_a_broker_that_permits_it(package: Path, place: Path) -> None:
    with broker(package, place, "--allow", "all", "--allow-raw-tracepoints") as running:
        assert ", raw tracepoints, max_tracers=" in running.log()[0]
        assert client(package, running, RAW.replace("HOW", "broker=sys.argv[1]")) == SEEN
        wait_for(lambda: running.has_logged("why="), "an end")
        [grant] = [line for line in running.log() if line.startswith("grant")]
        assert grant.endswith(" tracer=1 raw_tracepoint='sys_enter' ring_bytes=1048576")


def test_counts_of_the_command_line(package: Path, place: Path) -> None:
    with broker(package, place) as running:
        command = ["-m", "rawtp", "counts", "--broker", running.path, "-s", "rmdir", "-o", "jsonl", "--"]
        done = subprocess.run(
            [*as_user(), python(), *command, "sh", "-c", "rmdir /nonexistent; exit 3"],
            env=env(package),
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            timeout=HANG_S,
        )
        assert done.returncode == 3, done.stderr
        row, last = map(json.loads, done.stdout.splitlines())
        assert (row["syscall"], row["calls"], row["errnos"]) == ("rmdir", 1, {"ENOENT": 1})
        assert last["ended"] is None
