"""What calls cost here: that all is measured, and nothing left behind. Never that one is faster than another."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import rawtp
from helpers.support import HANG_S
from helpers.unprivileged import python

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.kernel, pytest.mark.quiet_host]

KEYS = ["bare", "empty", "guide_raw_tp", "guide_tracepoint", "rawtp"]
CALLS_LEAST = 512
"""In a row and round: a burst to warm up, and one to measure."""


@pytest.fixture(scope="module")
def cost() -> rawtp.Cost:
    return rawtp.cost(0.1, pid=os.getpid(), fields=rawtp.BASIC_FIELDS)


def test_every_row_is_measured(cost: rawtp.Cost) -> None:
    assert [row.key for row in cost.rows] == KEYS
    assert cost.rounds == 3
    for row in cost.rows:
        if row.key == "guide_tracepoint" and row.reason:
            assert row.reason.startswith("cannot attach to the tracepoint syscalls/sys_enter_unlinkat (")
            continue
        assert row.reason is None
        for figure in (row.unmatched, row.matched):
            assert figure is not None
            assert all(math.isfinite(number) for number in (figure.ns, figure.spread_ns, figure.ratio))
            assert figure.ns > 0
            assert figure.spread_ns >= 0
            assert figure.ratio > 0
    bare = cost["bare"]
    assert bare.unmatched is not None
    assert bare.matched is not None
    assert (bare.unmatched.ratio, bare.matched.ratio) == (1.0, 1.0)


def test_the_programs_did_their_work(cost: rawtp.Cost) -> None:
    """With ``pid`` of this process, whose thread makes the calls, rawtp reports them, too."""
    assert (cost["bare"].records, cost["empty"].records) == (0, 0)
    for row in cost.rows[2:]:
        if row.reason is None:
            assert row.records + row.lost >= CALLS_LEAST * cost.rounds, row


def test_calls_that_are_left_out_are_not_reported() -> None:
    cost = rawtp.cost(0.1, pid=os.getpid(), syscalls=["rename"], results=False)
    assert cost["rawtp"].records == 0
    assert cost["guide_raw_tp"].records >= CALLS_LEAST * 3
    assert cost.notes[0] == "unlinkat is none of these syscalls: rawtp, too, passes over it"


def test_filters_that_leave_them_out_are_noted() -> None:
    cost = rawtp.cost(0.1, exclude_self=True)
    assert cost["guide_raw_tp"].records >= CALLS_LEAST * 3
    # Other processes' deletions are records, too.
    assert cost["rawtp"].records > 0 or cost.notes[0] == "rawtp's filters leave these calls out, in the kernel"


def test_a_small_queue_does_not_fill() -> None:
    cost = rawtp.cost(0.1, pid=os.getpid(), queue_bytes=65536, ring_bytes=16 << 20)
    assert cost["rawtp"].records >= CALLS_LEAST * 3


def test_nothing_is_left_behind(cost: rawtp.Cost) -> None:
    def state() -> tuple[object, object]:
        # Links, programs and maps are descriptors.
        tasks = [int(task.name) for task in Path("/proc/self/task").iterdir()]
        return set(os.listdir("/proc/self/fd")), {task: os.sched_getaffinity(task) for task in tasks}  # noqa: PTH208

    before = state()
    assert rawtp.cost(0.1).rounds == cost.rounds
    assert state() == before


class Interrupted(Exception):  # noqa: N818
    pass


@pytest.fixture
def alarm() -> Iterator[None]:
    def interrupt(*_: object) -> None:
        raise Interrupted

    before = signal.signal(signal.SIGALRM, interrupt)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def test_a_signal_ends_it(alarm: None) -> None:
    threads = len(list(Path("/proc/self/task").iterdir()))
    signal.setitimer(signal.ITIMER_REAL, 0.7)
    with pytest.raises(Interrupted):
        rawtp.cost(3600)
    assert len(list(Path("/proc/self/task").iterdir())) == threads


def test_other_threads_run_meanwhile() -> None:
    done = threading.Event()
    ticks = 0

    def tick() -> None:
        nonlocal ticks
        while not done.wait(0.001):
            ticks += 1

    thread = threading.Thread(target=tick)
    thread.start()
    try:
        rawtp.cost(0.1)
    finally:
        done.set()
        thread.join()
    # Held for each of the 15 turns, the GIL would be had between them at the most.
    assert ticks > 15


def test_who_else_is_attached_is_said(own: rawtp.Tracer) -> None:
    cost = rawtp.cost(0.1)
    prefix = "attached by others meanwhile, and part of every figure: "
    assert any(note.startswith(prefix + "sys_enter, by the BPF program ") for note in cost.notes)
    assert own.coverage["syscalls"]["hook"]


@pytest.mark.parametrize("seconds", [0, -1.0, math.nan, math.inf, 3600.5])
def test_wrong_seconds(seconds: float) -> None:
    with pytest.raises(ValueError, match=r"^seconds must be a number above 0 and at most 3600, not "):
        rawtp.cost(seconds)


def test_wrong_options_are_the_tracers_errors() -> None:
    wrong: list[tuple[dict[str, Any], type[Exception], str]] = [
        ({"seconds": "3"}, TypeError, "^seconds must be a number above 0 and at most 3600, not str$"),
        ({"syscalls": ["unlnk"]}, ValueError, '^no system call of this machine is named "unlnk"'),
        (
            {"syscalls": "unlink"},
            TypeError,
            r'^syscalls must be an iterable of names, not a str: \["unlink"\], rawtp.DELETE, rawtp.LOSS or '
            r'rawtp.FILE_CHANGES; or one of the words "delete", "rename", .* and "all"$',
        ),
        ({"fields": "pid"}, TypeError, "^fields must be an iterable of names, not a str$"),
        ({"fields": 7}, TypeError, "^fields must be an iterable of names, not int$"),
        ({"hook": "kprobe"}, ValueError, "^hook must be "),
        ({"pid": 0}, ValueError, "^pid must be a process id"),
        ({"colour": 1}, TypeError, "colour"),
    ]
    for options, error, message in wrong:
        with pytest.raises(error, match=message):
            rawtp.cost(**options)


def test_command() -> None:
    command = [sys.executable, "-m", "rawtp", "cost", "--seconds", "0.1", "--json", "-p", str(os.getpid())]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=HANG_S)
    assert (done.returncode, done.stderr) == (0, "")
    shown = json.loads(done.stdout)
    assert [row["key"] for row in shown["rows"]] == KEYS
    assert shown["notes"][0] == f"rawtp watches process {os.getpid()} only: it leaves these calls out, in the kernel"


@pytest.mark.parametrize("capabilities", ["", "+bpf,+perfmon"])
def test_what_a_user_may_measure(capabilities: str, package: Path) -> None:
    """Without capabilities nothing; without root no tracefs, and so all but the tracepoint."""
    grants = ["--inh-caps", capabilities, "--ambient-caps", capabilities] if capabilities else ["--inh-caps=-all"]
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs", *grants]
    done = subprocess.run(
        [*nobody, python(), "-m", "rawtp", "cost", "--seconds", "0.1", "--json"],
        env={**os.environ, "PYTHONPATH": str(package), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=HANG_S,
        cwd=package,
    )
    if not capabilities:
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("rawtp: loading BPF programs needs CAP_BPF and CAP_PERFMON (root has both); ")
        assert done.stderr.endswith("-m rawtp cost --seconds 0.1 --json\n")
        return
    assert (done.returncode, done.stderr) == (0, "")
    reasons = {row["key"]: row["reason"] for row in json.loads(done.stdout)["rows"]}
    tracepoint = reasons.pop("guide_tracepoint")
    assert tracepoint.startswith("cannot attach to the tracepoint syscalls/sys_enter_unlinkat (")
    assert tracepoint.endswith("its number is in tracefs, which this process may neither read nor mount")
    assert set(reasons.values()) == {None}
