"""Brokers and clients that end, are killed, stall, or say what nobody should."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from helpers.brokers import WATCH, Running, broker, client, env
from helpers.support import HANG_S, SLOWER, attached_programs, wait_for
from helpers.unprivileged import as_user, python, start, told

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(300 * SLOWER)]


ITERATE = """
tracer = rawtp.Tracer(broker=sys.argv[1], pid=os.getpid(), ring_bytes=1 << 20)
for number in range(5000):
    delete(f"/nonexistent/{number}")
tell("deleted")
names = [event["filename"] for event in tracer]
stats = tracer.stats()
tracer.close()
again = tracer.stats()
tell([names == [f"/nonexistent/{number}" for number in range(5000)], tracer.closed, tracer.coverage["syscalls"],
      adds_up(stats), adds_up(again), stats.delivered, again.discarded])
"""


ENDS = [(signal.SIGKILL, "the broker is gone, without a word"), (signal.SIGTERM, "the broker was stopped")]


@pytest.mark.parametrize(("number", "reason"), ENDS)
def test_the_broker_ends(package: Path, place: Path, number: signal.Signals, reason: str) -> None:
    with broker(package, place) as running:
        process = start(package, ITERATE, *as_user(), arguments=[running.path])
        assert process.stdout is not None
        assert process.stdout.readline() == '"deleted"\n'
        running.process.send_signal(number)
        running.process.wait(timeout=HANG_S)
        out, error = process.communicate(timeout=HANG_S)
        assert (process.returncode, error) == (0, "")
        coverage = {"hook": None, "reason": reason}
        assert json.loads(out) == [True, True, coverage, True, True, 5000, 0]
    assert os.path.lexists(running.path) == (number == signal.SIGKILL)


@pytest.mark.parametrize(("number", "reason"), ENDS)
@pytest.mark.parametrize("words", [[], ["--", "sh", "-c", "rm -f /nonexistent/1; read line; exit 7"]])
def test_the_broker_of_a_command_line_ends(
    package: Path, place: Path, number: signal.Signals, reason: str, words: list[str]
) -> None:
    """All that had come is shown, the ledger too, and a command runs on."""
    with broker(package, place) as running:
        process = subprocess.Popen(
            [*as_user(), python(), "-m", "rawtp", "--broker", running.path, "-o", "jsonl", "--summary", *words],
            env=env(package),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdin
        assert process.stdout
        kinds = [json.loads(process.stdout.readline())["type"]]
        if words:
            kinds.append(json.loads(process.stdout.readline())["type"])
        running.process.send_signal(number)
        running.process.wait(timeout=HANG_S)
        if words:
            time.sleep(0.2 * SLOWER)
            assert process.poll() is None
        out, error = process.communicate("go\n", timeout=HANG_S)
        kinds += [json.loads(line)["type"] for line in out.splitlines()]
        assert kinds == ["session", *["event"] * bool(words), "ledger"]
        assert process.returncode == (7 if words else 1)
        assert f"rawtp: the watching was ended: {reason}\n" in error
        assert ("by process:" in error) == bool(words)
        assert "Traceback" not in error


@pytest.mark.parametrize(("number", "reason"), ENDS)
def test_the_broker_of_a_run_ends(package: Path, place: Path, number: signal.Signals, reason: str) -> None:
    source = """
import warnings
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    command = ["sh", "-c", "rm -f /nonexistent/1; echo ready >&2; read line; exit 7"]
    result = rawtp.run(command, broker=sys.argv[1])
tell([[event["filename"] for event in result.events], result.returncode, [str(one.message) for one in caught]])
"""
    with broker(package, place) as running:
        process = start(package, source, *as_user(), arguments=[running.path])
        assert process.stderr
        assert process.stderr.readline() == "ready\n"
        running.process.send_signal(number)
        running.process.wait(timeout=HANG_S)
        out, error = process.communicate("go\n", timeout=HANG_S)
        assert error == ""
        names, code, messages = json.loads(out)
        assert (names, code) == (["/nonexistent/1"], 7)
        assert messages == [
            f"the watching was ended ({reason}): what the command did from then on is not among the events"
        ]


@pytest.mark.parametrize("words", [[], ["--", "true"]])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_wait_for_a_brokers_answer(
    package: Path, place: Path, number: signal.Signals, words: list[str]
) -> None:
    path = str(place / "silent")
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as silent:
        silent.bind(path)
        Path(path).chmod(0o666)
        silent.listen()
        process = subprocess.Popen(
            [*as_user(), python(), "-m", "rawtp", "--broker", path, *words],
            env=env(package),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        asked, _ = silent.accept()
        with asked:
            assert asked.recv(1 << 16)
            time.sleep(0.2 * SLOWER)
            process.send_signal(number)
            out, error = process.communicate(timeout=HANG_S)
        assert (process.returncode, out, error) == (1, "", "rawtp: interrupted\n")


def test_it_ends_though_no_call_is_interrupted(package: Path, place: Path) -> None:
    """As when the signal comes between its last look and its wait: here another thread takes it."""
    program = """
