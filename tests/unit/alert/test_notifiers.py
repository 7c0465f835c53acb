"""Commands, webhooks and the journal, each with what it can meet."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from helpers.samples import RM
from helpers.support import HANG_S, wait_for
from helpers.webhooks import serving
from rawtp._alert import rules
from rawtp._alert.alert import Alert
from rawtp._alert.alerts import Alerts
from rawtp._alert.notifiers.base import NotifyError
from rawtp._alert.notifiers.command import Command
from rawtp._alert.notifiers.journal import Journal
from rawtp._alert.notifiers.webhook import Webhook

HOSTILE = b"/srv/\xff\n$(touch x)\x1b[2J"


def alert(**changes: Any) -> Alert:
    event = {**RM, "real_path": os.fsdecode(HOSTILE), **changes}
    return Alert("r", "event", 1, 5, 6, {"pid": 1}, event, None, "an-id")  # type: ignore[arg-type]


def never() -> threading.Event:
    return threading.Event()


def script(tmp_path: Path, text: str) -> str:
    path = tmp_path / "script"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_a_command_gets_the_event(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_THE_SERVICE", "x")
    program = script(
        tmp_path, f"env -0 > {tmp_path}/env; cat > {tmp_path}/json; printf '%s\\n' \"$@\" > {tmp_path}/argv"
    )
    Command("n", [program, "$HOME", "a b"], HANG_S, 1, str(tmp_path)).send(alert(), "h\udcff", never())
    found = dict(pair.split(b"=", 1) for pair in (tmp_path / "env").read_bytes().split(b"\0") if pair)
    # The very bytes, as a shell variable that nobody has looked at.
    assert found[b"RAWTP_REAL_PATH"] == HOSTILE
    assert (found[b"RAWTP_RULE"], found[b"RAWTP_KIND"], found[b"RAWTP_COUNT"]) == (b"r", b"event", b"1")
    assert (found[b"RAWTP_PID"], found[b"RAWTP_COMM"], found[b"RAWTP_ID"]) == (b"12345", b"rm", b"an-id")
    assert found[b"RAWTP_HOST"] == b"h\xff"
    # For people, and for a terminal.
    assert b"\n" not in found[b"RAWTP_MESSAGE"]
    assert b"\x1b" not in found[b"RAWTP_MESSAGE"]
    # What is not known has none.
    assert b"RAWTP_CONTAINER_ID" not in found
    assert b"SECRET_OF_THE_SERVICE" not in found
    # No shell has read the arguments.
    assert (tmp_path / "argv").read_text() == "$HOME\na b\n"
    document = json.loads((tmp_path / "json").read_bytes())
    assert (document["rule"], document["event"]["pid"]) == ("r", 12345)
    assert document["event"]["real_path"] == "/srv/\\xff\n$(touch x)\x1b[2J"
    assert not (tmp_path / "x").exists()


def test_a_command_that_reads_nothing(tmp_path: Path) -> None:
    """However long the alert is."""
    long = {"argv": ("x" * 60000,) * 4}
    Command("n", ["/bin/true"], HANG_S, 1, "/").send(alert(**long), "h", never())


def test_a_command_that_fails_says_why(tmp_path: Path) -> None:
    program = script(tmp_path, "echo no such luck >&2; yes lots >&2 & sleep 0.2; kill $!; exit 7")
    with pytest.raises(NotifyError, match="exit code 7: no such luck lots lots") as caught:
        Command("n", [program], HANG_S, 1, "/").send(alert(), "h", never())
    assert len(str(caught.value)) < 1000


def test_a_command_that_cannot_be_run(tmp_path: Path) -> None:
    program = script(tmp_path, "")
    command = Command("n", [program], HANG_S, 1, "/")
    Path(program).unlink()
    with pytest.raises(NotifyError, match="No such file"):
        command.send(alert(), "h", never())


def test_a_command_that_takes_too_long_is_killed_with_all_it_started(tmp_path: Path) -> None:
    program = script(tmp_path, f"sleep 1000 & echo $! > {tmp_path}/pid; trap '' TERM; wait")
    begin_s = time.monotonic()
    with pytest.raises(NotifyError, match=r"it took more than 0\.5 s, and was killed"):
        Command("n", [program], 0.5, 1, "/").send(alert(), "h", never())
    assert time.monotonic() - begin_s < HANG_S
    pid = int((tmp_path / "pid").read_text())
    wait_for(lambda: not is_alive(pid), "what it started is gone")


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_command_that_leaves_something_behind_does_not_hold_it_up(tmp_path: Path) -> None:
    """The child that it leaves has its standard error still open."""
    program = script(tmp_path, f"sleep 1000 & echo $! > {tmp_path}/pid; exit 0")
    begin_s = time.monotonic()
    try:
        Command("n", [program], 500.0, 1, "/").send(alert(), "h", never())
    finally:
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
    assert time.monotonic() - begin_s < HANG_S


def test_a_command_has_no_signal_blocked(tmp_path: Path) -> None:
    """Although the thread that runs it has."""
    program = script(tmp_path, f"grep SigBlk /proc/self/status > {tmp_path}/blocked")
    text = f'[notify.n]\ntype = "command"\nargv = ["{program}"]\n[[rules]]\nname = "r"\nnotify = "n"\n'
    alerts = Alerts(rules.parse(text.encode(), {}))
    alerts.events([RM])
    alerts.finish(HANG_S)
    assert alerts.counts()["notifiers"]["n"]["sent"] == 1
    assert (tmp_path / "blocked").read_text().split() == ["SigBlk:", "0000000000000000"]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rawtp._alert.notifiers.webhook._FIRST_WAIT_S", 0.01)


def test_a_webhook_is_signed() -> None:
    with serving() as server:
        hook = Webhook(
            "n",
            f"http://127.0.0.1:{server.port}/a/b?c=d",
            secret=b"s3cret",
            headers={"Authorization": "Bearer t"},
            clock=lambda: 1700000000.9,
        )
        hook.send(alert(), "host", never())
    [(path, headers, body)] = server.requests
    assert path == "/a/b?c=d"
    assert headers["Content-Type"] == "application/json"
    assert headers["Authorization"] == "Bearer t"
    assert headers["X-Rawtp-Id"] == "an-id"
    assert headers["X-Rawtp-Timestamp"] == "1700000000"
    expected = hmac.new(b"s3cret", b"1700000000." + body, hashlib.sha256).hexdigest()
    assert headers["X-Rawtp-Signature"] == f"sha256={expected}"
    assert json.loads(body)["event"]["comm"] == "rm"


@pytest.mark.usefixtures("quick")
def test_a_webhook_tries_again() -> None:
    with serving(503, (429, {"Retry-After": "0"}), 500, 204) as server:
        hook = Webhook("n", f"http://127.0.0.1:{server.port}", attempts=5)
        hook.send(alert(), "host", never())
    assert len(server.requests) == 4
    assert {headers["X-Rawtp-Id"] for _, headers, _ in server.requests} == {"an-id"}
    assert hook.retried == 3


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("answers", "tries", "reason"),
    [
        ([500] * 9, 3, "127.0.0.1: status 500, 3 times"),
        ([404], 1, "127.0.0.1: status 404"),
        # The signed alert is for that server and no other.
        ([(302, {"Location": "http://127.0.0.1:1/"})], 1, "127.0.0.1: status 302"),
    ],
)
def test_a_webhook_gives_up(answers: list[Any], tries: int, reason: str) -> None:
    with serving(*answers) as server:
        hook = Webhook("n", f"http://127.0.0.1:{server.port}", attempts=3)
        with pytest.raises(NotifyError) as caught:
            hook.send(alert(), "host", never())
    assert (len(server.requests), str(caught.value)) == (tries, reason)


@pytest.mark.usefixtures("quick")
def test_a_webhook_whose_server_comes_back() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        with pytest.raises(NotifyError, match=r"127\.0\.0\.1: Connection refused, 2 times"):
            Webhook("n", f"http://127.0.0.1:{port}", attempts=2).send(alert(), "host", never())


def test_a_webhook_waits_as_long_as_it_is_asked_to() -> None:
    with serving((429, {"Retry-After": "30"})) as server:
        hook = Webhook("n", f"http://127.0.0.1:{server.port}")
        stop = threading.Event()
        threading.Timer(0.5, stop.set).start()
        # And ends when the watch does.
        with pytest.raises(NotifyError, match="status 429, and the watch ended"):
            hook.send(alert(), "host", stop)
    assert len(server.requests) == 1


def test_a_server_that_never_ends_its_answer() -> None:
    """A byte now and then keeps a socket's timeout away, and not ours."""

    def drip() -> None:
        with suppress(OSError):
            connection, _ = listener.accept()
            with connection:
                while True:
                    connection.sendall(b"x")
                    time.sleep(0.05)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=drip)
        thread.start()
        begin_s = time.monotonic()
        hook = Webhook("n", f"http://127.0.0.1:{listener.getsockname()[1]}", timeout_s=0.5, attempts=1)
        with pytest.raises(NotifyError):
            hook.send(alert(), "host", never())
        assert time.monotonic() - begin_s < HANG_S
    thread.join(HANG_S)
    assert not thread.is_alive()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl to make a certificate with")
