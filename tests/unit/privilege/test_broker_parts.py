"""What a broker grants, without a kernel; its command line; its units."""

from __future__ import annotations

import configparser
import os
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from helpers.pages import PAGES
from rawtp import _core
from rawtp._privilege import broker_socket, kinds, limits
from rawtp._privilege.limits import Limits
from rawtp._privilege.policy import UNPATCHED, Policy
from rawtp.cli import broker as broker_command

UNITS = Path(__file__).parents[3] / "systemd"
ASKED: dict[str, Any] = {"kind": "tracer", "ring_bytes": 1 << 16, "uid": None}
COUNTS: dict[str, Any] = {"kind": "counts", "latency": False, "uid": None}
RAW: dict[str, Any] = {"kind": "raw_tracepoint", "ring_bytes": 1 << 16}


def test_own_forces_the_user_and_all_does_not() -> None:
    assert Policy(own_uid=0).check(7, ASKED, tracers=0, of_user=0) == {**ASKED, "uid": [7]}
    assert Policy(own_uid=0).check(7, {**ASKED, "uid": [7]}, tracers=0, of_user=0) == {**ASKED, "uid": [7]}
    everybody = Policy(own_uid=0, allow="all")
    assert everybody.check(7, ASKED, tracers=0, of_user=0) == ASKED
    assert everybody.check(7, {**ASKED, "uid": [8]}, tracers=0, of_user=0) == {**ASKED, "uid": [8]}
    assert ASKED["uid"] is None


@pytest.mark.parametrize(
    ("policy", "asked", "there", "reason"),
    [
        ({}, {"uid": [7, 8]}, {}, "this broker shows user 7 their own calls only, not those of user 8"),
        ({}, {"uid": [0]}, {}, "this broker shows user 7 their own calls only, not those of user 0"),
        ({"max_ring_bytes": 4096}, {}, {}, "a ring has at most 4096 bytes here, not 65536"),
        ({}, {}, {"of_user": 8}, "user 7 has 8 tracers already, as many as this broker gives to one user"),
        ({}, {}, {"tracers": 64}, "this broker has 64 tracers already, as many as it gives"),
        ({"unsafe": UNPATCHED, "allow": "all"}, {}, {}, UNPATCHED),
    ],
)
def test_refusals(policy: dict[str, Any], asked: dict[str, Any], there: dict[str, int], reason: str) -> None:
    with pytest.raises(PermissionError) as raised:
        Policy(own_uid=0, **policy).check(7, {**ASKED, **asked}, **{"tracers": 0, "of_user": 0, **there})
    assert str(raised.value).startswith(reason)


def test_counts_are_limited_to_the_user_and_in_their_memory() -> None:
    size = _core._counts_bytes(False)
    policy = Policy(own_uid=0, max_ring_bytes=4096, state_bytes=size - 4096)
    assert policy.check(7, COUNTS, tracers=0, of_user=0) == {**COUNTS, "uid": [7]}
    with pytest.raises(PermissionError, match="this broker shows user 7 their own calls only"):
        policy.check(7, {**COUNTS, "uid": [0]}, tracers=0, of_user=0)
    with pytest.raises(PermissionError, match=r"counts take \d+ bytes here, .*: without latency they take less"):
        policy.check(7, {**COUNTS, "latency": True}, tracers=0, of_user=0)
    with pytest.raises(PermissionError, match=rf"counts take {size} bytes here, and this broker gives {size - 1} "):
        Policy(own_uid=0, max_ring_bytes=4096, state_bytes=size - 4097).check(7, COUNTS, tracers=0, of_user=0)


@pytest.mark.parametrize(
    "policy", [{}, {"allow": "all"}, {"allow_raw_tracepoints": True}], ids=["default", "all", "without all"]
)
def test_raw_tracepoints_take_a_permission_of_their_own(policy: dict[str, Any]) -> None:
    """Also for root, whom a broker need not serve: one that has it is started for it."""
    for uid in (0, 7):
        with pytest.raises(PermissionError, match=r"this broker attaches to no raw tracepoints: .*--allow-raw"):
            Policy(own_uid=0, **policy).check(uid, RAW, tracers=0, of_user=0)
    permitted = Policy(own_uid=0, allow="all", allow_raw_tracepoints=True)
    assert permitted.check(7, RAW, tracers=0, of_user=0) == RAW
    with pytest.raises(PermissionError, match="a ring has at most"):
        permitted.check(7, {**RAW, "ring_bytes": 1 << 30}, tracers=0, of_user=0)


def test_a_raw_tracepoint_is_never_loaded_for_one_user() -> None:
    """Whatever the policy said: there is no way to limit it."""
    with pytest.raises(PermissionError, match="shows what all users do"):
        kinds.load({**RAW, "name": "sys_enter"}, pid=1, owner=7, tell_cgroups=False)


def test_on_an_unpatched_kernel_root_and_the_brokers_own_user_are_served() -> None:
    policy = Policy(own_uid=7, unsafe=UNPATCHED)
    for uid in (0, 7):
        assert policy.check(uid, ASKED, tracers=0, of_user=0)["uid"] == [uid]


