"""``broker=``: clients as nobody without capabilities, and a broker as they would have it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support import HANG_S, SLOWER, wait_for
from unprivileged import NOBODY, PRELUDE, as_user, copy_of_package, for_everybody, python, start, told

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(300 * SLOWER)]

OTHER = 1234
WATCH = """
before = fds()
tracer = rawtp.Tracer(broker=sys.argv[1], pid=os.getpid(), ring_bytes=1 << 20)
for number in range(1000):
    delete(f"/nonexistent/{number}")
events = []
while len(events) < 1000:
    events += tracer.get_many(timeout=30)
live = tracer.stats()
held = links()
delete("/nonexistent/last")
tracer.close()
delete("/nonexistent/after")
rest = list(tracer)
final = tracer.stats()
coverage = tracer.coverage
del tracer
gc.collect()
tell({
    "names": [event["filename"] for event in events] == [f"/nonexistent/{number}" for number in range(1000)],
    "results": {event["errno"] for event in events} == {"ENOENT"},
    "own": {(event["pid"], event["uid"]) for event in events} == {(os.getpid(), os.getuid())},
    "rest": [event["filename"] for event in rest],
    "live": [live.matched - live.filtered, live.delivered, adds_up(live)],
    "final": [final.matched - final.filtered, final.delivered, final.discarded, final.unpaired, adds_up(final)],
    "missed": [live.missed, final.missed],
    "coverage": {name: part["hook"] for name, part in coverage.items()},
    "reason": coverage["syscalls"]["reason"],
    "links": held,
    "leaked": fds() != before,
})
"""


@pytest.fixture(scope="module")
def package() -> Iterator[Path]:
    with copy_of_package() as made:
        yield made


@pytest.fixture
def place() -> Iterator[Path]:
    with for_everybody() as made:
        made.chmod(0o777)
        yield made


class Running:
    """A broker, and what it holds."""

    def __init__(self, process: subprocess.Popen[str], path: str, log: Path) -> None:
        self.process, self.path, self._log = process, path, log

    def log(self) -> list[str]:
        return [line.removeprefix("rawtp: ") for line in self._log.read_text().splitlines()]

    def has_logged(self, text: str) -> bool:
        return any(text in line for line in self.log())

    def descriptors(self) -> list[str]:
        found = []
        for descriptor in Path(f"/proc/{self.process.pid}/fd").iterdir():
            try:
                found.append(str(descriptor.readlink()).partition(":[")[0])
            except FileNotFoundError:
                continue
        return sorted(found)


@contextmanager
def broker(
    package: Path, top: Path, *options: str, prefix: Sequence[str] = (), group: str = "nogroup"
) -> Iterator[Running]:
    """A broker; at the end it holds what it held at its beginning, and stops when it is told to."""
    path, log = str(top / "socket"), top / "log"
    with log.open("w") as errors:
        process = subprocess.Popen(
            [*prefix, python(), "-X", "dev", "-m", "rawtp", "broker", "--socket", path, "--group", "nogroup", *options],
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(package), "PYTHONDONTWRITEBYTECODE": "1"},
            stderr=errors,
            text=True,
            cwd="/",
        )
    running = Running(process, path, log)
    try:
        wait_for(lambda: process.poll() is not None or running.has_logged("broker: listens"), "a broker that listens")
        assert process.poll() is None, running.log()
        before = running.descriptors()
        yield running
        if process.poll() is None:
            wait_for(lambda: running.descriptors() == before, "a broker that holds nothing of its clients any more")
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=HANG_S) == 0, running.log()
            assert running.log()[-1] == "broker: stopped"
            assert not os.path.lexists(path)
    finally:
        process.kill()
        process.wait()


def client(package: Path, running: Running, program: str, *, uid: int = NOBODY, group: int = NOBODY) -> Any:
    prefix = [part.replace(f"--regid={uid}", f"--regid={group}") for part in as_user(uid)]
    return told(package, program, *prefix, arguments=[running.path])


def test_events_and_ledger(package: Path, place: Path) -> None:
    with_root = told(package, WATCH.replace("broker=sys.argv[1], ", ""))
    with broker(package, place) as running:
        found = client(package, running, WATCH)
        assert found["coverage"] == with_root["coverage"]
        assert found["reason"] == f"the broker shows the calls of user {NOBODY} only"
        assert (found["names"], found["results"], found["own"]) == (True, True, True)
        assert found["rest"] == ["/nonexistent/last"]
        assert found["live"] == [1000, 1000, True]
        assert found["final"] == [1001, 1001, 0, 0, True]
        assert found["missed"] == with_root["missed"]
        assert (found["links"], found["leaked"]) == (0, False)
        wait_for(lambda: running.has_logged("why="), "an end of the tracer")
        _, grant, end = running.log()
        pid = grant.split("pid=")[1].split()[0]
        assert grant == f"grant uid={NOBODY} pid={pid} tracer=1 ring_bytes=1048576 uids=[{NOBODY}]"
        assert end == f"end uid={NOBODY} pid={pid} tracer=1 why='the client went'"


SEES = """
with rawtp.Tracer(broker=sys.argv[1], path="/nonexistent/rawtp-own", ring_bytes=1 << 16) as tracer:
    tell("watches")
    sys.stdin.readline()
    delete(f"/nonexistent/rawtp-own/{os.getuid()}")
