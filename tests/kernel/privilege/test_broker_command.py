"""``python -m rawtp broker``, and how it is not reached."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from helpers.brokers import OTHER, WATCH, broker, client, env
from helpers.support import HANG_S, SLOWER, wait_for
from helpers.unprivileged import as_user, python, start, told

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(300 * SLOWER)]


def test_a_broker_without_root(package: Path, place: Path) -> None:
    """As the systemd unit has it: a user of its own with two capabilities."""
    capabilities = ["--inh-caps=+bpf,+perfmon", "--ambient-caps=+bpf,+perfmon", "--no-new-privs"]
    user = ["setpriv", f"--reuid={OTHER}", "--regid=65534", "--clear-groups", *capabilities]
    with broker(package, place, prefix=["sh", "-c", 'ulimit -l unlimited; exec "$@"', "sh", *user]) as running:
        found = client(package, running, WATCH)
        assert found["final"] == [1001, 1001, 0, 0, True]


def test_without_privilege_it_says_so(package: Path, place: Path) -> None:
    done = subprocess.run(
        [*as_user(), python(), "-m", "rawtp", "broker", "--socket", str(place / "socket")],
        env=env(package),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("rawtp: the broker cannot run: loading BPF programs needs CAP_BPF and CAP_PERFMON")


def test_a_socket_of_systemds(package: Path, place: Path) -> None:
    program = """
import socket
listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
listener.bind(sys.argv[1])
listener.listen()
os.chmod(sys.argv[1], 0o666)
if listener.fileno() != 3:
    os.dup2(listener.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.execv(sys.executable, [sys.executable, "-m", "rawtp", "broker"])
"""
    path = str(place / "socket")
    process = start(package, program, arguments=[path])
    try:
        wait_for(lambda: os.access(path, os.F_OK) and Path(path).stat().st_mode & 0o666 == 0o666, "a socket")
        found = told(package, WATCH, *as_user(), arguments=[path])
        assert found["final"] == [1001, 1001, 0, 0, True]
        process.send_signal(signal.SIGTERM)
        _, error = process.communicate(timeout=HANG_S)
        assert process.returncode == 0
        assert error.splitlines()[-1] == "rawtp: broker: stopped"
        assert Path(path).exists()  # it is systemd's
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    ("path", "kind", "text"),
    [
        (
            "/nonexistent/socket",
            "FileNotFoundError",
            "[Errno 2] cannot ask the broker at /nonexistent/socket: there is no",
        ),
        ("/" + "x" * 107, "ValueError", "broker must be the path of a socket, of 1 to 107 bytes, not "),
        ("", "ValueError", "broker must be the path of a socket, of 1 to 107 bytes, not ''"),
        ("/dev/null", "ConnectionRefusedError", "[Errno 111] cannot ask the broker at /dev/null: nobody listens"),
    ],
)
def test_no_broker(package: Path, path: str, kind: str, text: str) -> None:
    found = told(package, "tell(attempt(broker=sys.argv[1]))", *as_user(), arguments=[path])
    assert [found[0], found[1][: len(text)]] == [kind, text]


def test_one_way_or_the_other(package: Path) -> None:
    assert told(package, "tell(attempt(broker='/x', sudo=True))") == [
        "ValueError",
        "sudo=True and broker are two ways to the same: choose one",
    ]


def test_on_the_command_line(package: Path, place: Path) -> None:
    with broker(package, place) as running:
        done = subprocess.run(
            [
                *as_user(),
                python(),
                "-m",
                "rawtp",
                "--broker",
                running.path,
                "-o",
                "jsonl",
                "--",
                "rm",
                "/nonexistent/x",
            ],
            env=env(package),
            capture_output=True,
            text=True,
            check=False,
        )
        events = [line for line in map(json.loads, done.stdout.splitlines()) if line["type"] == "event"]
        assert [(event["comm"], event["path"], event["errno"]) for event in events] == [
            ("rm", "/nonexistent/x", "ENOENT")
        ]
