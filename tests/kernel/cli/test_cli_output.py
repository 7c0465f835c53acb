"""The command line's formats and files, on real deletions."""

from __future__ import annotations

import csv
import io
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import rawtp
from helpers.command_line import PATIENCE_S, Cli, cli, delete, end, finish, ledger, until_live
from helpers.support import attached_programs, live_hooks, wait_for

pytestmark = pytest.mark.kernel

COMM = Path("/proc/self/comm").read_text().rstrip("\n")


def until(act: Callable[[], None], seen: Callable[[], bool], process: Cli) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while not seen():
        assert time.monotonic() < deadline_s
        assert process.poll() is None, process.communicate()
        act()
        time.sleep(0.02)


def output(tmp_path: Path, *arguments: object, last: str = "last") -> tuple[str, str]:
    """What is written of a hostile name, and of what follows it, and the messages."""
    with cli("-p", os.getpid(), *arguments) as process:
        until_live(process, tmp_path)
        hostile = os.fsencode(tmp_path) + b'/=\xe9,\n"'
        with open(hostile, "wb"):  # noqa: PTH123
            pass
        os.unlink(hostile)  # noqa: PTH108
        with pytest.raises(FileNotFoundError):
            (tmp_path / last).unlink()
        code, out, err = end(process)
    assert code == 0
    ledger(err)
    return out, err


def test_csv(tmp_path: Path) -> None:
    out, _ = output(tmp_path, "-o", "csv", "-f", "pid,filename,errno,exe")
    *_, hostile, last = csv.reader(io.StringIO(out, newline=""))
    exe = os.path.realpath(sys.executable)
    assert hostile[:4] == [str(os.getpid()), f'{tmp_path}/=\\xe9,\n"', "", exe]
    assert list(json.loads(hostile[4])) == ["filename"]
    assert last == [str(os.getpid()), f"{tmp_path}/last", "ENOENT", exe, ""]


def test_csv_has_a_header() -> None:
    with cli("-o", "csv", "-f", "basic", "-d", "0.1", "-p", "1") as process:
        code, out, _ = finish(process)
    assert (code, out) == (0, ",".join(rawtp.BASIC_FIELDS) + ",bytes\r\n")


def test_ecs(tmp_path: Path) -> None:
    out, _ = output(tmp_path, "-o", "ecs")
    hostile, last = map(json.loads, out.splitlines()[-2:])
    assert hostile["file"] == {"path": f'{tmp_path}/=\\xe9,\n"', "directory": str(tmp_path), "name": '=\\xe9,\n"'}
    assert hostile["event"]["outcome"] == "success"
    assert last["error"] == {"code": "ENOENT", "message": "No such file or directory"}
    assert last["host"]["hostname"] == os.uname().nodename
    assert (last["process"]["pid"], last["process"]["name"]) == (os.getpid(), COMM)
    assert last["process"]["parent"]["pid"] == os.getppid()
    assert last["user"] == {"id": str(os.getuid()), "effective": {"id": str(os.geteuid())}}


def test_ocsf(tmp_path: Path) -> None:
    out, _ = output(tmp_path, "-o", "ocsf")
    hostile, last = map(json.loads, out.splitlines()[-2:])
    assert hostile["file"]["name"] == '=\\xe9,\n"'
    keys = ("class_uid", "activity_id", "type_uid", "status_id", "status_code")
    assert [last.get(key) for key in keys] == [1001, 4, 100104, 2, "ENOENT"]
    assert last["file"] == {
        "name": "last",
        "path": f"{tmp_path}/last",
        "parent_folder": str(tmp_path),
        "type_id": 0,
    }
    assert (last["actor"]["process"]["pid"], last["actor"]["process"]["ptid"]) == (os.getpid(), os.getpid())
    assert abs(last["time"] - time.time() * 1000) < PATIENCE_S * 1000