events = [[event["uid"], event["filename"]] for event in tracer]
tell([events, adds_up(tracer.stats())])
"""


@pytest.mark.parametrize("allow", ["own", "all"])
def test_own_hides_what_others_delete(package: Path, place: Path, allow: str) -> None:
    with broker(package, place, "--allow", allow) as running:
        clients = [
            start(package, SEES, *as_user(uid)[:2], "--regid=65534", *as_user(uid)[3:], arguments=[running.path])
            for uid in (NOBODY, OTHER)
        ]
        assert [process.stdout.readline() for process in clients if process.stdout] == ['"watches"\n'] * 2
        subprocess.run([python(), "-c", PRELUDE + "delete('/nonexistent/rawtp-own/0')"], check=True, env=env(package))
        told(package, "delete('/nonexistent/rawtp-own/2345'); tell(1)", *as_user(2345))
        for uid, process in zip((NOBODY, OTHER), clients, strict=True):
            out, error = process.communicate("\n", timeout=HANG_S)
            assert (process.returncode, error) == (0, "")
            events, is_exact = json.loads(out)
            assert is_exact
            own = [uid, f"/nonexistent/rawtp-own/{uid}"]
            if allow == "own":
                assert events == [own]
            else:
                assert own in events
                assert [0, "/nonexistent/rawtp-own/0"] in events
                assert [2345, "/nonexistent/rawtp-own/2345"] in events


def env(package: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(package), "PYTHONDONTWRITEBYTECODE": "1"}


def test_what_is_handed_out_tells_nothing_of_others_and_cannot_be_changed(package: Path, place: Path) -> None:
    """Every page of every map that a client gets, while another user's calls are seen."""
    program = """
import mmap
secret = b"/nonexistent/rawtp-secret"
tracer = rawtp.Tracer(broker=sys.argv[1], ring_bytes=1 << 16)
tell("watches")
sys.stdin.readline()
delete("/nonexistent/rawtp-mine")
tracer.get(timeout=30)
maps = {}
for fd in map(int, os.listdir("/proc/self/fd")):
    try:
        with open(f"/proc/self/fdinfo/{fd}") as info:
            lines = dict(line.rstrip("\\n").split(":", 1) for line in info)
    except FileNotFoundError:
        continue
    if "map_type" in lines:
        maps[fd] = lines
with open("/proc/self/maps") as listed:
    mapped = [line.split() for line in listed if "bpf" in line]
found = {"kinds": [[int(lines["map_type"]), int(lines["max_entries"])] for lines in maps.values()], "seen": []}
memory = open("/proc/self/mem", "rb", 0)
writable = 0
for line in mapped:
    first, last = (int(part, 16) for part in line[0].split("-"))
    memory.seek(first)
    content = memory.read(last - first)
    found["seen"].append([secret in content, b"rawtp-mine" in content])
    if "w" in line[1]:
        writable += last - first
found["writable_pages"] = writable // mmap.PAGESIZE
found["links"] = links()
memory.close()
tracer.close()
tell(found)
"""
    with broker(package, place) as running:
        process = start(package, program, *as_user(), arguments=[running.path])
        assert process.stdout is not None
        assert process.stdout.readline() == '"watches"\n'
        told(package, "[delete('/nonexistent/rawtp-secret') for _ in range(100)]; tell(1)", *as_user(OTHER))
        told(package, "[delete('/nonexistent/rawtp-secret') for _ in range(100)]; tell(1)")
        out, error = process.communicate("\n", timeout=HANG_S)
        assert (process.returncode, error) == (0, "")
        found = json.loads(out)
        # The drain thread has the ring, mapped: no descriptor of another map is left.
        assert found["kinds"] == [[27, 1 << 16]]
        assert len(found["seen"]) == 4  # consumer, producer and data, counters, switch
        assert not any(secret for secret, _ in found["seen"])
        assert any(mine for _, mine in found["seen"])
        assert found["writable_pages"] == 2  # the consumer's, and the switch
        assert found["links"] == 0


