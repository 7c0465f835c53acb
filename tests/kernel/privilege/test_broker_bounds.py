"""What a broker's clients can take, keep and learn, at most."""

from __future__ import annotations

import ctypes
import fcntl
import os
import resource
import signal
import socket
import struct
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import rawtp
from helpers.brokers import OTHER, WATCH, Running, broker, client, env
from helpers.support import HANG_S, SLOWER, wait_for
from helpers.unprivileged import NOBODY, as_user, python, start, told
from rawtp import _core
from rawtp._privilege import limits, protocol

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(300 * SLOWER)]

OBTAIN = """
from rawtp._privilege import broker_client, protocol
request = dict(kind="tracer", syscalls=["unlink"], results=True, fields=["pid"], pid=None, follow=False,
               uid=None, comm=None, cgroup=None, path=None, exclude_self=False, from_exec=False, hook="auto",
               are_all=False, when="loss", buffers=0, ring_bytes=1 << 16)
def obtain():
    (slots, coverage, maps, links, meters), connection = broker_client.obtain(sys.argv[1], request)
    return maps, meters, connection
"""


def connected(running: Running) -> socket.socket:
    peer = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    peer.settimeout(HANG_S)
    peer.connect(running.path)
    return peer


def test_the_log_of_one_users_refusals_is_short(package: Path, place: Path) -> None:
    with broker(package, place) as running:
        for number in range(2000):
            with connected(running) as peer:
                peer.send(b"\xff" * 4000)
                assert b"a message that is no JSON" in peer.recv(1 << 16), number
        log = running.log()
    refusals = [line for line in log if line.startswith("refuse uid=0 ")]
    assert len(refusals) == 10
    assert all(line.endswith(" why='a message that is no JSON'") for line in refusals)
    end = (place / "log").read_text().splitlines()
    assert end[-2:] == ["rawtp: and 1,990 more refusals of uid 0 in 60 s", "rawtp: broker: stopped"]


def test_a_reader_of_its_log_who_stops_holds_up_nobody(package: Path, place: Path) -> None:
    """Not one byte finds a place there."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    os.write(writer, b"x" * 4096)
    path = str(place / "socket")
    process = subprocess.Popen(
        [python(), "-m", "rawtp", "broker", "--socket", path, "--group", "nogroup"],
        env=env(package),
        stderr=writer,
        cwd="/",
    )
    os.close(writer)
    try:
        wait_for(lambda: os.access(path, os.F_OK), "a socket")
        for _ in range(3):
            found = told(package, WATCH, *as_user(), arguments=[path])
            assert found["final"] == [1001, 1001, 0, 0, True]
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=HANG_S) == 0
        assert not os.path.lexists(path)
        assert os.read(reader, 1 << 16) == b"x" * 4096
    finally:
        process.kill()
        process.wait()
        os.close(reader)


def test_what_tells_of_a_program_never_tells_of_another(package: Path, place: Path) -> None:
    keeps = (
        OBTAIN
        + """
def read(meter):
    try:
        return os.pread(meter, 4096, 0).decode()
    except OSError as error:
        return type(error).__name__
maps, meters, connection = obtain()
before = [read(meter).count("recursion_misses") for meter in meters]
protocol.close([*maps, connection])
tell(before)
sys.stdin.readline()
tell([read(meter) for meter in meters])
"""
    )
    with broker(package, place) as running:
        process = start(package, keeps, *as_user(), arguments=[running.path])
        assert process.stdout is not None
        before = process.stdout.readline()
        assert before in ("[1, 1]\n", "[1, 1, 1, 1]\n", "[1, 1, 1]\n")
        wait_for(lambda: running.has_logged("why='the client went'"), "an end")
        others = (
            OBTAIN
            + "held = [obtain() for _ in range(8)]; tell([len(meters) for _, meters, _ in held]); sys.stdin.readline()"
        )
        with start(
            package, others, *as_user(OTHER)[:2], f"--regid={NOBODY}", *as_user(OTHER)[3:], arguments=[running.path]
        ) as other:
            assert other.stdout is not None
            assert other.stdout.readline() == str([before.count("1")] * 8) + "\n"
            out, error = process.communicate("\n", timeout=HANG_S)
            assert error == ""
            assert set(out.strip().strip("[]").replace('"', "").split(", ")) <= {
                "FileNotFoundError",
                "ProcessLookupError",
            }
            other.communicate("\n", timeout=HANG_S)


@pytest.mark.parametrize("kept", ["descriptors", "a mapping"])
@pytest.mark.slow
def test_rings_that_clients_keep_count_like_tracers(package: Path, place: Path, kept: str) -> None:
    """One after another, they would be all of the memory."""
    keeps = (
        OBTAIN
        + """
