"""rawtp.run on real commands: what they and their descendants delete, and how they end."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

import rawtp
from helpers.support import HANG_S, assert_ledger, wait_for

pytestmark = pytest.mark.kernel

TREE = """
import os, subprocess, sys
top = sys.argv[1]

def delete(name):
    open(f"{top}/{name}", "w").close()
    os.unlink(f"{top}/{name}")

def forked(work):
    pid = os.fork()
    if pid == 0:
        work()
        os._exit(0)
    return pid

def daemon():
    # Forks twice, in a session of its own, as daemons do; its grandparent does not wait for it, but for its work.
    os.setsid()
    def work():
        delete("daemon")
        os.write(done, b"x")
    forked(work)

def grandchildren():
    for number in range(3):
        os.waitpid(forked(lambda: delete(f"grandchild{number}")), 0)
    subprocess.run(["rm", f"{top}/by-rm"])

open(f"{top}/by-rm", "w").close()
delete("first")
os.waitpid(forked(grandchildren), 0)
wait, done = os.pipe()
os.waitpid(forked(daemon), 0)
os.read(wait, 1)
subprocess.run(["sh", "-c", f"sh -c 'rmdir {top}/nothing' 2>&-; true"])
delete("last")
sys.exit(7)
"""


def names(events: list[rawtp.Event]) -> list[str]:
    return [os.path.basename(event["filename"] or "") for event in events]  # noqa: PTH119


def test_a_tree_of_processes(tmp_path: Path) -> None:
    result = rawtp.run([sys.executable, "-c", TREE, tmp_path])
    grandchildren = [f"grandchild{number}" for number in range(3)]
    assert names(result.events) == ["first", *grandchildren, "by-rm", "daemon", "nothing", "last"]
    assert [event["errno"] for event in result.events] == [None] * 6 + ["ENOENT", None]
    by_name = dict(zip(names(result.events), result.events, strict=True))
    command = by_name["first"]["pid"]
    assert by_name["first"]["ppid"] == os.getpid()
    assert by_name["last"]["pid"] == command
    assert len({event["pid"] for event in result.events}) == len(result.events) - 1
    assert (by_name["by-rm"]["comm"], by_name["nothing"]["comm"]) == ("rm", "rmdir")
    assert result.returncode == 7
    assert result.stats.delivered == len(result.events)
    assert result.stats.matched == result.stats.filtered + len(result.events)
    assert_ledger(result.stats)


def test_the_first_call_of_a_program_and_its_last(tmp_path: Path) -> None:
    """A program that does nothing but delete, by exec from the one that waited: not a call is missed."""
    for number in range(20):
        victim = tmp_path / str(number)
        victim.touch()
        [event] = rawtp.run(["unlink", victim]).events
        assert (event["path"], event["comm"], event["argv"]) == (str(victim), "unlink", ("unlink", str(victim)))


def test_what_others_delete_is_filtered_in_the_kernel(tmp_path: Path) -> None:
    program = f"read line; rm -f {tmp_path}/own"
    os.mkfifo(tmp_path / "wait")
    others = 100

    def work() -> None:
        # Opened for writing, it waits for the command, and that for us.
        with (tmp_path / "wait").open("w") as fifo:
            for _ in range(others):
                Path("/nonexistent/file").unlink(missing_ok=True)
            fifo.write("\n")

    thread = threading.Thread(target=work)
    thread.start()
    result = rawtp.run(["sh", "-c", f"exec < {tmp_path}/wait; {program}"])
    thread.join(HANG_S)
    assert names(result.events) == ["own"]
    assert result.stats.filtered >= others


def test_what_outlives_the_command_runs_on_unseen(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "wait")
    (tmp_path / "after").touch()
    later = f"setsid sh -c 'read line < {tmp_path}/wait; rm {tmp_path}/after'"
    result = rawtp.run(["sh", "-c", f"({later} &); rm -f {tmp_path}/now; exit 2"])
    assert (names(result.events), result.returncode) == (["now"], 2)
    (tmp_path / "wait").write_text("go\n")
    wait_for(lambda: not (tmp_path / "after").exists(), "it has run on")


def test_a_descendant_in_namespaces_of_its_own(tmp_path: Path) -> None:
    inside = ["unshare", "--pid", "--mount", "--fork", "sh", "-c", f"rm -f {tmp_path}/inside; exit 3"]
    result = rawtp.run(inside)
    if not result.events:
        pytest.skip("no namespaces here")
    [event] = result.events
    assert (event["path"], result.returncode) == (f"{tmp_path}/inside", 3)
    assert event["pid"] != event["ns_pid"]


def test_options_are_the_tracers(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).touch()
    script = f"cd {tmp_path}; rm a; rm gone 2>&-; mv b c; rm -f /nonexistent/file"
    wanted: list[tuple[dict[str, Any], list[str]]] = [
        ({}, ["gone", "file"]),
        ({"path": tmp_path}, ["gone"]),
        ({"syscalls": rawtp.RENAME, "outcome": "ok"}, ["b"]),
        ({"comm": "mv"}, []),
        ({"uid": os.getuid() + 1}, []),
        ({"outcome": "ok"}, []),
        ({"outcome": "failed", "path": iter(["/nonexistent"])}, ["file"]),
        ({"fields": ["filename"], "ring_bytes": 65536, "queue_bytes": 65536, "results": False}, ["gone", "file"]),
    ]
    assert names(rawtp.run(["sh", "-c", script]).events) == ["a", "gone", "file"]
    for options, found in wanted:
        (tmp_path / "b").touch()
        result = rawtp.run(["sh", "-c", script.replace("rm a; ", "")], **options)
        assert names(result.events) == found, options
    assert set(result.events[0]) == {"filename"}


def test_more_events_than_the_queue_holds() -> None:
    """They are taken as they come: 64 KiB of ring and queue would hold a few hundred."""
    program = "import os\nfor n in range(20000):\n try: os.unlink('/nonexistent/' + str(n))\n except OSError: pass"
    result = rawtp.run(
        [sys.executable, "-c", program], fields=["filename"], ring_bytes=8 << 20, queue_bytes=65536, results=False
    )
    assert names(result.events) == [str(number) for number in range(20000)]
    assert result.stats.lost_ring == 0


@pytest.mark.parametrize(
    ("ending", "code"), [("exit 0", 0), ("exit 3", 3), ("kill -TERM $$", 143), ("kill -9 $$", 137)]
)
def test_returncode(ending: str, code: int) -> None:
    assert rawtp.run(["sh", "-c", ending]).returncode == code


def test_the_command_is_as_it_would_be_without(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Its arguments, environment, descriptors and signals, and no trace of the interpreter that it was."""
    shown = tmp_path / "shown"
    # Of grep, since a shell blocks signals for a moment when it starts another.
    signals = "grep -E '^Sig(Blk|Ign|Cgt)' /proc/self/status"
    shows = f"tr '\\0' ' ' < /proc/$$/cmdline; env -0 | sort -z; ls /proc/self/fd; {signals}"
    script = f"{{ {shows}; }} > {shown}"
    monkeypatch.setenv("LC_ALL", "C")
    monkeypatch.setenv("ODD", os.fsdecode(b"\xff\n"))
    command = ["sh", "-c", script, os.fsdecode(b"\xfe")]
    subprocess.run(command, check=True, env=os.environ)
    alone = shown.read_bytes()
    assert rawtp.run(command).returncode == 0
    assert shown.read_bytes() == alone
    assert b"ODD=\xff\n\0" in alone


