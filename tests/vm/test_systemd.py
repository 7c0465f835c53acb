"""The units of systemd/, started by systemd."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from helpers.brokers import WATCH
from helpers.recordings import remove
from helpers.silence import silence
from helpers.support import HANG_S, wait_for
from helpers.unprivileged import python, start, told

if TYPE_CHECKING:
    from collections.abc import Iterator

UNITS = Path(__file__).parents[2] / "systemd"
SOCKET = "/run/rawtp.sock"
MEMBER, GROUP = 1000, 900
IS_PREEMPTED = os.environ["RAWTP_VM_KERNEL"].startswith("newest-")


def as_user(*groups: int) -> list[str]:
    listed = f"--groups={','.join(map(str, groups))}" if groups else "--clear-groups"
    return ["setpriv", f"--reuid={MEMBER}", f"--regid={MEMBER}", listed, "--inh-caps=-all", "--no-new-privs"]


def systemctl(*words: str) -> str:
    done = subprocess.run(["systemctl", *words], capture_output=True, text=True, check=False, timeout=HANG_S)
    assert done.returncode == 0, done.stderr
    return done.stdout


def main_pid() -> int:
    return int(systemctl("show", "--property=MainPID", "--value", "rawtp.service"))


@pytest.fixture(scope="module", autouse=True)
def units() -> Iterator[None]:
    """As rawtp.socket says that they are installed."""
    with Path("/etc/group").open("a") as groups:
        groups.write(f"rawtp:x:{GROUP}:\n")
    Path("/opt/rawtp/bin").mkdir()
    Path("/opt/rawtp/bin/python").symlink_to(python())
    for unit in UNITS.iterdir():
        shutil.copy(unit, "/etc/systemd/system")
    systemctl("daemon-reload")
    systemctl("enable", "--now", "rawtp.socket")
    yield
    systemctl("stop", "rawtp.socket", "rawtp.service")
    assert not Path(SOCKET).exists()


def test_a_member_of_the_group(package: Path) -> None:
    found = told(package, WATCH, *as_user(GROUP), arguments=[SOCKET])
    assert (found["names"], found["results"], found["own"]) == (True, True, True)
    assert found["final"] == [1001, 1001, 0, 0, True]
    limit, _, degraded = found["reason"].partition("; ")
    assert limit == f"the broker shows the calls of user {MEMBER} only"
    # As rawtp.service says of ProtectKernelTunables.
    preempted = "this kernel preempts programs of raw tracepoints" if IS_PREEMPTED else ""
    assert degraded.partition(",")[0] == preempted
    # Whose cgroups come and go is told to those alone who may see everybody's calls.
    assert [part for part, hook in found["coverage"].items() if hook is None] == ["cgroup_changes"]


def test_who_is_not_in_the_group(package: Path) -> None:
    kind, text = told(package, "tell(attempt(broker=sys.argv[1]))", *as_user(), arguments=[SOCKET])
    assert kind == "PermissionError"
    assert SOCKET in text


def test_what_it_may_do() -> None:
    systemctl("start", "rawtp.service")
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{main_pid()}/status").read_text().splitlines())
    assert 0 not in map(int, status["Uid"].split())
    capabilities = 1 << 38 | 1 << 39  # CAP_PERFMON, CAP_BPF: include/uapi/linux/capability.h
    assert {int(status[name], 16) for name in ("CapBnd", "CapPrm", "CapEff")} == {capabilities}
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")


STAYS = """
tracer = rawtp.Tracer(broker=sys.argv[1])
tell("watches")
delete("/nonexistent/last")
events = [event["filename"] for event in tracer]
tell([events, tracer.coverage["syscalls"], adds_up(tracer.stats())])
"""


def test_its_end_is_its_clients_end_and_the_next_one_starts_it_again(package: Path) -> None:
    with start(package, STAYS, *as_user(GROUP), arguments=[SOCKET]) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == '"watches"\n'
        before = main_pid()
        systemctl("stop", "rawtp.service")
        out, error = process.communicate(timeout=HANG_S)
    assert (process.returncode, error) == (0, "")
    assert json.loads(out) == [["/nonexistent/last"], {"hook": None, "reason": "the broker was stopped"}, True]
    found = told(package, WATCH, *as_user(GROUP), arguments=[SOCKET])
    assert found["final"] == [1001, 1001, 0, 0, True]
    assert main_pid() not in {0, before}


RECORDER = "rawtp-record.service"
HISTORY = Path("/var/lib/rawtp")
RAWTP = ("/opt/rawtp/bin/python", "-I", "-m", "rawtp")


def shown(name: str) -> str:
    return systemctl("show", f"--property={name}", "--value", RECORDER).strip()


def found(*arguments: object) -> tuple[int, list[dict[str, Any]]]:
    """What a subcommand prints as JSON lines."""
    command = [*RAWTP, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=HANG_S)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def deleted(path: Path) -> list[dict[str, Any]]:
    """Deletes a file by rm, and gives what the recorder says of it, once it does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    subprocess.run(["rm", path], check=True)
    wait_for(lambda: found("who", "--json", path)[0] == 0, f"{path} is recorded")
    return [line for line in found("who", "--json", path)[1] if line["type"] == "event"]


