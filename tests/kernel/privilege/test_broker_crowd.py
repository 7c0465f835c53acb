"""Many clients of one broker at once, and some that only take room."""

from __future__ import annotations

import json
import os
import signal
import socket
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from helpers.brokers import OTHER, Running, broker, client
from helpers.support import HANG_S, SLOWER, wait_for
from helpers.unprivileged import NOBODY, as_user, copy_of_package, start, told

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(600 * SLOWER)]

# Each makes every system call of the machine slower, and an emulated one is slow as it is.
USERS = 200 if SLOWER == 1 else 20

CROWD = """
users, path = int(sys.argv[2]), sys.argv[1]
told_in, told_out = os.pipe()
wait, go = os.pipe()
for number in range(users):
    if os.fork():
        continue
    os.setgroups([])
    os.setgid(65534)
    os.setuid(20_000 + number)
    os.close(go)
    os.read(wait, 1)  # until all are there
    try:
        with rawtp.Tracer(broker=path, ring_bytes=1 << 16, fields=["uid", "filename"]) as tracer:
            delete(f"/nonexistent/rawtp-crowd/{number}")
            found = tracer.get(timeout=60)
        found = [found["uid"], found["filename"]]
    except BaseException as error:
        found = [type(error).__name__, str(error)]
    os.write(told_out, json.dumps(found).encode() + b"\\n")
    os._exit(0)
os.close(told_out)
os.close(go)
with os.fdopen(told_in) as answers:
    tell(sorted(json.loads(line) for line in answers))
for _ in range(users):
    os.wait()
"""


@pytest.mark.slow
def test_two_hundred_users_at_once(package: Path, place: Path) -> None:
    with broker(package, place) as running:
        found = told(package, CROWD, arguments=[running.path, str(USERS)])
        # By their numbers, 20,000 and so on, as the list is sorted.
        assert found == [[20_000 + number, f"/nonexistent/rawtp-crowd/{number}"] for number in range(USERS)]
        assert sum(line.startswith("grant ") for line in running.log()) == USERS


@contextmanager
def as_euid(uid: int) -> Iterator[None]:
    """What is connected meanwhile is connected by this user."""
    os.setegid(NOBODY)
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


def silent(running: Running, uid: int) -> socket.socket:
    peer = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    peer.settimeout(HANG_S)
    with as_euid(uid):
        peer.connect(running.path)
    return peer


def test_the_65th_of_a_user_hears_why(package: Path, place: Path) -> None:
    """Each time, whether its request was on its way or not."""
    program = "tell([attempt(broker=sys.argv[1]) for _ in range(100)])"
    reason = f"user {NOBODY} has 64 connections that wait at this broker, as many as one user may have"
    with broker(package, place) as running, ExitStack() as peers:
        for _ in range(64):
            peers.enter_context(silent(running, NOBODY))
        assert client(package, running, program) == [["PermissionError", reason]] * 100
        assert client(package, running, "tell(attempt(broker=sys.argv[1]))", uid=OTHER) is None
        assert sum(line.startswith("refuse ") for line in running.log()) == 10