import signal, sys, threading
from rawtp.cli import broker as broker_command
threading.Thread(target=threading.Event().wait, daemon=True).start()
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
sys.exit(broker_command.run(["broker", *sys.argv[1:]]))
"""
    with broker(package, place, main=("-c", program)):
        pass


def test_the_ledger_is_exact_when_the_broker_is_killed_in_the_middle(package: Path, place: Path) -> None:
    program = """
tracer = rawtp.Tracer(broker=sys.argv[1], ring_bytes=1 << 18, queue_bytes=1 << 16, fields=["filename", "seq", "lost"])
child = os.fork()
if not child:
    while True:
        delete("/nonexistent/rawtp-broker")
count = lost = 0
for event in tracer:
    count += 1
    lost += event["lost"]
    if count == 1000:
        tell("iterates")
stats = tracer.stats()
os.kill(child, 9)
os.wait()
tracer.close()
again = tracer.stats()
tell([count > 1000, stats.delivered == count, stats.lost_ring == lost + stats.tail_lost, adds_up(stats),
      again == stats or {name: [value, again.as_dict()[name]] for name, value in stats.as_dict().items()}])
"""
    with broker(package, place) as running:
        process = start(package, program, *as_user(), arguments=[running.path])
        assert process.stdout is not None
        assert process.stdout.readline() == '"iterates"\n'
        running.process.kill()
        running.process.wait()
        out, error = process.communicate(timeout=HANG_S)
        assert (process.returncode, error) == (0, "")
        assert json.loads(out) == [True] * 5


def test_a_killed_brokers_socket_is_taken_over(package: Path, place: Path) -> None:
    with broker(package, place) as running:
        running.process.kill()
        running.process.wait()
        kind, text = client(package, running, "tell(attempt(broker=sys.argv[1]))")
        assert (kind, text) == (
            "ConnectionRefusedError",
            f"[Errno 111] cannot ask the broker at {running.path}: nobody listens there any more",
        )
    with broker(package, place) as running:
        assert client(package, running, "tell(attempt(broker=sys.argv[1]))") is None
        again = subprocess.run(
            [python(), "-m", "rawtp", "broker", "--socket", running.path],
            env=env(package),
            capture_output=True,
            text=True,
            check=False,
        )
        assert (again.returncode, again.stderr) == (
            1,
            f"rawtp: the broker cannot run: cannot listen at {running.path}: another broker listens there\n",
        )


def test_a_killed_client_is_detached(package: Path, place: Path) -> None:
    program = "tracer = rawtp.Tracer(broker=sys.argv[1]); tell(os.getpid()); sys.stdin.readline()"
    with broker(package, place) as running:
        before = attached_programs(running.process.pid)
        process = start(package, program, *as_user(), arguments=[running.path])
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        assert attached_programs(running.process.pid) - before >= 2
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: attached_programs(running.process.pid) == before, "a broker that has detached")
        process.communicate(timeout=HANG_S)


def test_a_forked_child_does_not_keep_it_attached(package: Path, place: Path) -> None:
    program = """
tracer = rawtp.Tracer(broker=sys.argv[1])
reader, writer = os.pipe()
if not os.fork():
    os.close(writer)
    os.read(reader, 1)
    os._exit(0)
tracer.close()
tell("closed")
sys.stdin.readline()
os.close(writer)
os.wait()
"""
    with broker(package, place) as running:
        process = start(package, program, *as_user(), arguments=[running.path])
        assert process.stdout is not None
        assert process.stdout.readline() == '"closed"\n'
        wait_for(lambda: running.has_logged("why='the client went'"), "a broker that hears of the close")
        process.communicate("\n", timeout=HANG_S)


# Each makes every system call of the machine slower, and an emulated one is slow as it is.
CLIENTS = 50 if SLOWER == 1 else 10


@pytest.mark.slow
def test_fifty_clients_at_a_time(package: Path, place: Path) -> None:
    program = """