@pytest.fixture(scope="module")
def recorder() -> Iterator[None]:
    systemctl("enable", "--now", RECORDER)
    assert shown("ActiveState") == "active"
    yield
    systemctl("disable", "--now", RECORDER)


def is_well() -> bool:
    code, lines = found("record", "--status", "--json")
    return code == 0 and lines[0]["recorder"]["heartbeat"]["state"] == "ok"


@pytest.mark.usefixtures("recorder")
def test_the_recorder_records_in_its_sandbox() -> None:
    """Also where a sandbox could hide or move something: the real paths are those of the host."""
    for path in (Path("/tmp/rawtp-victim"), Path("/root/rawtp-victim"), Path("/run/rawtp-victim"), HISTORY / "victim"):
        [event] = deleted(path)
        assert (event["comm"], event["real_path"]) == ("rm", str(path))
        assert event["ancestors"][0][2] is not None
    wait_for(is_well, "the heartbeat comes back")
    status = HISTORY.stat()
    assert (status.st_mode & 0o777, status.st_uid, status.st_gid) == (0o750, 0, GROUP)
    assert {path.stat().st_gid for path in HISTORY.rglob("*")} == {GROUP}
    assert {path.stat().st_mode & 0o027 for path in HISTORY.rglob("*") if path.is_file()} == {0}


@pytest.mark.usefixtures("recorder")
def test_what_the_recorder_may_do() -> None:
    pid = shown("MainPID")
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    # CAP_DAC_READ_SEARCH, CAP_SYS_PTRACE, CAP_PERFMON, CAP_BPF: include/uapi/linux/capability.h
    capabilities = 1 << 2 | 1 << 19 | 1 << 38 | 1 << 39
    assert int(status["CapEff"], 16) == capabilities
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")


@pytest.mark.usefixtures("recorder")
def test_a_killed_recorder_is_started_again_and_the_gap_is_known() -> None:
    deleted(Path("/tmp/rawtp-before"))
    before = shown("MainPID")
    systemctl("kill", "--signal=KILL", RECORDER)
    wait_for(lambda: shown("MainPID") not in {"0", before} and shown("ActiveState") == "active", "it runs again")
    deleted(Path("/tmp/rawtp-after"))
    assert len([line for line in found("who", "--json", "/tmp/rawtp-before")[1] if line["type"] == "event"]) == 1
    gaps = [line for line in found("history", "--gaps")[1] if line["type"] == "gap"]
    assert "died" in {gap["reason"] for gap in gaps}


