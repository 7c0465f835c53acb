"""Signals at any moment of any call: no load is refused for one, and nothing is left of a call that was interrupted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from helpers.brokers import broker
from helpers.support import HANG_S, SLOWER, hook_refusal

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.kernel


def with_other_hook(source: str) -> str:
    """With the hook that ``"auto"`` does not take here, if the kernel has one."""
    return source.replace("OTHER", repr("raw_tp" if hook_refusal("tracepoint") else "tracepoint"))


EACH: dict[str, str] = {
    "Tracer": "rawtp.Tracer().close()",
    "Tracer, other hook": "rawtp.Tracer(rawtp.LOSS, hook=OTHER).close()",
    "Tracer, follow": "rawtp.Tracer(pid=os.getpid(), follow=True, comm='rm*', path='/srv/**/*.db').close()",
    "check": "assert rawtp.check().ok, rawtp.check()",
    "attempts": "assert not any(step for name, step in rawtp._core._attempts(4 << 20) if name != 'bpf')",
    "overlaps": "rawtp._core._overlaps()",
    "cost": "assert rawtp.cost(0.05)['rawtp'].matched",
    "run": "assert rawtp.run(['rm', '-f', '/nonexistent/rawtp-signal']).returncode == 0",
}

WITH_TIMER = """
import os, signal, sys, rawtp
kind, seconds, call = sys.argv[1], float(sys.argv[2]), sys.argv[3]
kind, number = {"real": (signal.ITIMER_REAL, signal.SIGALRM), "prof": (signal.ITIMER_PROF, signal.SIGPROF)}[kind]
seen = calls = 0
def count(*_):
    global seen
    seen += 1
signal.signal(number, count)
signal.setitimer(kind, seconds, seconds)
while calls < 5 or seen < 5:
    exec(call)
    calls += 1
signal.setitimer(kind, 0)
"""


@pytest.mark.parametrize("call", EACH.values(), ids=EACH)
@pytest.mark.parametrize(("kind", "seconds"), [("real", 0.004), ("real", 0.001), ("prof", 0.004)])
@pytest.mark.slow
def test_a_timer_interrupts_no_load(call: str, kind: str, seconds: float) -> None:
    command = [sys.executable, "-c", WITH_TIMER, kind, str(seconds), with_other_hook(call)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=5 * HANG_S)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.slow
def test_no_stop_is_taken_for_a_rejection() -> None:
    """A SIGSTOP cannot be blocked. Where loads are repeated in vain, because of too many, that is what is said."""
    source = """
import json, rawtp
print("ready", flush=True)
failed = []
for _ in range(10):
    try:
        rawtp.Tracer().close()
    except OSError as error:
        failed.append([type(error).__name__, error.errno, error.strerror])
print(json.dumps(failed))
"""
    failures = []
    for pause_s in (0.02, 0.001):
        with subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            deadline = time.monotonic() + 5 * HANG_S
            while process.poll() is None and time.monotonic() < deadline:
                process.send_signal(signal.SIGSTOP)
                process.send_signal(signal.SIGCONT)
                time.sleep(pause_s * SLOWER)
            assert process.returncode == 0
            failures.append(json.loads(process.stdout.read()))
    text = (
        "loading the BPF programs was interrupted again and again (SIGSTOP, a debugger, a cgroup's freezer): "
        "try it again: Resource temporarily unavailable (os error 11)"
    )
    assert failures[0] == []
    assert all(failure == ["BlockingIOError", 11, text] for failure in failures[1]), failures


def test_ctrl_c_ends_a_load() -> None:
    """It waits until the programs are loaded, and no longer."""
    source = """
import rawtp
print("ready", flush=True)
while True:
    rawtp.Tracer().close()
"""
    for number in range(20):
        command = [sys.executable, "-c", source]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            time.sleep(0.003 * number)
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=HANG_S)
        assert process.returncode == -signal.SIGINT
        assert err.endswith("KeyboardInterrupt\n")


def test_the_mask_of_signals_is_as_before() -> None:
    """That of the thread and that of a command, whatever was blocked; and also after a load that failed."""
    source = """
import signal, rawtp
def mask():
    return signal.pthread_sigmask(signal.SIG_BLOCK, ())
for blocked in (set(), {signal.SIGUSR1, signal.SIGALRM}):
    signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    rawtp.Tracer().close()
    assert mask() == blocked
    try:
        rawtp._core._load_rejected()
    except rawtp.LoadError:
        pass
    assert mask() == blocked
    rawtp.check()
    assert rawtp.run(["grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"]).returncode == 0
    assert mask() == blocked
"""
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    bits = sum(1 << (number - 1) for number in (signal.SIGUSR1, signal.SIGALRM))
    lines = [line.split() for line in done.stdout.splitlines()]
    assert [(name, int(value, 16)) for name, value in lines if name == "SigBlk:"] == [("SigBlk:", 0), ("SigBlk:", bits)]


def test_a_handler_of_faults_still_runs() -> None:
    """A sandbox that answers bpf(2) by SIGSYS, for one: with that blocked, the kernel would kill the process."""
    source = """
