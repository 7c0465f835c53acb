"""``broker=``, as nobody without capabilities: what is granted to whom."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from helpers.brokers import OTHER, WATCH, broker, client, env
from helpers.support import HANG_S, SLOWER, wait_for
from helpers.unprivileged import NOBODY, PRELUDE, as_user, copy_of_package, python, start, told

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(300 * SLOWER)]


def test_events_and_ledger(package: Path, place: Path) -> None:
    with_root = told(package, WATCH.replace("broker=sys.argv[1], ", ""))
    with broker(package, place) as running:
        found = client(package, running, WATCH)
        assert found["coverage"] == {**with_root["coverage"], "cgroup_changes": None}
        # What the kernel has to say of the hook comes behind it.
        reason = with_root["reason"]
        limit = f"the broker shows the calls of user {NOBODY} only"
        assert found["reason"] == (f"{limit}; {reason}" if reason else limit)
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
# A path of another process may be unknown, and then comes too.
events = [event for event in events if (event[1] or "").startswith("/nonexistent/rawtp-own")]
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


FORKED = (
    PRELUDE
    + """
import ctypes
libc = ctypes.CDLL(None)
def done(name, change):
    if not (pid := os.fork()):
        change()
        delete(f"/nonexistent/rawtp-own/{name}")
        os._exit(0)
    os.waitpid(pid, 0)
user = int(sys.argv[1])
done("own", lambda: os.setresuid(user, user, user))
done("dropped", lambda: os.setresuid(user, user, 0))
done("setuid", lambda: os.setresuid(user, 0, 0))
done("setuid-by-its-own-right", lambda: (os.setresuid(user, 0, 0), libc.setfsuid(user)))
done("daemon", lambda: os.setresuid(0, user, 0))
done("file-server", lambda: libc.setfsuid(user))
"""
)


@pytest.mark.parametrize("named", ["", "uid=os.getuid(), "])
def test_own_is_who_acts_for_the_user_alone(package: Path, place: Path, named: str) -> None:
    """By any of its ids the filter finds a process; the broker shows only what has no other's."""
    with broker(package, place) as running:
        sees = SEES.replace("ring_bytes=", f"{named}ring_bytes=")
        process = start(package, sees, *as_user(), arguments=[running.path])
        assert process.stdout is not None
        assert process.stdout.readline() == '"watches"\n'
        subprocess.run([python(), "-c", FORKED, str(NOBODY)], check=True, env=env(package))
        out, error = process.communicate("\n", timeout=HANG_S)
        assert (process.returncode, error) == (0, "")
        events, is_exact = json.loads(out)
        assert is_exact
        assert [Path(name).name for _, name in events] == ["own", "dropped", str(NOBODY)]


CHAIN = """
import subprocess
fields = ("pid", "ppid", "parent_argv", "ancestors", "cwd", "user", "filename")
with rawtp.Tracer(broker=sys.argv[1], path="/nonexistent/rawtp-chain", fields=fields, ring_bytes=1 << 16) as tracer:
    script = "cd /; (unlink /nonexistent/rawtp-chain/a; true) & :"
    shell = subprocess.Popen(["sh", "-c", script], stderr=subprocess.DEVNULL)
    shell.wait()
    event = tracer.get(timeout=30)
ancestors = event["ancestors"]
parents = [one[1:] for one in ancestors[:2]]
with open("/proc/self/cmdline") as cmdline:
    shown = cmdline.read(1023).removesuffix("\\0").split("\\0")
own = ancestors[2][0] == os.getpid(), list(ancestors[2][2]) == shown, len(ancestors) > 3
tell([parents, own, event["parent_argv"], event["cwd"], event["user"], tracer.stats().lost_processes])
"""


@pytest.mark.parametrize("allow", ["own", "all"])
@pytest.mark.quiet_host
def test_keys_that_must_be_asked_for(package: Path, place: Path, allow: str) -> None:
    with broker(package, place, "--allow", allow) as running:
        parents, own, parent_argv, cwd, user, lost = client(package, running, CHAIN)
    shell = ["sh", "-c", "cd /; (unlink /nonexistent/rawtp-chain/a; true) & :"]
    assert parents == [["sh", shell], ["sh", shell]]
    assert (own, parent_argv, cwd, user, lost) == ([True, True, True], shell, "/", "nobody", 0)