def test_a_program_is_looked_for_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for directory, mode in (("first", 0o644), ("second", 0o755)):
        (tmp_path / directory).mkdir()
        (tmp_path / directory / "prog").write_text("#!/bin/sh\nexit 9\n")
        (tmp_path / directory / "prog").chmod(mode)
    monkeypatch.setenv("PATH", f"{tmp_path}/none:{tmp_path}/first:{tmp_path}/second")
    assert rawtp.run(["prog"]).returncode == 9
    assert rawtp.run([tmp_path / "second" / "prog"]).returncode == 9
    monkeypatch.setenv("PATH", f"{tmp_path}/first:{tmp_path}/none")
    with pytest.raises(PermissionError):
        rawtp.run(["prog"])
    monkeypatch.setenv("PATH", f"{tmp_path}/none")
    with pytest.raises(FileNotFoundError):
        rawtp.run(["prog"])


def children() -> list[int]:
    found = Path("/proc/self/task").glob("*/children")
    return [int(pid) for task in found for pid in task.read_text().split()]


def test_what_cannot_be_run(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.touch()
    wrong: list[tuple[Any, dict[str, Any], type[Exception], str]] = [
        (["no-such-program"], {}, FileNotFoundError, r"\[Errno 2\] No such file or directory: 'no-such-program'"),
        ([plain, "x"], {}, PermissionError, rf"\[Errno 13\] Permission denied: '{plain}'"),
        ("rm -r x", {}, TypeError, "command must be a sequence of words, not a str: no shell takes it apart"),
        (b"rm", {}, TypeError, "command must be a sequence of words, not a bytes"),
        (7, {}, TypeError, "command must be a sequence of words, not int"),
        (["rm", 7], {}, TypeError, "expected str, bytes or os.PathLike object, not int"),
        ([], {}, ValueError, "command is empty: its first word is the program"),
        ([""], {}, ValueError, "command is empty"),
        (["rm", "a\0b"], {}, ValueError, r"no word of a command can have a NUL in it, as 'a\\x00b' has"),
        (["true"], {"pid": 1}, TypeError, r"rawtp.run\(\) takes no 'pid': it follows the command"),
        (["true"], {"follow": False}, TypeError, r"rawtp.run\(\) takes no 'follow'"),
        (["true"], {"colour": 1}, TypeError, "colour"),
        (["true"], {"ring_bytes": 5}, ValueError, "ring_bytes must be a power of two"),
        (["true"], {"comm": "systemd-journald"}, ValueError, "can match no process"),
    ]
    state = children(), sorted(os.listdir("/proc/self/fd"))  # noqa: PTH208
    for command, options, error, message in wrong:
        with pytest.raises(error, match=message):
            rawtp.run(command, **options)
    assert (children(), sorted(os.listdir("/proc/self/fd"))) == state  # noqa: PTH208


def test_a_wrong_option_runs_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="ring_bytes"):
        rawtp.run(["touch", tmp_path / "made"], ring_bytes=5)
    assert list(tmp_path.iterdir()) == []