import signal, threading, rawtp
faults = {signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGTRAP, signal.SIGSYS}
tracer = rawtp.Tracer()
from pathlib import Path
for task in Path("/proc/self/task").iterdir():
    try:
        text = task.joinpath("status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        continue
    lines = dict(line.split(":", 1) for line in text.splitlines())
    print(lines["Name"].strip(), *(int(lines["SigBlk"], 16) >> (number - 1) & 1 for number in sorted(faults)))
    print(int(lines["SigBlk"], 16) >> (signal.SIGINT - 1) & 1)
"""
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    (main, of_main), *ours = zip(lines[::2], lines[1::2], strict=True)
    assert (main.split()[1:], of_main) == (["0"] * 6, "0")
    assert ("rawtp-drain" + " 0" * 6, "1") in ours
    # A thread that loaded is joined before the kernel has taken it out of the list. One that reads mounts starts
    # with the first process of another namespace.
    assert {*ours} <= {(name + " 0" * 6, "1") for name in ("rawtp-drain", "rawtp-load", "rawtp-mounts")}


INTERRUPTED = """
import json, os, random, signal, sys, time, rawtp
prepare, call, longest_s, times, seed = sys.argv[1], sys.argv[2], *map(float, sys.argv[3:6])
call = compile(call, "call", "exec")
chance = random.Random(seed)
armed = False

class Interrupt(Exception):
    pass

def interrupt(*_):
    if armed:
        raise Interrupt

signal.signal(signal.SIGALRM, interrupt)

def unraisable(what):
    # Python raises nothing out of a __del__, also not what the handler raised in it.
    if what.exc_type is not Interrupt:
        sys.__unraisablehook__(what)

sys.unraisablehook = unraisable

def delete():
    try:
        os.unlink("/nonexistent/rawtp-signal")
    except OSError:
        pass

def held():
    fds, tasks = len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))
    children = open("/proc/self/task/%d/children" % os.getpid()).read().split()
    return fds, tasks, children

def settled(expected):
    end = time.monotonic() + 10
    while (found := held()) != expected and time.monotonic() < end:
        time.sleep(0.01)
    return found

def once():
    global armed
    exec(prepare, names)
    try:
        armed = True
        signal.setitimer(signal.ITIMER_REAL, chance.uniform(1e-6, longest_s))
        exec(call, names)
        armed = False
    except Interrupt:
        return True
    finally:
        armed = False
        signal.setitimer(signal.ITIMER_REAL, 0)
    return False

names = {"os": os, "rawtp": rawtp, "delete": delete, "time": time}
interrupted = 0
for _ in range(3):
    interrupted += once()
names.pop("tracer", None)
before = held()
while interrupted < times:
    interrupted += once()
left = names.pop("tracer", None)
del left
print(json.dumps([before, settled(before)]))
"""

TIMES = int(os.environ.get("RAWTP_INTERRUPTS", "0" if SLOWER == 1 else "10"))
"""How often each call is interrupted; 0: as often as takes some seconds."""

OPEN = """
tracer = globals().get("tracer") or rawtp.Tracer(pid=os.getpid())
delete()
"""
# What comes before, the call, the longest time until the signal, how often.
CALLS: dict[str, tuple[str, str, float, int]] = {
    "Tracer": ("", "tracer = rawtp.Tracer()", 0.03, 40),
    "Tracer, other hook": ("", "rawtp.Tracer(hook=OTHER, pid=1, follow=True)", 0.03, 30),
    "with": ("", "with rawtp.Tracer(): pass", 0.05, 40),
    "get": (OPEN, "tracer.get(0.001)", 1e-4, 1000),
    "get, waiting": (OPEN, "tracer.get(); tracer.get()", 0.001, 1000),
    "get_many": (OPEN, "tracer.get_many(timeout=0.001)", 1e-4, 1000),
    "get_many, waiting": (OPEN, "tracer.get_many(); tracer.get_many()", 0.001, 1000),
    "batch": (OPEN, "tracer.batch(timeout=0.001)", 2e-4, 1000),
    "batch, waiting": (OPEN, "tracer.batch(); tracer.batch()", 0.001, 1000),
    "to_arrow": (OPEN, "tracer.to_arrow(0.01)", 0.005, 1000),
    "iteration": (OPEN, "for event in tracer: pass", 0.001, 1000),
    "stats": (OPEN, "for _ in range(100): tracer.stats()", 5e-4, 1000),
    "close": ("tracer = rawtp.Tracer(pid=os.getpid())", "tracer.close()", 0.02, 40),
    "run": ("", "rawtp.run(['rm', '-f', '/nonexistent/rawtp-signal'])", 0.1, 40),
    "check": ("", "rawtp.check()", 0.06, 40),
    "cost": ("", "rawtp.cost(0.05)", 0.1, 40),
}


@pytest.mark.parametrize(("prepare", "call", "longest_s", "times"), CALLS.values(), ids=CALLS)
@pytest.mark.slow
def test_nothing_is_left_of_an_interrupted_call(prepare: str, call: str, longest_s: float, times: int) -> None:
    """No descriptor, no thread, and no process, of calls that were interrupted at random moments."""
    numbers = [str(longest_s * SLOWER), str(TIMES or times), str(time.time_ns())]
    command = [sys.executable, "-c", INTERRUPTED, prepare, with_other_hook(call), *numbers]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30 * HANG_S)
    assert (done.returncode, done.stderr) == (0, "")
    before, after = json.loads(done.stdout)
    assert after == before


@pytest.mark.parametrize("call", ["get_many(timeout=0)", "batch(timeout=0)", "to_arrow(0.002)", "get(0.001)"])
def test_the_ledger_is_exact_after_interrupted_calls(call: str) -> None:
    """What an exception took away was counted as discarded: no event is lost without a word."""
    source = f"""