@pytest.mark.parametrize("fields", ["rawtp.ALL_FIELDS", "(*rawtp.ALL_FIELDS, *rawtp.OPT_IN_FIELDS)"])
def test_what_is_handed_out_tells_nothing_of_others_and_cannot_be_changed(
    package: Path, place: Path, fields: str
) -> None:
    """Every page of every map that a client gets, while another user's calls are seen."""
    program = """
import mmap
secret = b"/nonexistent/rawtp-secret"
tracer = rawtp.Tracer(broker=sys.argv[1], fields=FIELDS, ring_bytes=1 << 16)
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
        process = start(package, program.replace("FIELDS", fields), *as_user(), arguments=[running.path])
        assert process.stdout is not None
        assert process.stdout.readline() == '"watches"\n'
        told(package, "[delete('/nonexistent/rawtp-secret') for _ in range(100)]; tell(1)", *as_user(OTHER))
        told(package, "[delete('/nonexistent/rawtp-secret') for _ in range(100)]; tell(1)")
        out, error = process.communicate("\n", timeout=HANG_S)
        assert (process.returncode, error) == (0, "")
        found = json.loads(out)
        # The drain thread has the ring, mapped: no descriptor of another map is left.
        assert found["kinds"] == [[27, 1 << 16]]
        assert len(found["seen"]) == 4  # consumer, producer and data, counters, live configuration
        assert not any(secret for secret, _ in found["seen"])
        assert any(mine for _, mine in found["seen"])
        assert found["writable_pages"] == 10  # the consumer's, and 9 of the live configuration
        assert found["links"] == 0


def test_the_counters_are_frozen(package: Path, place: Path) -> None:
    """A client of its own making, that keeps the descriptors."""
    program = """
import mmap
from rawtp import _core
from rawtp._privilege import broker_client
request = dict(kind="tracer", syscalls=["unlink"], results=False, fields=["pid"], pid=None, follow=False,
               uid=None, comm=None, cgroup=None, path=None, exclude_self=False, from_exec=False, hook="auto",
               are_all=False, when="loss", buffers=0, ring_bytes=1 << 16)
(slots, coverage, (ring, counters, switch), kept, meters), connection = broker_client.obtain(sys.argv[1], request)
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


def test_a_refusal_has_the_parts_of_its_message(package: Path, place: Path) -> None:
    program = """
try:
    rawtp.Tracer(broker=sys.argv[1], uid=0)
except PermissionError as error:
    tell([error.reason == (error.strerror or str(error)), error.hint, error.command])
"""
    with broker(package, place) as running:
        assert client(package, running, program) == [True, None, None]
        assert client(package, running, program, uid=OTHER, group=OTHER) == [True, None, None]


def test_a_client_of_another_pid_namespace_is_left_out_by_its_number_here(package: Path, place: Path) -> None:
    program = """
with rawtp.Tracer(broker=sys.argv[1], exclude_self=True, path="/nonexistent/rawtp-self") as tracer:
    delete("/nonexistent/rawtp-self/1")
    if not os.fork():
        delete("/nonexistent/rawtp-self/2")
        os._exit(0)
    os.wait()
names = [event["filename"] or "" for event in tracer]
tell([os.getpid(), [name for name in names if name.startswith("/nonexistent/rawtp-self")]])
"""
    with broker(package, place) as running:
        prefix = ["unshare", "-pf", "--mount-proc", *as_user()]
        assert told(package, program, *prefix, arguments=[running.path]) == [1, ["/nonexistent/rawtp-self/2"]]


def test_who_is_not_in_the_group(package: Path, place: Path) -> None:
    program = "tell(attempt(broker=sys.argv[1]))"
    with broker(package, place) as running:
        assert client(package, running, program, uid=OTHER, group=OTHER) == [
            "PermissionError",
            f"[Errno 13] cannot ask the broker at {running.path}: its socket is not open to this user, but to the "
            "group nogroup",
        ]
        assert client(package, running, program, uid=OTHER) is None


@pytest.mark.slow
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


def test_a_kernel_with_the_flaw(package: Path, place: Path) -> None:
    """Which this one has not: a package that finds it all the same."""
    attempt = "tell(attempt(broker=sys.argv[1]))"
    with copy_of_package() as broken:
        found = broken / "rawtp" / "cli" / "broker.py"
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
