"""A forked child has the tracer's object and nothing else of it."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import rawtp
from helpers.support import HANG_S, live_hooks, until_sentinel, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.kernel

MESSAGE = "this tracer belongs to the process that created it; a forked child creates its own"


def in_child(check: Callable[[], None]) -> None:
    """Runs the check in a fork; a failure there is one here."""
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        code = 1
        try:
            check()
            code = 0
        except BaseException:
            os.write(writer, traceback.format_exc().encode()[-4000:])
        finally:
            os._exit(code)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        output = pipe.read().decode()
    _, status = os.waitpid(pid, 0)
    assert status == 0, output


def test_every_use_in_the_child_raises_and_the_parent_goes_on(own: rawtp.Tracer) -> None:
    def check() -> None:
        uses: dict[str, Callable[[], object]] = {
            "next": lambda: next(own),
            "iter": lambda: iter(own),
            "get": lambda: own.get(timeout=0),
            "get_many": lambda: own.get_many(timeout=0),
            "stats": own.stats,
            "close": own.close,
            "closed": lambda: own.closed,
            "fileno": own.fileno,
            "with": own.__enter__,
        }
        for name, use in uses.items():
            with pytest.raises(RuntimeError) as raised:
                use()
            assert str(raised.value) == MESSAGE, name
        assert repr(own) == "<rawtp.Tracer of another process pid=" + str(os.getppid()) + ">"

    in_child(check)
    Path("/nonexistent/rawtp-parent").unlink(missing_ok=True)
    assert [event["filename"] for event in until_sentinel(own)] == ["/nonexistent/rawtp-parent"]


def test_the_end_of_a_with_in_the_child_is_the_childs_own() -> None:
    """Neither what it returns nor what it raises is replaced, and the parent's tracer goes on."""
    with rawtp.Tracer(pid=os.getpid()) as tracer:

        def check() -> None:
            # As where the fork was in the block.
            tracer.__exit__(None, None, None)
            with pytest.raises(RuntimeError, match=MESSAGE):
                tracer.close()

        in_child(check)
        Path("/nonexistent/rawtp-parent").unlink(missing_ok=True)
        assert [event["filename"] for event in until_sentinel(tracer)] == ["/nonexistent/rawtp-parent"]


@pytest.mark.parametrize(
    ("ending", "printed", "code"),
    [
        ("return 'its own'", "its own", 0),
        ("raise LookupError('its own')", "LookupError: its own", 1),
        ("sys.exit(7)", "", 7),
    ],
)
def test_a_fork_in_the_with_ends_as_the_child_says(ending: str, printed: str, code: int) -> None:
    program = f"""
import os, sys, rawtp

def block():
    with rawtp.Tracer(pid=os.getpid()) as tracer:
        if child := os.fork():
            _, status = os.waitpid(child, 0)
            assert not tracer.closed
            print("parent", os.waitstatus_to_exitcode(status), flush=True)
            return
        {ending}

result = block()
if result:
    print(result, flush=True)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=HANG_S, check=False)
    output = done.stdout + done.stderr
    assert (done.returncode, f"parent {code}\n" in done.stdout, printed in output) == (0, True, True), output
    assert "belongs to the process that created it" not in output


def test_dropping_it_in_the_child_does_not_hang_or_detach() -> None:
    tracer: rawtp.Tracer | None = rawtp.Tracer(pid=os.getpid())

    def check() -> None:
        nonlocal tracer
        tracer = None
        gc.collect()

    in_child(check)
    assert tracer is not None
    Path("/nonexistent/rawtp-parent").unlink(missing_ok=True)
    assert [event["filename"] for event in until_sentinel(tracer)] == ["/nonexistent/rawtp-parent"]
    tracer.close()


def test_a_tracer_of_the_childs_own_works(own: rawtp.Tracer) -> None:
    def check() -> None:
        with rawtp.Tracer(pid=os.getpid()) as mine:
            Path("/nonexistent/rawtp-child").unlink(missing_ok=True)
            assert [event["filename"] for event in until_sentinel(mine)] == ["/nonexistent/rawtp-child"]

    in_child(check)
    assert until_sentinel(own) == []


def test_a_child_does_not_keep_the_parents_programs_attached() -> None:
    """Were the child's copies of the links left open, a worker that outlives the tracer would go on being traced."""
    with rawtp.Tracer(ring_bytes=1 << 16) as tracer:

        def check() -> None:
            kept = [fd for fd in os.listdir("/proc/self/fdinfo") if "link_type" in fdinfo(fd)]  # noqa: PTH208
            assert kept == []

        def fdinfo(fd: str) -> str:
            try:
                return Path("/proc/self/fdinfo", fd).read_text()
            except FileNotFoundError:  # the listing's own
                return ""

        links = sum("link_type" in fdinfo(fd) for fd in os.listdir("/proc/self/fdinfo"))  # noqa: PTH208
        assert links == live_hooks(tracer) >= 2
        in_child(check)


def test_a_fork_while_events_flow(own: rawtp.Tracer) -> None:
    """The drain thread may hold any lock at the moment of the fork; the child must need none."""
    children = []
    for number in range(50):
        for _ in range(100):
            Path(f"/nonexistent/rawtp-{number}").unlink(missing_ok=True)
        pid = os.fork()
        if not pid:
            try:
                own.stats()
            except RuntimeError:
                os._exit(0)
            os._exit(1)
        children.append(pid)
    assert [os.waitpid(pid, 0)[1] for pid in children] == [0] * 50
    assert len(until_sentinel(own)) == 5000
    wait_for(lambda: own.stats().buffered == 0, "an empty queue")