def test_the_counters_are_frozen(package: Path, place: Path) -> None:
    """A client of its own making, that keeps the descriptors."""
    program = """
import mmap
from rawtp import _by_broker, _core
request = dict(syscalls=["unlink"], results=False, fields=["pid"], pid=None, follow=False, uid=None, comm=None,
               cgroup=None, path=None, exclude_self=False, hook="auto", ring_bytes=1 << 16)
(slots, coverage, (ring, counters, switch), kept, meters), connection = _by_broker.obtain(sys.argv[1], request)
def mapped(fd, protection):
    try:
        mmap.mmap(fd, mmap.PAGESIZE, prot=protection).close()
    except PermissionError:
        return False
    return True
both = mmap.PROT_READ | mmap.PROT_WRITE
tell([mapped(counters, mmap.PROT_READ), mapped(counters, both), mapped(switch, both), len(kept)])
for fd in (ring, counters, switch, *meters, connection):
    os.close(fd)
"""
    with broker(package, place) as running:
        assert client(package, running, program) == [True, False, True, 0]


@pytest.mark.parametrize(
    ("options", "asked", "refused"),
    [
        ([], f"uid=[os.getuid(), {OTHER}]", f"this broker shows user {NOBODY} their own calls only, not those of user"),
        ([], "uid=0", f"this broker shows user {NOBODY} their own calls only, not those of user 0"),
        (["--max-ring-bytes", "65536"], "ring_bytes=1 << 17", "a ring has at most 65536 bytes here, not 131072"),
        ([], "uid=os.getuid()", None),
        (["--allow", "all"], "uid=0", None),
    ],
)
def test_what_is_granted(package: Path, place: Path, options: list[str], asked: str, refused: str | None) -> None:
    with broker(package, place, *options) as running:
        found = client(package, running, f"tell(attempt(broker=sys.argv[1], {asked}))")
        if refused is None:
            assert found is None
        else:
            kind, text = found
            assert (kind, text[: len(refused)]) == ("PermissionError", refused)
            line = running.log()[-1]
            assert line.startswith(f"refuse uid={NOBODY} pid=")
            assert line.endswith(f" why={text!a}")


def test_who_is_not_in_the_group(package: Path, place: Path) -> None:
    program = "tell(attempt(broker=sys.argv[1]))"
    with broker(package, place) as running:
        assert client(package, running, program, uid=OTHER, group=OTHER) == [
            "PermissionError",
            f"[Errno 13] cannot ask the broker at {running.path}: its socket is not open to this user, but to the "
            "group nogroup",
        ]
        assert client(package, running, program, uid=OTHER) is None