import mmap
kept, connections = [], []
for _ in range(2):
    maps, meters, connection = obtain()
    protocol.close(meters)
    connections.append(connection)
    if sys.argv[2] == "descriptors":
        kept.append(maps)
    else:
        kept.append(mmap.mmap(maps[0], mmap.PAGESIZE, prot=mmap.PROT_READ))
        protocol.close(maps)
protocol.close(connections)
found = [attempt(broker=sys.argv[1], ring_bytes=1 << 16)]
tell(found)
sys.stdin.readline()
for maps in kept:
    if sys.argv[2] == "descriptors":
        protocol.close(maps)
    else:
        maps.close()
tell([attempt(broker=sys.argv[1], ring_bytes=1 << 16)])
"""
    )
    with broker(package, place, "--max-tracers-per-user", "2", "--max-tracers", "3") as running:
        process = start(package, keeps, *as_user(), arguments=[running.path, kept])
        assert process.stdout is not None
        reason = (
            f"user {NOBODY} has 0 tracers, and holds the rings of 2 that have ended: together as many as this broker "
            "gives to one user"
        )
        assert process.stdout.readline() == f'[["PermissionError", "{reason}"]]\n'
        more = "first = rawtp.Tracer(broker=sys.argv[1], ring_bytes=1 << 16); tell(attempt(broker=sys.argv[1]))"
        assert client(package, running, more, uid=OTHER) == [
            "PermissionError",
            "this broker has 1 tracers, and rings of 2 that have ended are still held: together as many as it gives",
        ]
        out, error = process.communicate("\n", timeout=HANG_S)
        assert (out, error) == ("[null]\n", "")


def test_a_tracer_after_another_needs_no_patience_of_the_client(package: Path, place: Path) -> None:
    """The kernel frees a ring some time after its end: the next request waits for that."""
    program = "tell([attempt(broker=sys.argv[1], ring_bytes=1 << 16) for _ in range(10)])"
    with broker(package, place, "--max-tracers-per-user", "1", "--max-tracers", "1") as running:
        assert client(package, running, program) == [None] * 10


def test_as_many_tracers_as_it_says(package: Path, place: Path) -> None:
    count = 70 if SLOWER == 1 else 12
    program = (
        OBTAIN
        + """
held = [obtain() for _ in range(int(sys.argv[2]))]
try:
    obtain()
except PermissionError as error:
    tell(str(error))