def test_silent_connections_of_many_users_make_room_for_who_asks(package: Path, place: Path) -> None:
    """As one person with many user ids has them: eight times as many as one user may have are all that there are."""
    with broker(package, place) as running, ExitStack() as stack:
        peers = [stack.enter_context(silent(running, 30_000 + number // 64)) for number in range(512)]
        # One of them is of a user who has fewer, and stays.
        peers[-1].close()
        other = stack.enter_context(silent(running, 40_000))
        assert client(package, running, "tell([attempt(broker=sys.argv[1]) for _ in range(3)])") == [None] * 3
        first = json.loads(peers[0].recv(1 << 16))
        assert (first["error"], first["message"]) == ("OSError", "no request came, and others needed the room")
        other.setblocking(False)
        with pytest.raises(BlockingIOError):
            other.recv(1)


FLOOD = """
import socket
kept = []
while True:
    peer = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    peer.setblocking(False)
    try:
        peer.connect(sys.argv[1])
    except BlockingIOError:
        peer.close()
        continue
    kept.append(peer)
    if len(kept) == 1:
        tell("floods")
    if len(kept) > 200:
        kept.pop(0).close()
"""


@pytest.mark.slow
def test_one_user_who_only_connects_makes_no_other_fail(package: Path, place: Path) -> None:
    program = """
found = []
for number in range(10):
    with rawtp.Tracer(broker=sys.argv[1], ring_bytes=1 << 16, fields=["filename"]) as tracer:
        delete(f"/nonexistent/rawtp-flood/{number}")
        found.append(tracer.get(timeout=60)["filename"])
tell(found)
"""
    with broker(package, place) as running, ExitStack() as stack:
        user = [part.replace("--regid=4567", f"--regid={NOBODY}") for part in as_user(4567)]
        for _ in range(2):
            flood = start(package, FLOOD, *user, arguments=[running.path])
            stack.callback(flood.communicate, timeout=HANG_S)
            stack.callback(flood.kill)
            assert flood.stdout is not None
            assert flood.stdout.readline() == '"floods"\n'
        for uid in (NOBODY, OTHER):
            found = client(package, running, program, uid=uid)
            assert found == [f"/nonexistent/rawtp-flood/{number}" for number in range(10)]
        stack.close()


def test_a_user_with_many_requests_does_not_hold_up_another_who_has_a_tracer(package: Path, place: Path) -> None:
    """Each of the requests on a connection of its own, of which there are always some."""
    many = """
import socket, threading
from rawtp._privilege import broker_client, protocol
request = dict(kind="tracer", syscalls=["unlink"], results=False, fields=["pid"], pid=None, follow=False,
               uid=None, comm=None, cgroup=None, path=None, exclude_self=False, from_exec=False, hook="auto",
               are_all=False, when="loss", buffers=0, ring_bytes=1 << 16)
def ask():
    while True:
        (_, _, maps, _, meters), connection = broker_client.obtain(sys.argv[1], request)
        protocol.close([*maps, *meters, connection])
for _ in range(4):
    threading.Thread(target=ask, daemon=True).start()
tell("asks")
sys.stdin.readline()
os._exit(0)
"""
    few = """
with rawtp.Tracer(broker=sys.argv[1], ring_bytes=1 << 16):
    for _ in range(5):
        rawtp.Tracer(broker=sys.argv[1], ring_bytes=1 << 16).close()
tell("served")
"""
    with broker(package, place) as running:
        asking = start(package, many, *as_user(), arguments=[running.path])
        assert asking.stdout is not None
        assert asking.stdout.readline() == '"asks"\n'
        wait_for(lambda: sum(line.startswith("grant ") for line in running.log()) > 10, "grants of the many")
        assert client(package, running, few, uid=OTHER) == "served"
        grants = [line.split()[1] for line in running.log() if line.startswith("grant ")]
        first = grants.index(f"uid={OTHER}")
        last = len(grants) - 1 - grants[::-1].index(f"uid={OTHER}")
        assert grants.count(f"uid={OTHER}") == 6
        # Between two of the one's turns every other has one at the most, apart from those while it does something else.
        assert last - first < 100
        _, error = asking.communicate("\n", timeout=HANG_S)
        assert error == ""


def test_a_load_that_takes_long_holds_up_neither_others_nor_the_end(package: Path, place: Path) -> None:
    """As the verifier can, for many seconds: here those of one user never end."""
    with copy_of_package() as slow:
        loads = slow / "rawtp" / "_privilege" / "loads.py"
        source = loads.read_text()
        assert source.count(" = load()\n") == 1
        never = f"time.sleep(1000) if who.uid == {NOBODY} else load()"
        loads.write_text(source.replace(" = load()\n", f" = {never}\n"))
        with broker(slow, place) as running:
            before = running.descriptors().count("socket")
            waits = [
                start(slow, "tell(attempt(broker=sys.argv[1]))", *as_user(), arguments=[running.path]) for _ in range(3)
            ]
            wait_for(lambda: running.descriptors().count("socket") == before + 3, "those who wait")
            assert (
                client(slow, running, "tell([attempt(broker=sys.argv[1]) for _ in range(3)])", uid=OTHER) == [None] * 3
            )
            running.process.send_signal(signal.SIGTERM)
            assert running.process.wait(timeout=HANG_S) == 0
            for process in waits:
                out, error = process.communicate(timeout=HANG_S)
                assert (json.loads(out), error) == (["RawtpError", "the broker was stopped"], "")
            assert running.log()[-1] == "broker: stopped"
        assert not os.path.lexists(running.path)