def test_https_checks_who_it_is(tmp_path: Path) -> None:
    made = subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-keyout", tmp_path / "key", "-out", tmp_path / "cert", "-days", "2", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=DNS:localhost"),
        ],
        capture_output=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert", tmp_path / "key")
    with serving(context=context) as server:
        url = f"https://localhost:{server.port}/"
        Webhook("n", url, ca_file=str(tmp_path / "cert")).send(alert(), "host", never())
        # Nobody has signed it, and another attempt would not help.
        with pytest.raises(NotifyError, match="certificate verify failed"):
            Webhook("n", url).send(alert(), "host", never())
        with pytest.raises(NotifyError, match="IP address mismatch"):
            Webhook("n", f"https://127.0.0.1:{server.port}/", ca_file=str(tmp_path / "cert")).send(
                alert(), "host", never()
            )
    assert len(server.requests) == 1


def fields(data: bytes) -> dict[bytes, bytes]:
    """What journald reads."""
    found = {}
    while data:
        name, _, data = data.partition(b"\n")
        length = int.from_bytes(data[:8], "little")
        found[name] = data[8 : 8 + length]
        assert data[8 + length : 9 + length] == b"\n"
        data = data[9 + length :]
    return found


def test_the_journal(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        journal.bind(str(tmp_path / "socket"))
        Journal("n", 3, str(tmp_path / "socket")).send(alert(), "host", never())
        found = fields(journal.recv(1 << 20))
    assert found[b"PRIORITY"] == b"3"
    assert found[b"SYSLOG_IDENTIFIER"] == b"rawtp"
    assert found[b"MESSAGE"].startswith(b"alert: r: rm /tmp/test.txt (pid 12345, user 1000) deleted ")
    # A line's end in a name makes no field of its own.
    assert found[b"RAWTP_REAL_PATH"] == HOSTILE


def test_without_a_journal(tmp_path: Path) -> None:
    with pytest.raises(NotifyError, match="No such file"):
        Journal("n", 3, str(tmp_path / "none")).send(alert(), "host", never())