def test_a_rename_in_the_schemas(tmp_path: Path) -> None:
    (tmp_path / "old").touch()
    found: dict[str, dict[str, Any]] = {}
    for name in ("ocsf", "ecs"):
        with cli("-s", "delete,rename", "-o", name, "-p", os.getpid()) as process:
            until_live(process, tmp_path)
            (tmp_path / "old").rename(tmp_path / "new")
            (tmp_path / "new").rename(tmp_path / "old")
            _, out, _ = end(process)
        found[name] = json.loads(out.splitlines()[-2])
    assert (found["ocsf"]["activity_id"], found["ocsf"]["file_result"]["path"]) == (5, f"{tmp_path}/new")
    assert found["ecs"]["event"]["type"] == ["change"]
    assert (found["ecs"]["file"]["path"], found["ecs"]["rawtp"]["new_path"]) == (f"{tmp_path}/old", f"{tmp_path}/new")


def test_fields_in_their_order_and_the_time(tmp_path: Path) -> None:
    out, _ = output(tmp_path, "--fields", "errno,pid,path", "--utc")
    lines = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
    last = lines[-2]
    assert list(last) == ["type", "time", "errno", "pid", "path"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", last.pop("time"))
    assert last == {"type": "event", "errno": "ENOENT", "pid": os.getpid(), "path": f"{tmp_path}/last"}
    assert lines[-1]["type"] == "ledger"


def test_the_lines_around_the_events(tmp_path: Path) -> None:
    with cli("-d", "0.3", "-p", os.getpid(), "-f", "pid") as process:
        code, out, err = finish(process)
    assert code == 0
    first, *_, last = map(json.loads, out.splitlines())
    assert (first["type"], first["filters"], first["fields"]) == ("session", {"pid": [os.getpid()]}, ["pid"])
    assert (first["host"], first["version"]) == (os.uname().nodename, rawtp.__version__)
    assert first["hook"] in {"raw_tp/sys_enter", "tracepoint/raw_syscalls/sys_enter"}
    assert last.pop("type") == "ledger"
    assert {name: last[name] for name in ("matched", "delivered")}.items() <= ledger(err).items()


def test_a_loss_comes_before_the_event_that_tells_of_it(tmp_path: Path) -> None:
    with cli("--ring-bytes", "65536", "-p", os.getpid()) as process:
        until_live(process, tmp_path)
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
        for _ in range(5000):
            Path("/nonexistent/file").unlink(missing_ok=True)
        process.send_signal(signal.SIGCONT)
        for _ in range(20):
            delete(tmp_path / "after")
            time.sleep(0.02)
        code, out, err = end(process)
    assert code == 0
    # The first lines went to until_live, with what it did not need.
    lines = [json.loads(line) for line in out.splitlines() if line.startswith('{"type":') and line.endswith("}")]
    losses = [(before, after) for before, after in itertools.pairwise(lines) if before["type"] == "lost"]
    assert sum(lost["count"] for lost, _ in losses) == lines[-1]["lost_ring"]
    assert (
        sum(line["lost"] for line in lines if line["type"] == "event")
        == lines[-1]["lost_ring"] - lines[-1]["tail_lost"]
    )
    for lost, event in losses:
        keys = ("cpu", "via", "seq")
        if event["type"] == "event":
            assert [lost[key] for key in keys] == [event[key] for key in keys]
            assert lost["count"] == event["lost"]
        else:
            assert [lost[key] for key in keys] == [None, None, None]
    assert lines[-1]["lost_ring"] == ledger(err)["lost_ring"] > 0


def test_a_file_is_appended_to_and_changed_on_sighup(tmp_path: Path) -> None:
    path, old = tmp_path / "out", tmp_path / "out.1"
    path.write_text("before\n")
    with cli("-O", path, "-s", "delete", "-p", os.getpid(), "-f", "filename") as process:
        until(lambda: delete(tmp_path / "one"), lambda: "/one" in path.read_text(), process)
        path.rename(old)
        process.send_signal(signal.SIGHUP)
        until(lambda: None, path.exists, process)
        until(lambda: delete(tmp_path / "two"), lambda: "/two" in path.read_text(), process)
        code, out, err = end(process)
    assert (code, out) == (0, "")
    first, session, *events = old.read_text().splitlines()
    assert first == "before"
    assert json.loads(session)["type"] == "session"
    session, *more, last = path.read_text().splitlines()
    assert (json.loads(session)["type"], json.loads(last)["type"]) == ("session", "ledger")
    names = [json.loads(line)["filename"] for line in (*events, *more)]
    assert set(names) == {f"{tmp_path}/one", f"{tmp_path}/two"}
    assert len(names) == ledger(err)["delivered"]
    assert path.stat().st_mode & 0o777 == 0o600


def test_csv_in_a_file_has_one_header(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    for _ in range(2):
        with cli("-o", "csv", "-f", "pid", "-O", path, "-d", "0.1", "-p", "1") as process:
            assert finish(process)[0] == 0
    assert path.read_bytes() == b"pid,bytes\r\n"


def test_files_that_are_refused(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "target")
    os.mkfifo(tmp_path / "fifo")
    for path, reason in ((link, "is a symbolic link"), (tmp_path / "fifo", "is no regular file")):
        with cli("-O", path) as process:
            assert finish(process) == (1, "", f"rawtp: {path}: {reason}\n")
    assert not (tmp_path / "target").exists()


def test_a_full_disk_ends_it_with_the_ledger(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", small], check=True)
    try:
        path = small / "out"
        with cli("-O", path, "-p", os.getpid()) as process:
            deadline_s = time.monotonic() + PATIENCE_S
            while process.poll() is None:
                assert time.monotonic() < deadline_s
                Path("/nonexistent/file").unlink(missing_ok=True)
            code, out, err = finish(process)
        assert (code, out) == (1, "")
        first, second, *_ = err.splitlines()
        assert first == f"rawtp: {path}: No space left on device"
        assert re.fullmatch(r"rawtp: of \d+ events? delivered last, not all were written", second)
        assert ledger(err)["delivered"] > 0
    finally:
        subprocess.run(["umount", small], check=True)


def test_summary_of_rm_rf(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    for directory in range(5):
        (tree / str(directory)).mkdir(parents=True)
        for file in range(10):
            (tree / str(directory) / str(file)).touch()
    with rawtp.Tracer(fields=rawtp.BASIC_FIELDS) as tracer:
        # To follow takes two more: of births and of ends.
        hooks = live_hooks(tracer) + 2
    with cli("--summary", "-q", "-p", os.getpid(), "--follow") as process:
        wait_for(lambda: attached_programs(process.pid) == hooks, "it watches")
        with subprocess.Popen(["rm", "-rf", tree]) as rm:
            rm.wait(PATIENCE_S)
        code, out, err = end(process)
    assert (code, out) == (0, "")
    assert re.search(rf"^ +56  rm \(pid {rm.pid}, uid 0\)$", err, re.MULTILINE)
    assert re.search(rf"^ +56  {tree}$", err, re.MULTILINE)
    assert "rawtp:" not in err


def test_stats_as_it_goes(tmp_path: Path) -> None:
    with cli("--stats", "0.2", "-d", "1", "-p", os.getpid()) as process:
        code, _, err = finish(process)
    assert code == 0
    told = re.findall(r"^rawtp: after \d+ s: matched (\d+) = filtered \d+ \+ ", err, re.MULTILINE)
    assert 2 <= len(told) <= 5


@pytest.mark.parametrize("name", ["columns", "jsonl", "csv", "ocsf", "ecs"])
def test_every_format_ends_well(name: str, tmp_path: Path) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        with cli("-o", name, "-p", os.getpid()) as process:
            until_live(process, tmp_path)
            code, _, err = end(process, number)
        assert code == 0
        ledger(err)
    with cli("-o", name, "-p", os.getpid()) as process:
        until_live(process, tmp_path)
        assert process.stdout
        process.stdout.close()
        assert process.wait(PATIENCE_S) == 0
        assert process.stderr
        ledger(process.stderr.read().decode())
    with cli("-o", name, "-p", os.getpid(), "-c", "1") as process:
        deadline_s = time.monotonic() + PATIENCE_S
        while process.poll() is None:
            assert time.monotonic() < deadline_s
            delete(tmp_path / "x")
        code, out, err = finish(process)
    assert code == 0
    assert out.count(f"{tmp_path}/x") >= 1
    assert ledger(err)["delivered"] == 1


def test_fields_that_there_are_not() -> None:
    with cli("-f", "pid,nonsense") as process:
        code, out, err = finish(process)
    assert (code, out) == (2, "")
    assert err.splitlines()[-1].startswith('rawtp: error: unknown field "nonsense": ')