def test_the_coverage_says_what_is_left_out() -> None:
    policy = Policy(own_uid=0)
    assert policy.explain(7, ("syscalls", "x", None)) == ("syscalls", "x", "the broker shows the calls of user 7 only")
    assert policy.explain(7, ("syscalls", "x", "why"))[2] == "the broker shows the calls of user 7 only; why"
    assert policy.explain(7, ("io_uring", None, "none")) == ("io_uring", None, "none")
    assert Policy(own_uid=0, allow="all").explain(7, ("syscalls", "x", None)) == ("syscalls", "x", None)


@pytest.mark.parametrize(
    ("arguments", "environment", "error"),
    [
        ("broker", {}, "--socket says where to listen"),
        ("broker --socket /x", {"LISTEN_FDS": "1", "LISTEN_PID": "-"}, "systemd passes a socket: no --socket"),
        ("broker --socket /x --max-tracers 0", {}, "'0' is not a whole number from 1 up"),
        ("broker --socket /x --max-ring-bytes 4x", {}, "'4x' is not a number of bytes from 1 up"),
        ("broker --socket /x --max-ring-bytes 4GiB", {}, "'4GiB' is 4GiB or more: no ring is as large"),
        ("broker --socket /x --allow some", {}, "invalid choice: 'some'"),
        ("broker --socket /x --allow-raw-tracepoints", {}, "--allow-raw-tracepoints: only with --allow all"),
    ],
)
def test_wrong_usage(
    arguments: str,
    environment: dict[str, str],
    error: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if environment:
        monkeypatch.setattr(broker_socket, "passed", lambda: object())
    with pytest.raises(SystemExit) as raised:
        broker_command.run(arguments.split())
    assert raised.value.code == 2
    assert error in capsys.readouterr().err


@pytest.mark.parametrize("pid", ["1", str(os.getpid() + 1), "", "x"], ids=["first", "next", "empty", "word"])
def test_descriptors_that_are_passed_to_another_process(pid: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LISTEN_FDS", "1")
    monkeypatch.setenv("LISTEN_PID", pid)
    assert broker_socket.passed() is None


def test_the_group_must_be_there(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.raises(LookupError, match=r"^there is no group 'no-such-group'$"):
        broker_socket.listen(str(tmp_path / "socket"), "no-such-group")
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("kept")
    with pytest.raises(OSError, match="there is a file of another kind"):
        broker_socket.listen(str(file), None)
    assert file.read_text() == "kept"


def test_before_its_group_is_set_only_its_owner_may_connect(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with broker_socket.listen(str(path), None):
        assert path.stat().st_mode & 0o777 == 0o600
    assert not path.exists()


def unit(name: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(UNITS / name)
    return parser


def test_the_units_say_what_the_command_takes() -> None:
    service, listener = unit("rawtp.service"), unit("rawtp.socket")
    words = shlex.split(service["Service"]["ExecStart"])
    assert words[1:4] == ["-I", "-m", "rawtp"]
    chosen = broker_command.add_parser().parse_args(words[4:])
    assert (chosen.allow, chosen.max_tracers, chosen.max_ring_bytes) == ("own", 64, 4 << 20)
    made = Limits(chosen.max_tracers, 8, chosen.max_ring_bytes)
    # On a machine with 100 CPUs, and 30 MiB for the broker itself.
    assert made.max_tracers * (made.max_ring_bytes + (5 << 20) + (64 << 10) * 100) + (30 << 20) < 1 << 30
    assert service["Service"]["MemoryMax"] == "1G"
    assert made.descriptors <= int(service["Service"]["LimitNOFILE"])
    assert chosen.max_tracers + 16 <= int(service["Service"]["TasksMax"])
    assert listener["Socket"]["Backlog"] == str(broker_socket.BACKLOG)
    assert listener["Socket"]["ListenSequentialPacket"] == "/run/rawtp.sock"
    assert (listener["Socket"]["SocketGroup"], listener["Socket"]["SocketMode"]) == ("rawtp", "0660")
    assert (
        service["Service"]["CapabilityBoundingSet"]
        == service["Service"]["AmbientCapabilities"]
        == "CAP_BPF CAP_PERFMON"
    )
    assert service["Service"]["NoNewPrivileges"] == "yes"
    assert service["Service"]["LimitMEMLOCK"] == "infinity"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd here")
def test_systemd_understands_the_units(tmp_path: Path) -> None:
    for name in ("rawtp.service", "rawtp.socket"):
        text = (UNITS / name).read_text().replace("/opt/rawtp/bin/python", "/bin/true")
        (tmp_path / name).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", *tmp_path.iterdir()], capture_output=True, text=True, check=False
    )
    assert [line for line in done.stderr.splitlines() if "rawtp." in line] == []


def test_the_command_of_the_page_says_how_much_it_takes() -> None:
    page = PAGES["docs/how-to/without-root.md"]
    line = next(line for line in page.splitlines() if line.startswith("sudo .venv/bin/rawtp broker "))
    chosen = broker_command.add_parser().parse_args(shlex.split(line)[2:])
    one = chosen.max_ring_bytes + limits.state_bytes() + (8 - os.sysconf("SC_NPROCESSORS_CONF")) * (64 << 10)
    assert f"on 8 CPUs {chosen.max_tracers * one >> 20} MiB" in page
