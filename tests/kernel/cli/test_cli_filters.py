"""The filters as options of the command line: what each lets through, and what is a wrong value of one."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import rawtp
from helpers.support import HANG_S, attached_programs, live_hooks, stopped, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.kernel

CLI = (sys.executable, "-m", "rawtp")
# The host's other processes run rm, too.
OWN_FAMILY = ("-p", os.getpid(), "--follow")


@contextmanager
def watching(*options: object) -> Iterator[subprocess.Popen[str]]:
    """The command line with these options, once it watches."""
    command = [*CLI, "-o", "jsonl", "--stats", "1d", *map(str, options)]
    with rawtp.Tracer() as tracer:
        # To follow takes two more: of births and of ends.
        hooks = live_hooks(tracer) + 2 * ("--follow" in options)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        wait_for(lambda: attached_programs(process.pid) >= hooks or process.poll() is not None, "it watches")
        try:
            yield process
        finally:
            process.kill()


def shown(process: subprocess.Popen[str], mark: str) -> list[str]:
    """End it; of the names that it showed, those with this mark, without it."""
    process.terminate()
    out, err = process.communicate(timeout=HANG_S)
    assert process.returncode == 0, err
    counts = re.search(r"matched (\d+) = filtered (\d+) ", err)
    assert counts
    # Our own below were left out in the kernel, and not by the command line.
    assert int(counts[2]) > 0
    lines = [json.loads(line) for line in out.splitlines()]
    found = [line["filename"] for line in lines if line["type"] == "event"]
    return [name.rpartition("/")[2] for name in found if mark in name]


def delete(*names: str | Path, exe: str = "rm") -> None:
    subprocess.run([exe, "-f", *names], check=True)


NOBODY = ("setpriv", "--reuid=65534", "--clear-groups")


def test_pids(tmp_path: Path) -> None:
    script = f"read line; unlink {tmp_path}/in-child 2>&-; exec rm -f {tmp_path}/$0"
    with (
        stopped(["sh", "-c", script, "a"]) as first,
        stopped(["sh", "-c", script, "b"]) as second,
        watching("-p", f"{first.pid},{second.pid}") as process,
    ):
        for one in (first, second):
            one.communicate("\n", timeout=HANG_S)
        delete(tmp_path / "other")
        assert sorted(shown(process, str(tmp_path))) == ["a", "b"]


def test_follow(tmp_path: Path) -> None:
    script = f"read line; sh -c 'rm -f {tmp_path}/grandchild; true'; rm -f {tmp_path}/child; exec rm -f {tmp_path}/own"
    with stopped(["sh", "-c", script]) as root, watching("-p", root.pid, "--follow") as process:
        root.communicate("\n", timeout=HANG_S)
        delete(tmp_path / "other")
        assert shown(process, str(tmp_path)) == ["grandchild", "child", "own"]


@pytest.mark.parametrize("user", ["nobody", "65534", "54321, nobody"])
def test_user(user: str, tmp_path: Path) -> None:
    with watching("-u", user) as process:
        subprocess.run([*NOBODY, "rm", "-f", tmp_path / "theirs"], check=False, stderr=subprocess.DEVNULL)
        delete(tmp_path / "ours")
        assert shown(process, str(tmp_path)) == ["theirs"]


@pytest.mark.parametrize("comms", [["rm"], ["r*"], ["nothing", "rm"]])
def test_comm(comms: list[str], tmp_path: Path) -> None:
    with watching(*OWN_FAMILY, *(word for comm in comms for word in ("--comm", comm))) as process:
        delete(tmp_path / "by-rm")
        subprocess.run(["unlink", tmp_path / "by-unlink"], check=False, stderr=subprocess.DEVNULL)
        assert shown(process, str(tmp_path)) == ["by-rm"]


def test_path(tmp_path: Path) -> None:
    for name in ("in", "in/deep", "out", "also"):
        (tmp_path / name).mkdir()
    with watching(*OWN_FAMILY, "-P", tmp_path / "in", "--path", f"{tmp_path}/al*") as process:
        delete(*(tmp_path / name / "file" for name in ("out", "in/deep", "in", "also")))
        subprocess.run(["rmdir", "deep"], check=True, cwd=tmp_path / "in")
        delete(tmp_path / "in2" / "file")
        assert shown(process, "") == ["file", "file", "file", "deep"]


@pytest.mark.parametrize(("outcome", "seen"), [("ok", ["there"]), ("failed", ["gone"]), ("any", ["there", "gone"])])
def test_outcome(outcome: str, seen: list[str], tmp_path: Path) -> None:
    (tmp_path / "there").touch()
    with watching(*OWN_FAMILY, "--outcome", outcome, "--comm", "rm") as process:
        subprocess.run(["unlink", "/nonexistent/filtered"], check=False, stderr=subprocess.DEVNULL)
        delete(tmp_path / "there", tmp_path / "gone")
        assert shown(process, str(tmp_path)) == seen


def own_cgroup() -> tuple[str, Path]:
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    found = [Path(mount[1]) for mount in mounts if mount[2] == "cgroup2"]
    line = next((line for line in Path("/proc/self/cgroup").read_text().splitlines() if line.startswith("0::")), None)
    if not found or line is None:
        pytest.skip("no cgroup hierarchy of version 2 here")
    return line[3:], found[0]


@pytest.mark.parametrize("by_id", [False, True])
def test_cgroup(by_id: bool, tmp_path: Path) -> None:
    _, mount = own_cgroup()
    group = mount / f"rawtp-test-{os.getpid()}"
    group.mkdir()
    try:
        with watching("--cgroup", group.stat().st_ino if by_id else group) as process:
            enter = f"echo $$ > {group}/cgroup.procs && exec rm -f {tmp_path}/inside"
            subprocess.run(["sh", "-c", enter], check=True)
            delete(tmp_path / "outside")
            assert shown(process, str(tmp_path)) == ["inside"]
    finally:
        group.rmdir()


def test_all_that_are_given_must_hold(tmp_path: Path) -> None:
    with watching("-u", os.getuid(), "--comm", "rm", "-P", tmp_path, "--exclude-self") as process:
        delete(tmp_path / "yes")
        delete("/nonexistent/rawtp-no")
        subprocess.run(["unlink", tmp_path / "no"], check=False, stderr=subprocess.DEVNULL)
        # A path of another process that is too long to be known whole is let through.
        assert [name for name in shown(process, "") if name in {"yes", "no", "rawtp-no"}] == ["yes"]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["-p", "abc"], "argument -p/--pid: 'abc' is not a process id"),
        (["-p", "1,abc"], "argument -p/--pid: 'abc' is not a process id"),
        (["-p", "1,"], "argument -p/--pid: '' is not a process id"),
        (["-p", "4194305"], "pid must be a process id from 1 to 4194304, not 4194305"),
        (["-p", ",".join(["1"] * 33)], "pid takes at most 32 values, not 33"),
        (["--follow"], "--follow needs -p/--pid: whose descendants are to be followed?"),
        (["-u", "nosuchuser"], "argument -u/--user: there is no user 'nosuchuser'"),
        (["-u", "0,"], "argument -u/--user: there is no user ''"),
        (["-u", "-1"], "argument -u/--user: there is no user '-1'"),
        (["-u", "4294967295"], "uid must be a user id from 0 to 4294967294, not 4294967295"),
        (["-u", "9" * 30], "uid is out of range: " + "9" * 30),
        (
            ["--comm", "systemd-journald"],
            'comm "systemd-journald" can match no process: the kernel keeps the first 15 bytes of a name, here '
            '"systemd-journal"',
        ),
        (["--comm", ""], 'comm "" can match no process: a name is not empty, and has no NUL'),
        (
            ["--cgroup", "/no/such/group"],
            "cgroup /no/such/group is not there: no such directory in a hierarchy of version 2",
        ),
        (["--cgroup", "a/b"], "cgroup a/b must be an absolute path, or an id"),
        (
            ["--cgroup", "999999999999"],
            "cgroup 999999999999 is not there: no cgroup of version 2 has this id",
        ),
        (["-P", ""], "argument -P/--path: the path is empty"),
        (["-P", "~/x"], "argument -P/--path: '~/x': the shell puts a home in place of ~ only outside of quotes"),
        (["--outcome", "bad"], "argument --outcome: invalid choice: 'bad' (choose from any, ok, failed)"),
    ],
)
@pytest.mark.parametrize("command", [[], ["cost"]])
def test_a_wrong_value_is_named(command: list[str], arguments: list[str], complaint: str) -> None:
    done = subprocess.run([*CLI, *command, *arguments], capture_output=True, text=True, timeout=HANG_S)
    assert (done.returncode, done.stdout) == (2, "")
    last = done.stderr.splitlines()[-1]
    # Choices are quoted up to Python 3.13.
    assert last.replace("'any', 'ok', 'failed'", "any, ok, failed") == f"rawtp: error: {complaint}"


def test_each_process_that_is_not_there_is_told() -> None:
    gone = [subprocess.Popen(["true"]) for _ in range(2)]
    for process in gone:
        process.wait(HANG_S)
    pids = ["-p", str(gone[0].pid), "-p", f"{os.getpid()},{gone[1].pid}"]
    done = subprocess.run([*CLI, *pids, "-d", "0.1"], capture_output=True, text=True, timeout=HANG_S)
    assert done.returncode == 0
    told = [line for line in done.stderr.splitlines() if "waiting" in line]
    assert told == [f"rawtp: no process has pid {one.pid} now; waiting for one" for one in gone]


def test_each_path_that_does_not_exist_is_told_and_watched(tmp_path: Path) -> None:
    here, late = tmp_path / "here", tmp_path / "late"
    here.mkdir()
    (tmp_path / "dangling").symlink_to("nowhere")
    watched = ["late", "here", "x/../late2", "here/*.log", "dangling"]
    options = [option for path in watched for option in ("-P", tmp_path / path)]
    told = [
        f'rawtp: path "{tmp_path}/{name}" does not exist yet; it is watched all the same\n'
        for name in ("late", "late2")
    ]
    with watching(*OWN_FAMILY, *options) as process:
        assert process.stderr
        # They are looked for after the programs are attached.
        assert [process.stderr.readline() for _ in told] == told
        late.mkdir()
        (late / "file").touch()
        delete(late / "file", tmp_path / "other")
        process.terminate()
        out, err = process.communicate(timeout=HANG_S)
    assert "exist" not in err
    events = [json.loads(line) for line in out.splitlines()]
    assert [event["path"] for event in events if event["type"] == "event"] == [f"{late}/file"]


def test_quietly_no_path_is_told(tmp_path: Path) -> None:
    command = [*CLI, "-q", "-P", str(tmp_path / "late"), "-d", "0.1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=HANG_S)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
