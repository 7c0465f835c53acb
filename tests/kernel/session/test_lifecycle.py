"""Starting, stopping, and everything that can interrupt a wait."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

import rawtp
from helpers.support import COMES_BACK_LATE, HANG_S, until_sentinel, wait_for

pytestmark = pytest.mark.kernel


def python(source: str, **options: object) -> subprocess.Popen[str]:
    """A Python of its own, whose whole life is the test's subject."""
    return subprocess.Popen(  # type: ignore[call-overload,no-any-return]
        [sys.executable, "-W", "error", "-c", textwrap.dedent(source)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def outcome(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=HANG_S)
    return process.returncode, out, err


def loaded_programs(pid: str = "self") -> set[str]:
    """The ids of the raw tracepoints' programs that a process holds, or ``[0-9]*``: any. Others may trace meanwhile."""
    ids = set()
    for info in Path("/proc").glob(f"{pid}/fdinfo/*"):
        try:
            text = info.read_text()
        except OSError:
            continue
        if "prog_type:\t17\n" in text:
            ids.add(text.split("prog_id:\t")[1].split()[0])
    return ids


def test_ctrl_c_in_a_blocked_next() -> None:
    """Five tries for one under 100 ms: the machine may be busy, the tracer may not."""
    quickest = 10.0
    for _ in range(5):
        process = python("""
            import rawtp, sys, time
            with rawtp.Tracer(pid=1) as tracer:
                print("ready", flush=True)
                try:
                    next(tracer)
                except KeyboardInterrupt:
                    print(time.monotonic())
            """)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.05)
        start = time.monotonic()
        process.send_signal(signal.SIGINT)
        code, out, err = outcome(process)
        assert (code, err) == (0, "")
        quickest = min(quickest, float(out) - start)
    assert quickest < 0.1


@pytest.mark.parametrize("call", ["get()", "get(timeout=30)", "get_many()", "get_many(timeout=30)"])
def test_ctrl_c_in_every_wait(call: str) -> None:
    process = python(f"""
        import rawtp
        with rawtp.Tracer(pid=1) as tracer:
            print("ready", flush=True)
            tracer.{call}
        """)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    code, _, err = outcome(process)
    assert code == -signal.SIGINT
    assert err.endswith("KeyboardInterrupt\n")


def test_a_signal_handlers_exception_comes_out() -> None:
    process = python("""
        import rawtp, signal
        def handler(number, frame):
            raise LookupError("from the handler")
        signal.signal(signal.SIGALRM, handler)
        with rawtp.Tracer(pid=1) as tracer:
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            try:
                next(tracer)
            except LookupError as error:
                print(error, tracer.closed)
        """)
    assert outcome(process) == (0, "from the handler False\n", "")


def test_close_from_another_thread_ends_the_iteration(own: rawtp.Tracer) -> None:
    seen: list[rawtp.Event] = []
    started = threading.Event()

    def iterate() -> None:
        started.set()
        seen.extend(own)

    thread = threading.Thread(target=iterate)
    thread.start()
    started.wait()
    Path("/nonexistent/rawtp-before-close").unlink(missing_ok=True)
    own.close()
    thread.join(HANG_S)
    assert not thread.is_alive()
    assert [event["filename"] for event in seen] == ["/nonexistent/rawtp-before-close"]
    assert own.closed


@pytest.mark.parametrize("call", ["get", "get_many"])
def test_close_from_another_thread_ends_a_wait(call: str) -> None:
    errors: list[str] = []

    def wait(tracer: rawtp.Tracer) -> None:
        try:
            getattr(tracer, call)()
        except ValueError as error:
            errors.append(str(error))

    tracer = rawtp.Tracer(pid=1)
    threads = [threading.Thread(target=wait, args=(tracer,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(0.02)
    tracer.close()
    for thread in threads:
        thread.join(HANG_S)
    assert errors == ["the tracer is closed"] * 3


def test_several_threads_share_the_events(own: rawtp.Tracer) -> None:
    seen: list[list[rawtp.Event]] = [[], [], []]
    threads = [threading.Thread(target=into.extend, args=(own,)) for into in seen]
    for thread in threads:
        thread.start()
    names = [f"/nonexistent/rawtp-shared-{number}" for number in range(3000)]
    for name in names:
        Path(name).unlink(missing_ok=True)
    own.close()
    for thread in threads:
        thread.join(HANG_S)
        assert not thread.is_alive()
    assert sorted(event["filename"] or "" for events in seen for event in events) == sorted(names)


def test_interpreter_exit_with_an_open_tracer_and_a_blocked_thread() -> None:
    for _ in range(5):
        process = python("""
            import rawtp, threading
            tracer = rawtp.Tracer(pid=1)
            threading.Thread(target=lambda: next(tracer), daemon=True).start()
            other = rawtp.Tracer()
            threading.Thread(target=lambda: list(other), daemon=True).start()
            print("end")
            """)
        assert outcome(process) == (0, "end\n", "")


def test_an_event_while_the_interpreter_stops() -> None:
    """The thread that it wakes finds no interpreter: CPython before 3.14 ends it there, through all of our frames."""
    process = python(COMES_BACK_LATE)
    assert outcome(process) == (0, "", "")


@pytest.mark.slow
def test_nothing_stays_after_many_tracers() -> None:
    def state() -> tuple[int, int, set[str]]:
        return len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task")), loaded_programs()  # noqa: PTH208

    def resident_kb() -> int:
        status = Path("/proc/self/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0])

    def cycle(times: int) -> None:
        for _ in range(times):
            with rawtp.Tracer(pid=os.getpid(), ring_bytes=1 << 16) as tracer:
                until_sentinel(tracer)

    cycle(20)
    before, kb = state(), resident_kb()
    cycle(60)
    # A thread that was joined is listed for a moment more.
    wait_for(lambda: state() == before, "nothing is left")
    assert resident_kb() - kb < 60 * 20


def test_a_tracer_that_nobody_closes_is_closed_by_its_end() -> None:
    programs = loaded_programs()
    tracer = rawtp.Tracer(ring_bytes=1 << 16)
    assert loaded_programs() > programs
    del tracer
    assert loaded_programs() == programs


def test_sigkill_leaves_nothing_attached() -> None:
    process = python("""
        import rawtp, time
        tracer = rawtp.Tracer()
        print("ready", flush=True)
        time.sleep(60)
        """)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    programs = loaded_programs(str(process.pid))
    assert programs != set()
    process.kill()
    assert outcome(process)[0] == -signal.SIGKILL
    wait_for(lambda: not programs & loaded_programs("[0-9]*"), "the programs are gone")


def test_close_twice_and_the_stats_of_a_closed_tracer(own: rawtp.Tracer) -> None:
    Path("/nonexistent/rawtp-left").unlink(missing_ok=True)
    own.close()
    own.close()
    stats = own.stats()
    assert (stats.delivered, stats.discarded, stats.buffered) == (0, 1, 0)
    assert [event["filename"] for event in own] == ["/nonexistent/rawtp-left"]
    assert list(own) == []
    stats = own.stats()
    assert (stats.delivered, stats.discarded) == (1, 0)
