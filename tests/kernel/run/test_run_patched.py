"""`rawtp.run` in a process whose standard library eventlet has patched, or something like it."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest

from helpers.support import HANG_S

pytestmark = pytest.mark.kernel

# What eventlet does, and rawtp.run has met: no poll(2), and files of pipes that do not block.
IMITATION = """
import io, os, select

del select.poll, select.epoll

def fdopen(fd, mode="r"):
    os.set_blocking(fd, False)
    return io.open(fd, mode)

os.fdopen = fdopen
ticks = [None]
"""

# Other green threads run meanwhile.
EVENTLET = """
import warnings

warnings.simplefilter("ignore")
import eventlet

eventlet.monkey_patch()
ticks = []

def tick():
    while True:
        ticks.append(None)
        eventlet.sleep(0.01)

eventlet.spawn(tick)
"""

RUN = """
import rawtp

try:
    rawtp.run(["/nonexistent/program"])
except FileNotFoundError as error:
    print(error.filename)
result = rawtp.run(["sh", "-c", "rm -f /nonexistent/rawtp-a; sleep 0.3; rm -f /nonexistent/rawtp-b; kill -9 $$"])
print(result.returncode, *(event["filename"] for event in result.events), len(ticks) > 0)
# More than a pipe takes at once.
result = rawtp.run(["sh", "-c", 'rm -f /nonexistent/$#', "sh", *["x" * 100] * 2000])
print(result.returncode, *(event["filename"] for event in result.events))
"""

SEEN = """\
/nonexistent/program
137 /nonexistent/rawtp-a /nonexistent/rawtp-b True
0 /nonexistent/2000
"""


def output(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=HANG_S, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_without_poll_and_with_files_that_do_not_block() -> None:
    assert output(IMITATION + RUN) == SEEN


def test_under_eventlet() -> None:
    if importlib.util.find_spec("eventlet") is None:
        pytest.skip("could not import 'eventlet'")
    assert output(EVENTLET + RUN) == SEEN