def test_an_exception_of_a_handlers_kills_the_command(tmp_path: Path) -> None:
    class Alarm(Exception):  # noqa: N818
        pass

    def ring(*_: object) -> None:
        raise Alarm

    before = signal.signal(signal.SIGALRM, ring)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.5)
        with pytest.raises(Alarm):
            rawtp.run(["sleep", "1000"])
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert children() == []


INTERRUPTED = """
import rawtp, sys
try:
    rawtp.run(["sh", "-c", sys.argv[1]])
except KeyboardInterrupt:
    from pathlib import Path
    print("interrupted", Path("/proc/thread-self/children").read_text().split())
"""


@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_is_the_commands_too(times: int, tmp_path: Path) -> None:
    """Once, and it is waited for, whatever it does about it; twice, and it is killed."""
    on_int = "sleep 0.3; touch ended; exit" if times == 1 else ":"
    script = f"cd {tmp_path}; trap '{on_int}' INT; touch began; while :; do sleep 0.05; done"
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, script], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    wait_for((tmp_path / "began").exists, "the command runs")
    os.killpg(process.pid, signal.SIGINT)
    if times == 2:
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1)
        process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=HANG_S)
    assert out == "interrupted []\n"
    assert (tmp_path / "ended").exists() == (times == 1)


def test_outside_the_hosts_pid_namespace_it_says_so() -> None:
    program = "import rawtp\ntry: rawtp.run(['true'])\nexcept rawtp.RawtpError as error: print(error)"
    command = ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=HANG_S)
    if "unshare" in done.stderr:
        pytest.skip(done.stderr)
    assert done.stdout.startswith("a command can be followed from the host's pid namespace only")


def test_the_result_is_frozen() -> None:
    result = rawtp.run(["true"])
    assert result == rawtp.RunResult([], 0, result.stats)
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.returncode = 1  # type: ignore[misc]