"""
    )
    with broker(package, place, "--max-tracers", str(count), "--max-tracers-per-user", str(count)) as running:
        found = told(package, program, *as_user(), arguments=[running.path, str(count)])
        assert found == f"user {NOBODY} has {count} tracers already, as many as this broker gives to one user"


def test_without_room_for_that_many_it_does_not_start(package: Path, place: Path) -> None:
    """A user of its own, who may not raise the limit."""
    limited = ["prlimit", "--nofile=600:600", "setpriv", f"--reuid={OTHER}", "--regid=65534", "--clear-groups"]
    done = subprocess.run(
        [*limited, "--inh-caps=-all", python(), "-m", "rawtp", "broker", "--socket", str(place / "socket")],
        env=env(package),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (
        1,
        "rawtp: the broker cannot run: that many tracers take 1920 descriptors, and this process may open 600: lower "
        "--max-tracers, or raise the limit (ulimit -Hn; LimitNOFILE= in a unit)\n",
    )


def test_out_of_descriptors_it_says_so_once_and_goes_on(package: Path, place: Path) -> None:
    with broker(package, place) as running, ExitStack() as stack:
        pid = running.process.pid
        there = stack.enter_context(connected(running))
        # It is served while no descriptor is left for others.
        wait_for(lambda: running.descriptors().count("socket") >= 4, "a connection")
        limit = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, limit[1]))
        waits = start(package, "tell(attempt(broker=sys.argv[1]))", *as_user(), arguments=[running.path])
        wait_for(lambda: running.has_logged("cannot accept"), "a line")
        there.send(b"\x00")
        assert b"a message that is no JSON" in there.recv(1 << 16)
        time.sleep(2.5)
        assert waits.poll() is None
        resource.prlimit(pid, resource.RLIMIT_NOFILE, limit)
        out, error = waits.communicate(timeout=HANG_S)
        assert (out, error) == ("null\n", "")
        assert [line for line in running.log() if "cannot accept" in line] == [
            "cannot accept clients: Too many open files; it is tried again every 1 s"
        ]


def test_a_client_who_waits_hears_of_the_stop(package: Path, place: Path) -> None:
    with broker(package, place) as running, connected(running) as peer:
        wait_for(lambda: running.descriptors().count("socket") >= 4, "a connection")
        running.process.send_signal(signal.SIGTERM)
        assert b'"error":"RawtpError","message":"the broker was stopped"' in peer.recv(1 << 16)
        running.process.wait(timeout=HANG_S)


def memory_of(programs: list[int], ring_bytes: int) -> int:
    """The kernel memory of programs and of their maps but the ring, as fdinfo has it."""
    libc = ctypes.CDLL(None, use_errno=True)
    call = 321 if os.uname().machine == "x86_64" else 280

    def bpf(command: int, attributes: bytes) -> int:
        room = ctypes.create_string_buffer(attributes + bytes(128 - len(attributes)))
        done: int = libc.syscall(call, command, room, 128)
        assert done >= 0, os.strerror(ctypes.get_errno())
        return done

    def lines(descriptor: int) -> dict[str, str]:
        text = Path(f"/proc/self/fdinfo/{descriptor}").read_text()
        return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)

    ids: set[int] = set()
    for program in programs:  # BPF_OBJ_GET_INFO_BY_FD of struct bpf_prog_info: nr_map_ids and map_ids
        room = (ctypes.c_uint32 * 64)()
        info = ctypes.create_string_buffer(struct.pack("52xIQ", 64, ctypes.addressof(room)) + bytes(192))
        bpf(15, struct.pack("IIQ", program, len(info), ctypes.addressof(info)))
        (count,) = struct.unpack_from("I", info, 52)
        ids.update(room[:count])
    total = sum(int(lines(program)["memlock"]) for program in programs)
    for number in ids:  # BPF_MAP_GET_FD_BY_ID
        descriptor = bpf(14, struct.pack("I", number))
        total += int(lines(descriptor)["memlock"])
        os.close(descriptor)
    return total - ring_bytes


@pytest.mark.parametrize(
    "filters",
    [
        {"pid": [1], "follow": True, "fields": (*rawtp.ALL_FIELDS, *rawtp.OPT_IN_FIELDS)},
        {"path": ["/x/**/*.db", "/y"], "owner": 0},
    ],
)
def test_a_tracer_takes_no_more_than_is_reckoned_for_it(filters: dict[str, Any]) -> None:
    asked: dict[str, Any] = {
        "tell_cgroups": True,
        "pid": None,
        "follow": False,
        "from_exec": False,
        "uid": [1],
        "comm": ["x*"],
        "cgroup": None,
        "path": None,
    }
    calls = rawtp.LOSS
    asked |= {
        "syscalls": calls,
        "are_all": False,
        "results": True,
        "fields": rawtp.ALL_FIELDS,
        "hook": "auto",
        "when": "loss",
        "buffers": 0,
        "without": None,
        "owner": None,
        **filters,
    }
    _, _, maps, links, programs = _core._load(**asked, ring_bytes=1 << 20)
    try:
        found = memory_of(programs, 1 << 20)
    finally:
        protocol.close([*maps, *links, *programs])
    assert 1 << 19 < found <= limits.state_bytes()
