"""Signals that come at any moment of any call: a load is not refused for one, and nothing is left of an interrupted call."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

import rawtp
from support import HANG_S, SLOWER

pytestmark = pytest.mark.kernel

EACH: dict[str, str] = {
    "Tracer": "rawtp.Tracer().close()",
    "Tracer, all hooks": "rawtp.Tracer(rawtp.DELETE + rawtp.RENAME + rawtp.TRUNCATE, hook='tracepoint').close()",
    "Tracer, follow": "rawtp.Tracer(pid=os.getpid(), follow=True, comm='rm*', path='/srv/**/*.db').close()",
    "check": "assert rawtp.check().ok, rawtp.check()",
    "attempts": "assert not any(step for name, step in rawtp._core._attempts(4 << 20) if name != 'bpf')",
    "overlaps": "rawtp._core._overlaps()",
    "cost": "assert all(row.matched for row in rawtp.cost(0.05).rows)",
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
def test_a_timer_interrupts_no_load(call: str, kind: str, seconds: float) -> None:
    command = [sys.executable, "-c", WITH_TIMER, kind, str(seconds), call]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=5 * HANG_S)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


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