import os, random, signal, rawtp
chance, armed, made, got = random.Random(1), False, 0, 0
class Interrupt(Exception):
    pass
def interrupt(*_):
    if armed:
        raise Interrupt
signal.signal(signal.SIGALRM, interrupt)
with rawtp.Tracer(pid=os.getpid()) as tracer:
    for _ in range(1000):
        for _ in range(20):
            try:
                os.unlink("/nonexistent/rawtp-signal")
            except OSError:
                made += 1
        try:
            armed = True
            signal.setitimer(signal.ITIMER_REAL, chance.uniform(1e-6, 2e-4))
            tracer.{call}
            armed = False
        except (Interrupt, TimeoutError):
            pass
        finally:
            armed = False
            signal.setitimer(signal.ITIMER_REAL, 0)
    rest = len(tracer.get_many(10**6, timeout=0))
    stats = tracer.stats()
    assert stats.buffered == stats.pending == stats.lost_ring == 0, stats
    assert stats.delivered + stats.discarded == made, (stats, made)
    assert stats.delivered >= rest
"""
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=False, timeout=HANG_S)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


AT_THE_WORST = """
import importlib, json, os, signal, sys, time, rawtp, rawtp._privilege.broker_client
target, call = sys.argv[1:]
module, _, name = target.rpartition(".")
module = importlib.import_module(module)
original = getattr(module, name)

class Interrupt(Exception):
    pass

def interrupt(*_):
    raise Interrupt

def interrupted(*arguments, **options):
    made = original(*arguments, **options)
    os.kill(os.getpid(), signal.SIGALRM)
    return made

def held():
    found = [f"/proc/self/fd/{fd}" for fd in os.listdir("/proc/self/fd")]
    # That of the directory is gone by then.
    fds = sorted(os.readlink(fd).partition(":[")[0] for fd in found if os.path.lexists(fd))
    children = open("/proc/self/task/%d/children" % os.getpid()).read().split()
    return fds, children

signal.signal(signal.SIGALRM, interrupt)
exec(call)
before = held()
setattr(module, name, interrupted)
try:
    exec(call)
except Interrupt:
    setattr(module, name, original)
    end = time.monotonic() + 10
    while (after := held()) != before and time.monotonic() < end:
        time.sleep(0.01)
    print(json.dumps([before, after, list(signal.pthread_sigmask(signal.SIG_BLOCK, ()))]))
"""
"""The signal comes at the moment at which a call has given something that nobody owns yet."""


@pytest.mark.parametrize("target", ["os.pipe", "os.pidfd_open", "subprocess.Popen"])
def test_the_worst_moment_of_a_command(target: str) -> None:
    command = [sys.executable, "-c", AT_THE_WORST, target, "rawtp.run(['true'])"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=HANG_S)
    assert (done.returncode, done.stderr) == (0, "")
    before, after, blocked = json.loads(done.stdout)
    assert (after, blocked) == (before, [])


def test_the_worst_moment_of_a_request(package: Path, place: Path) -> None:
    """A broker's answer brings descriptors, which come to the client as bare numbers."""
    with broker(package, place) as running:
        call = f"rawtp.Tracer(broker={running.path!r}).close()"
        command = [sys.executable, "-c", AT_THE_WORST, "rawtp._privilege.protocol.receive", call]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=HANG_S)
        assert (done.returncode, done.stderr) == (0, "")
        before, after, blocked = json.loads(done.stdout)
        assert (after, blocked) == (before, [])


@pytest.mark.slow
def test_nothing_is_left_of_an_interrupted_request(package: Path, place: Path) -> None:
    """A broker's answer brings descriptors, which come to the client as bare numbers. It checks by itself that it holds
    nothing of its clients in the end."""
    with broker(package, place) as running:
        call = f"rawtp.Tracer(broker={running.path!r}).close()"
        command = [sys.executable, "-c", INTERRUPTED, "", call, str(0.05 * SLOWER), str(TIMES or 150), "1"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30 * HANG_S)
        assert (done.returncode, done.stderr) == (0, "")
        before, after = json.loads(done.stdout)
        assert after == before
        source = f"""
import signal, rawtp
for _ in range(2):
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == set()
    rawtp.Tracer(broker={running.path!r}).close()
"""
        subprocess.run([sys.executable, "-c", source], check=True)