def test_limits_of_a_user_and_of_all(package: Path, place: Path) -> None:
    program = """
tracers = []
def more():
    try:
        tracers.append(rawtp.Tracer(broker=sys.argv[1], ring_bytes=1 << 16))
    except PermissionError as error:
        return str(error)
found = [more(), more(), more()]
tracers.pop().close()
deadline = time.monotonic() + 60
while (again := more()) and time.monotonic() < deadline:
    pass  # the broker hears of it a moment later
found.append(again)
tell(found)
sys.stdin.readline()
"""
    with (
        broker(package, place, "--max-tracers-per-user", "2", "--max-tracers", "3") as running,
        start(package, program, *as_user(), arguments=[running.path]) as first,
    ):
        assert first.stdout is not None
        of_user = f"user {NOBODY} has 2 tracers already, as many as this broker gives to one user"
        assert json.loads(first.stdout.readline()) == [None, None, of_user, None]
        found = client(package, running, program.replace("deadline =", "tracers.clear(); deadline ="), uid=OTHER)
        of_all = "this broker has 3 tracers already, as many as it gives"
        assert found == [None, of_all, of_all, None]
        first.communicate("\n", timeout=HANG_S)


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


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (signal.SIGKILL, "the broker is gone, without a word"),
        (signal.SIGTERM, "the broker was stopped"),
    ],
)
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
            f"rawtp: the broker cannot run: [Errno 98] cannot listen at {running.path}: another broker listens there\n",
        )


def test_a_killed_client_is_detached(package: Path, place: Path) -> None:
    program = "tracer = rawtp.Tracer(broker=sys.argv[1]); tell(os.getpid()); sys.stdin.readline()"
    with broker(package, place) as running:
        process = start(package, program, *as_user(), arguments=[running.path])
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        assert any("bpf" in name for name in running.descriptors())
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not any("bpf" in name for name in running.descriptors()), "a broker that has detached")
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


def test_fifty_clients(package: Path, place: Path) -> None:
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
    with broker(package, place, "--max-tracers-per-user", "50") as running:
        clients = [start(package, program, *as_user(), arguments=[running.path]) for _ in range(50)]
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
        assert sum(line.startswith("grant ") for line in running.log()) == 50


def connected(running: Running) -> socket.socket:
    peer = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    peer.settimeout(HANG_S)
    peer.connect(running.path)
    return peer


def test_malformed_and_oversized_requests(package: Path, place: Path) -> None:
    version = json.loads(json.dumps(told(package, "tell(rawtp.__version__)")))
    good = {"rawtp": version, "syscalls": ["unlink"], "results": False, "fields": ["pid"], "pid": None}
    good |= {"follow": False, "uid": None, "comm": None, "cgroup": None, "path": None, "exclude_self": False}
    good |= {"hook": "auto", "ring_bytes": 1 << 16}
    cases = [
        (b"\x00", "RawtpError", "a message that is no JSON"),
        (b"[" * 50_000, "RawtpError", "a message that is no JSON"),
        (b"[]", "RawtpError", "a message that is no object"),
        (b"x" * 140_000, "RawtpError", "a message of more than 131072 bytes, or 0 descriptors"),
        (
            json.dumps({**good, "rawtp": "0"}).encode(),
            "RawtpError",
            f"the other side is rawtp 0, and this is {version}",
        ),
        (json.dumps({**good, "without": 1}).encode(), "RawtpError", "a request without, or with other, keys than a"),
        (json.dumps({**good, "ring_bytes": 12345}).encode(), "ValueError", "ring_bytes must be a power of two"),
        (json.dumps({**good, "ring_bytes": 1 << 40}).encode(), "PermissionError", "a ring has at most 16777216 bytes"),
        (json.dumps({**good, "syscalls": ["x"]}).encode(), "ValueError", 'unknown syscall "x": rawtp watches unlink,'),
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


def test_a_kernel_with_the_flaw(package: Path, place: Path) -> None:
    """Which this one has not: a package that finds it all the same."""
    attempt = "tell(attempt(broker=sys.argv[1]))"
    with copy_of_package() as broken:
        found = broken / "rawtp" / "broker_command.py"
        source = found.read_text()
        assert "if _core._overlaps() else" in source
        found.write_text(source.replace("if _core._overlaps() else", "if not _core._overlaps() else"))
        with broker(broken, place) as running:
            kind, text = client(package, running, attempt)
            assert kind == "PermissionError"
            assert text.startswith("this kernel has CVE-2024-41009")
            assert text.endswith("who runs the broker can accept that: --accept-unpatched-kernel")
            assert told(package, attempt, arguments=[running.path]) is None  # root could do all of it without
        with broker(broken, place, "--accept-unpatched-kernel") as running:
            assert client(package, running, attempt) is None


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