with rawtp.Tracer(broker=sys.argv[1], pid=os.getpid(), ring_bytes=1 << 16, fields=["filename"]) as tracer:
    tell("watches")
    sys.stdin.readline()
    for number in range(20):
        delete(f"/nonexistent/{os.getpid()}/{number}")
    events = []
    while len(events) < 20:
        events += tracer.get_many(timeout=30)
stats = tracer.stats()
tell([[event["filename"] for event in events] == [f"/nonexistent/{os.getpid()}/{number}" for number in range(20)],
      stats.delivered, stats.matched - stats.filtered, adds_up(stats)])
"""
    with broker(package, place, "--max-tracers-per-user", str(CLIENTS)) as running:
        clients = [start(package, program, *as_user(), arguments=[running.path]) for _ in range(CLIENTS)]
        for process in clients:
            assert process.stdout is not None
            assert process.stdout.readline() == '"watches"\n'
        for process in clients:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        for process in clients:
            out, error = process.communicate(timeout=HANG_S)
            assert (process.returncode, error) == (0, "")
            assert json.loads(out) == [True, 20, 20, True]
        assert sum(line.startswith("grant ") for line in running.log()) == CLIENTS


def connected(running: Running) -> socket.socket:
    peer = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    peer.settimeout(HANG_S)
    peer.connect(running.path)
    return peer


def test_malformed_and_oversized_requests(package: Path, place: Path) -> None:
    version = json.loads(json.dumps(told(package, "tell(rawtp.__version__)")))
    good = {
        "rawtp": version,
        "kind": "tracer",
        "syscalls": ["unlink"],
        "are_all": False,
        "results": False,
        "fields": ["pid"],
    }
    good |= {"pid": None, "follow": False, "from_exec": False, "uid": None, "comm": None, "cgroup": None, "path": None}
    good |= {"exclude_self": False}
    good |= {"hook": "auto", "when": "loss", "buffers": 0, "ring_bytes": 1 << 16}
    cases = [
        (b"\x00", "RawtpError", "a message that is no JSON"),
        (b"[" * 50_000, "RawtpError", "a message that is no JSON"),
        (b"[]", "RawtpError", "a message that is no object"),
        (b"x" * 140_000, "RawtpError", "a message of more than 131072 bytes"),
        (
            json.dumps({**good, "rawtp": "0"}).encode(),
            "RawtpError",
            f"the other side is rawtp 0, and this is {version}",
        ),
        (json.dumps({**good, "without": 1}).encode(), "RawtpError", "a request without, or with other, keys than a"),
        (json.dumps({**good, "ring_bytes": 12345}).encode(), "ValueError", "ring_bytes must be a power of two"),
        (json.dumps({**good, "ring_bytes": 1 << 40}).encode(), "PermissionError", "a ring has at most 16777216 bytes"),
        (json.dumps({**good, "syscalls": ["x"]}).encode(), "ValueError", 'no system call of this machine is named "x"'),
        (json.dumps({**good, "cgroup": [1 << 60]}).encode(), "ValueError", "cgroup 1152921504606846976 is not there"),
        (json.dumps({**good, "path": ["x"]}).encode(), "ValueError", "path must be absolute, and without NUL"),
    ]
    with broker(package, place) as running:
        for message, kind, text in cases:
            with connected(running) as peer:
                peer.send(message)
                answer = json.loads(peer.recv(1 << 18))
                assert (answer["error"], answer["message"][: len(text)]) == (kind, text)
                assert peer.recv(1) == b""
        with connected(running) as peer:  # with descriptors that nobody asked for
            socket.send_fds(peer, [b"{"], [0] * 100)
            assert json.loads(peer.recv(1 << 18))["message"] == "a message that is no JSON"
        with connected(running) as peer:  # and one that says more than once what it wants
            peer.send(json.dumps(good).encode())
            assert "slots" in json.loads(peer.recv(1 << 18))
            peer.send(b"again")
            assert peer.recv(1) == b""
        wait_for(lambda: running.has_logged("why='the client sent more than one request'"), "an end")
        assert client(package, running, "tell(attempt(broker=sys.argv[1]))") is None


@pytest.mark.slow
def test_clients_that_stall_hold_up_nobody(package: Path, place: Path) -> None:
    with broker(package, place) as running:
        silent = [connected(running) for _ in range(20)]
        assert client(package, running, WATCH)["final"] == [1001, 1001, 0, 0, True]
        deaf = connected(running)
        deaf.send(b"{")  # and never reads what is answered
        assert client(package, running, WATCH)["final"] == [1001, 1001, 0, 0, True]
        for peer in silent:
            assert json.loads(peer.recv(1 << 16))["message"] == "no request within 10.0 s"
            peer.close()
        deaf.close()
