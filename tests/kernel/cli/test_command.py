"""The command line with a command: what it shows, as whom the command runs, and how both end."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from helpers.support import HANG_S, wait_for

pytestmark = pytest.mark.kernel

CLI = (sys.executable, "-m", "rawtp")
NOBODY = {"SUDO_UID": "65534", "SUDO_GID": "65534"}


@pytest.fixture(autouse=True)
def without_sudo(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SUDO_UID", "SUDO_GID", "SUDO_USER"):
        monkeypatch.delenv(name, raising=False)


def cli(*arguments: object, **changes: str) -> tuple[int, str, str]:
    """Run it to its end; the exit code, the output, which the command shares, and the messages."""
    command = [*CLI, "--stats", "1d", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=HANG_S, env={**os.environ, **changes})
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr


def events(out: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
    return [line for line in lines if line["type"] == "event"]


def output(out: str) -> list[str]:
    return [line for line in out.splitlines() if not line.startswith("{")]


def names(out: str) -> list[str]:
    return [Path(event["filename"]).name for event in events(out)]


def delivered(err: str) -> int:
    found = re.search(r"^rawtp: (\d+) events? delivered, 0 lost$", err, re.MULTILINE)
    assert found, err
    return int(found[1])


def test_it_shows_what_the_command_and_its_descendants_delete(tmp_path: Path) -> None:
    for name in ("own", "child", "daemon"):
        (tmp_path / name).touch()
    daemon = f"(setsid sh -c 'rm {tmp_path}/daemon; echo > {tmp_path}/done' &); read line < {tmp_path}/done"
    os.mkfifo(tmp_path / "done")
    script = f"echo hello; rm {tmp_path}/child; {daemon}; exec rm {tmp_path}/own"
    code, out, err = cli("--", "sh", "-c", script)
    assert code == 0
    assert output(out) == ["hello"]
    # The daemon's `> done` opens a fifo with O_TRUNC, which loses nothing.
    assert names(out) == ["child", "daemon", "own"]
    child, _, own = events(out)
    assert child["ppid"] == own["pid"]
    assert {event["comm"] for event in events(out)} == {"rm"}
    assert delivered(err) == 3


def test_everything_after_the_first_two_dashes_is_the_command() -> None:
    code, out, _ = cli("-o", "columns", "--", "echo", "-o", "--", "-p", "x y")
    assert code == 0
    assert out.splitlines()[-1] == "-o -- -p x y"


def test_filters_narrow_it_down_in_the_kernel(tmp_path: Path) -> None:
    script = f"rm -f {tmp_path}/a /nonexistent/b {tmp_path}/c; mv {tmp_path}/d {tmp_path}/e 2>&-; true"
    assert names(cli("-P", tmp_path, "--", "sh", "-c", script)[1])[:3] == ["a", "c", "d"]
    assert names(cli("-s", "delete", "-P", tmp_path, "--", "sh", "-c", script)[1]) == ["a", "c"]
    assert names(cli("-s", "rename", "--comm", "mv*", "--", "sh", "-c", script)[1])[0] == "d"
    code, out, err = cli("-u", "nobody", "--", "sh", "-c", script)
    assert (code, names(out), delivered(err)) == (0, [], 0)
    counts = re.search(r"matched (\d+) = filtered (\d+) ", err)
    assert counts
    assert int(counts[1]) == int(counts[2]) >= 3


@pytest.mark.parametrize(("ending", "code"), [("exit 5", 5), ("kill -TERM $$", 143), ("kill -KILL $$", 137)])
def test_the_exit_code_is_the_commands(ending: str, code: int) -> None:
    got, out, err = cli("--", "sh", "-c", f"rm -f /nonexistent/x; {ending}")
    assert (got, names(out), delivered(err)) == (code, ["x"], 1)


@pytest.mark.parametrize(("ending", "code"), [("exit 0", 3), ("exit 5", 5)])
def test_a_loss_fails_what_did_not_fail_by_itself(ending: str, code: int) -> None:
    loss = ["--fail-on-loss", "--ring-bytes", "4096", "--queue-bytes", "65536"]
    # Twice what ring and queue hold, before it is read on: the reader of the output is this test, afterwards.
    calls = "import os\nfor n in range(20000):\n try: os.unlink('/nonexistent/' + 'x' * 200)\n except OSError: pass"
    command = [*CLI, *loss, "--", "sh", "-c", f'"$0" -c "$1"; {ending}', sys.executable, calls]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        _, err = process.communicate(timeout=HANG_S)
    lost = re.search(rb"delivered, (\d+) lost", err)
    assert lost
    assert int(lost[1]) > 0
    assert process.returncode == code


def test_no_loss_is_no_failure() -> None:
    assert cli("--fail-on-loss", "--", "rm", "-f", "/nonexistent/x")[0] == 0


def test_what_cannot_be_run(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_text("no program")
    quiet = ("-q", "--")
    assert cli(*quiet, "no-such-program") == (127, "", "rawtp: no-such-program: No such file or directory\n")
    gone = "/nonexistent/\x1b[2J\n"
    assert cli(*quiet, gone) == (127, "", "rawtp: /nonexistent/\\x1b[2J\\x0a: No such file or directory\n")
    assert cli(*quiet, plain) == (126, "", f"rawtp: {plain}: Permission denied\n")
    plain.chmod(0o755)
    assert cli(*quiet, plain) == (126, "", f"rawtp: {plain}: Exec format error\n")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--"], "no command after --"),
        (["--", ""], "no command after --"),
        (["-p", "1", "--", "true"], "-p/--pid and --follow are not for a command: it is followed as it is"),
        (["--follow", "--", "true"], "-p/--pid and --follow are not for a command: it is followed as it is"),
        (["true", "--", "true"], "rawtp has no command 'true'; to watch a program, put -- before it: .* -- true"),
        (["--ring-bytes", "5", "--", "true"], "--ring-bytes must be a power of two.*, not 5"),
    ],
)
def test_wrong_usage_runs_nothing(arguments: list[str], complaint: str, tmp_path: Path) -> None:
    if arguments[-1] == "true":
        arguments = [*arguments[:-1], "touch", str(tmp_path / "made")]
    code, out, err = cli(*arguments)
    assert (code, out) == (2, "")
    assert re.fullmatch(f"rawtp: error: {complaint}", err.splitlines()[-1])
    assert list(tmp_path.iterdir()) == []


def test_under_sudo_it_runs_as_who_called() -> None:
    show = "id -u; id -g; id -G; echo $HOME $USER $LOGNAME $KEPT; rm -f /nonexistent/x"
    code, out, _ = cli("--", "sh", "-c", show, **NOBODY, KEPT="kept", HOME="/root", USER="root")
    assert code == 0
    assert output(out) == ["65534", "65534", "65534", "/nonexistent nobody nobody kept"]
    assert [(event["uid"], event["gid"], event["euid"]) for event in events(out)] == [(65534, 65534, 65534)]


def test_none_of_roots_rights_are_left() -> None:
    _, out, _ = cli("--", "grep", "-E", "^(Cap(Prm|Eff|Inh|Amb)|Uid|Gid):", "/proc/self/status", **NOBODY)
    ids = "\t65534" * 4
    none = "\t0000000000000000"
    assert sorted(output(out)) == [
        *(f"Cap{kind}:{none}" for kind in ("Amb", "Eff", "Inh", "Prm")),
        f"Gid:{ids}",
        f"Uid:{ids}",
    ]


def test_a_user_without_an_entry() -> None:
    show = "id -u; id -G; echo ${HOME-none} ${USER-none} ${LOGNAME-none}"
    _, out, _ = cli("--", "sh", "-c", show, SUDO_UID="54321", SUDO_GID="54322", HOME="/root", USER="root")
    assert output(out) == ["54321", "54322", "none none none"]


def test_as_root() -> None:
    _, out, _ = cli("--as-root", "--", "sh", "-c", "id -u; echo $HOME", **NOBODY, HOME="/root")
    assert output(out) == ["0", "/root"]
    assert output(cli("--", "id", "-u")[1]) == ["0"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"SUDO_UID": ""}, "SUDO_UID is '', which is no id"),
        ({"SUDO_UID": "nobody"}, "SUDO_UID is 'nobody', which is no id"),
        ({"SUDO_UID": "-1"}, "SUDO_UID is '-1', which is no id"),
        ({"SUDO_UID": " 1"}, "SUDO_UID is ' 1', which is no id"),
        ({"SUDO_UID": "4294967295"}, "SUDO_UID is '4294967295', which is no id"),
        ({"SUDO_UID": "٣"}, "SUDO_UID is '٣', which is no id"),
        ({"SUDO_GID": "x"}, "SUDO_GID is 'x', which is no id"),
    ],
)
def test_a_malformed_caller_runs_nothing(changes: dict[str, str], reason: str, tmp_path: Path) -> None:
    got = cli("--", "touch", tmp_path / "made", **{**NOBODY, **changes})
    assert got == (1, "", f"rawtp: {reason}: whose command is it? (--as-root runs it as root)\n")
    assert list(tmp_path.iterdir()) == []


def test_half_a_caller_runs_nothing() -> None:
    got = cli("--", "id", SUDO_UID="65534")
    assert got == (1, "", "rawtp: SUDO_GID is not set: whose command is it? (--as-root runs it as root)\n")


def test_a_user_that_cannot_be_become_runs_nothing(tmp_path: Path) -> None:
    command = ["setpriv", "--bounding-set=-setuid", "--inh-caps=-setuid", *CLI, "-q", "--", "touch", f"{tmp_path}/made"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **NOBODY}, timeout=HANG_S)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "rawtp: cannot run the command as user 65534: Operation not permitted\n"
    assert list(tmp_path.iterdir()) == []


TRAP = "trap 'rm -f /nonexistent/{0}; exit 9' {1}; touch {2}/began; while :; do sleep 0.05; done"


def start(*arguments: object) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    return subprocess.Popen([*CLI, *map(str, arguments)], stdout=pipe, stderr=pipe, text=True, start_new_session=True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_command_and_then_rawtp(number: signal.Signals, tmp_path: Path) -> None:
    """Ctrl-C reaches both; SIGTERM rawtp alone, which passes it on. What the command does about it is shown, too."""
    name = number.name.removeprefix("SIG")
    with start("--", "sh", "-c", TRAP.format("last", name, tmp_path)) as process:
        wait_for((tmp_path / "began").exists, "the command runs")
        (os.killpg if number == signal.SIGINT else os.kill)(process.pid, number)
        out, err = process.communicate(timeout=HANG_S)
    assert process.returncode == 9
    assert names(out) == ["last"]
    assert delivered(err) == 1


def test_ctrl_c_leaves_a_command_that_does_not_mind_it(tmp_path: Path) -> None:
    script = f"trap '' INT; touch {tmp_path}/began; read line < {tmp_path}/wait; rm -f /nonexistent/after; exit 4"
    os.mkfifo(tmp_path / "wait")
    with start("--", "sh", "-c", script) as process:
        wait_for((tmp_path / "began").exists, "the command runs")
        os.killpg(process.pid, signal.SIGINT)
        (tmp_path / "wait").write_text("go\n")
        out, err = process.communicate(timeout=HANG_S)
    assert (process.returncode, names(out), delivered(err)) == (4, ["after"], 1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_command_that_a_signal_ends(number: signal.Signals, tmp_path: Path) -> None:
    with start("--", "sh", "-c", f"touch {tmp_path}/began; exec sleep 1000") as process:
        wait_for((tmp_path / "began").exists, "the command runs")
        (os.killpg if number == signal.SIGINT else os.kill)(process.pid, number)
        _, err = process.communicate(timeout=HANG_S)
    assert process.returncode == 128 + number
    assert "Traceback" not in err
    delivered(err)


@pytest.mark.parametrize("end", [["-d", "0.3"], ["-c", "1"]])
def test_when_the_showing_ends_first_the_command_runs_on(end: list[str], tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "wait")
    script = f"rm -f /nonexistent/first; read line < {tmp_path}/wait; rm -f /nonexistent/unseen; exit 6"
    with start(*end, "--", "sh", "-c", script) as process:
        assert process.stderr
        assert process.stderr.readline() == "rawtp: no longer watching; waiting for the command to end\n"
        (tmp_path / "wait").write_text("go\n")
        out, err = process.communicate(timeout=HANG_S)
    assert (process.returncode, names(out), delivered(err)) == (6, ["first"], 1)


def test_a_reader_that_leaves_does_not_end_the_command(tmp_path: Path) -> None:
    script = f"rm -f /nonexistent/x; read line < {tmp_path}/wait; touch {tmp_path}/ended; exit 6"
    os.mkfifo(tmp_path / "wait")
    with start("--", "sh", "-c", script) as process:
        assert process.stdout
        assert process.stderr
        assert json.loads(process.stdout.readline())["type"] == "session"
        assert names(process.stdout.readline()) == ["x"]
        process.stdout.close()
        (tmp_path / "wait").write_text("go\n")
        assert process.wait(HANG_S) == 6
        assert "Traceback" not in process.stderr.read()
    assert (tmp_path / "ended").exists()


def test_an_output_that_is_full_does_not_end_the_command(tmp_path: Path) -> None:
    script = f"rm -f $(seq -f /nonexistent/%g 100); sleep 0.3; touch {tmp_path}/ended"
    # rm and touch write nothing, and so do not mind the limit.
    command = ["prlimit", "--fsize=8192", *CLI, "-O", f"{tmp_path}/out", "--", "sh", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=HANG_S)
    assert done.returncode == 1
    assert f"rawtp: {tmp_path}/out: File too large" in done.stderr.splitlines()
    assert (tmp_path / "ended").exists()


def test_without_privilege_the_command_is_part_of_the_advice(tmp_path: Path) -> None:
    unprivileged = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]
    command = [*unprivileged, *CLI, "-d", "9", "--", "touch", f"{tmp_path}/made"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=HANG_S)
    assert (done.returncode, done.stdout) == (1, "")
    [line] = done.stderr.splitlines()
    assert "CAP_BPF and CAP_PERFMON" in line
    assert list(tmp_path.iterdir()) == []


def test_the_header_comes_before_what_the_command_writes() -> None:
    _, out, _ = cli("-o", "columns", "--", "sh", "-c", "echo first")
    assert [line.split()[0] for line in out.splitlines()] == ["TIME", "first"]


def test_an_output_that_takes_no_header_runs_nothing(tmp_path: Path) -> None:
    script = f'exec "$0" -m rawtp -o columns -- touch {tmp_path}/made >/dev/full'
    done = subprocess.run(["sh", "-c", script, sys.executable], stderr=subprocess.PIPE, text=True, timeout=HANG_S)
    assert (done.returncode, done.stderr.splitlines()[0]) == (1, "rawtp: standard output: No space left on device")
    assert list(tmp_path.iterdir()) == []