@pytest.mark.usefixtures("recorder")
def test_systemd_restarts_a_recorder_whose_hooks_are_silent() -> None:
    """Its heartbeat does not come back; so it does not feed the watchdog."""
    more = Path(f"/run/systemd/system/{RECORDER}.d/watchdog.conf")
    more.parent.mkdir(parents=True)
    # Less than what it is given, for a test.
    more.write_text("[Service]\nWatchdogSec=25s\n")
    try:
        systemctl("daemon-reload")
        systemctl("restart", RECORDER)
        wait_for(is_well, "the heartbeat comes back")
        before, restarts = shown("MainPID"), int(shown("NRestarts"))
        assert silence(int(before)) > 0
        wait_for(lambda: shown("StatusText") == "the heartbeat does not come back", "it is told")
        code, [status] = found("record", "--status", "--json")
        assert (code, status["is_well"]) == (1, False)
        assert status["problems"] == ["the heartbeat does not come back: what happens now may not be recorded"]
        wait_for(lambda: shown("MainPID") not in {"0", before} and shown("ActiveState") == "active", "it runs again")
        assert int(shown("NRestarts")) == restarts + 1
        wait_for(is_well, "the heartbeat comes back")
        deleted(Path("/tmp/rawtp-after-silence"))
        gaps = [line for line in found("history", "--gaps")[1] if line["type"] == "gap"]
        assert [gap["reason"] for gap in gaps][-2:] == ["silent", "died"]
        assert gaps[-2]["to_ns"] == gaps[-1]["from_ns"]
    finally:
        more.unlink()
        systemctl("daemon-reload")


@pytest.mark.usefixtures("recorder")
def test_a_directory_that_is_removed_is_made_again() -> None:
    """In its sandbox the recorder cannot make it. systemd does, when it starts it again."""
    deleted(Path("/tmp/rawtp-before-removal"))
    before = shown("MainPID")
    remove(HISTORY, lambda: shown("MainPID") not in {"0", before})
    wait_for(is_well, "it records")
    [event] = deleted(Path("/tmp/rawtp-after-removal"))
    assert event["comm"] == "rm"
    assert HISTORY.stat().st_mode & 0o777 == 0o750


@pytest.mark.usefixtures("recorder")
def test_a_reload_seals_and_a_stop_ends_it_well() -> None:
    deleted(Path("/tmp/rawtp-sealed"))
    systemctl("reload", RECORDER)
    wait_for(lambda: list(HISTORY.glob("events/host=*/date=*/*.parquet")) != [], "it seals")
    systemctl("stop", RECORDER)
    assert shown("Result") == "success"
    assert found("record", "--status", "--json")[0] == 1
    # Losses come after the gaps, on a kernel that skips programs.
    gaps = [line for line in found("who", "--json", "/tmp/rawtp-sealed")[1] if line["type"] == "gap"]
    assert gaps[-1]["reason"] == "stopped"


def test_it_is_installed_by_itself() -> None:
    """``rawtp record --install --now``, and with a directory of its own."""
    systemctl("disable", "--now", RECORDER)
    unit = Path("/etc/systemd/system", RECORDER)
    unit.unlink()
    group = Path("/etc/group")
    group.write_text("".join(line for line in group.read_text().splitlines(keepends=True) if "rawtp:" not in line))
    directory = Path("/srv/a history")
    command = [*RAWTP, "record", "--install", "--now", "--directory", str(directory)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=HANG_S)
        assert done.returncode == 0, done.stderr
        assert "making the group rawtp" in done.stderr
        assert done.stderr.endswith(f"rawtp: {RECORDER} is enabled, and runs\n")
        assert "rawtp:" in group.read_text()
        assert (shown("ActiveState"), shown("UnitFileState")) == ("active", "enabled")
        Path("/tmp/rawtp-installed").touch()
        subprocess.run(["rm", "/tmp/rawtp-installed"], check=True)
        asked = ("who", "--json", "--directory", directory, "/tmp/rawtp-installed")
        wait_for(lambda: found(*asked)[0] == 0, "it records")
        assert directory.stat().st_mode & 0o777 == 0o750
        # Again changes nothing; another unit of that name is left alone.
        again = subprocess.run(command, capture_output=True, text=True, check=False, timeout=HANG_S)
        assert (again.returncode, shown("ActiveState")) == (0, "active")
        other = subprocess.run([*command, "--max-age", "1d"], capture_output=True, text=True, check=False)
        assert other.returncode == 1
        assert "there is one already, which says something else" in other.stderr
    finally:
        systemctl("disable", "--now", RECORDER)
        unit.unlink()
        shutil.copy(UNITS / RECORDER, unit)
        systemctl("daemon-reload")
