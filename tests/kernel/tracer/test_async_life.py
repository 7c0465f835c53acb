"""What an awaited tracer leaves behind, and where it must not be awaited."""

from __future__ import annotations

import asyncio
import gc
import os
import re
import select
import subprocess
import sys
import threading
import time
import traceback
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import rawtp
from helpers.loops import LOOPS
from helpers.numbered import delete, numbers
from helpers.support import HANG_S, wait_for

if TYPE_CHECKING:
    from helpers.loops import Loop

pytestmark = pytest.mark.kernel


@pytest.fixture(params=LOOPS)
def loop(request: pytest.FixtureRequest) -> Loop:
    return LOOPS[request.param]


def waited_for(descriptor: int) -> bool:
    """Whether any loop of this process has it in its epoll(7)."""
    infos = [path.read_text() for path in Path("/proc/self/fdinfo").glob("*") if path.exists()]
    events = [int(found, 16) for info in infos for found in re.findall(rf"tfd: +{descriptor} events: +(\w+)", info)]
    return any(wanted & select.EPOLLIN for wanted in events)


def test_nothing_is_left_in_the_loop(loop: Loop, own: rawtp.Tracer) -> None:
    """After a wait that ended in each way."""
    descriptor = own.fileno()

    def held() -> tuple[int, int]:
        return len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))  # noqa: PTH208

    async def get() -> None:
        await own.aget()

    async def look() -> None:
        await loop.sleep(0.05)
        assert waited_for(descriptor)

    async def read() -> None:
        await loop.together(look, lambda: loop.cancelled_after(0.2, get))
        # libuv tells the kernel on its next round.
        await loop.sleep(0.01)
        assert not waited_for(descriptor)
        assert await own.aget_many(timeout=0.01) == []
        await loop.sleep(0.01)
        assert not waited_for(descriptor)
        threading.Timer(0.02, delete, (0, 1)).start()
        assert numbers([await own.aget()]) == [0]
        await loop.sleep(0.01)
        assert not waited_for(descriptor)

    # What stays open for good: libuv's pipe for signals, the tracer's look-up of cgroups.
    loop.run(read)
    before = held()
    loop.run(read)
    wait_for(lambda: held() == before, "descriptors and threads are gone")


def test_a_loop_that_ends_in_the_middle_of_a_wait_leaves_the_tracer_free(own: rawtp.Tracer) -> None:
    async def get() -> None:
        await own.aget()

    async def leave() -> None:
        task = asyncio.ensure_future(get())
        await asyncio.sleep(0.01)
        assert not task.done()

    for _ in range(2):
        asyncio.run(leave())
    delete(0, 1)
    assert numbers([asyncio.run(own.aget(timeout=HANG_S))]) == [0]


def test_an_awaited_tracer_ends_with_its_last_reference(loop: Loop) -> None:
    """No cycle keeps it, nor a loop that it was awaited on."""

    async def read() -> None:
        tracer = rawtp.Tracer(pid=os.getpid())
        references.append(weakref.ref(tracer))
        assert await tracer.aget_many(timeout=0.01) == []
        assert not await loop.in_time(0.01, tracer.aget())

    references: list[weakref.ref[rawtp.Tracer]] = []
    gc.collect()
    gc.disable()
    try:
        loop.run(read)
        assert [reference() for reference in references] == [None]
    finally:
        gc.enable()


def test_a_forked_child(loop: Loop, own: rawtp.Tracer) -> None:
    """Forked between tasks, with the parent's task in its wait; the child runs a loop of its own."""
    message = r"^this tracer belongs to the process that created it; a forked child creates its own$"
    seen: list[rawtp.Event] = []

    async def get() -> None:
        seen.append(await own.aget())

    async def uses() -> None:
        for use in (own.aget, own.aget_many, own.__anext__, own.__aiter__):
            with pytest.raises(RuntimeError, match=message):
                use()
        with rawtp.Tracer(pid=os.getpid()) as mine:
            delete(5, 6)
            assert numbers([await mine.aget(timeout=HANG_S)]) == [5]

    def child() -> None:
        code = 1
        try:
            LOOPS["trio"].run(uses)
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)

    async def fork() -> None:
        await loop.sleep(0.05)
        pids.append(os.fork())
        if not pids[0]:
            # A loop that runs is the thread's, and a new thread has none.
            threading.Thread(target=child).start()
            time.sleep(HANG_S)
        assert os.waitpid(pids[0], 0)[1] == 0
        delete(0, 1)

    pids: list[int] = []
    loop.run(lambda: loop.together(get, fork))
    assert numbers(seen) == [0]


def test_without_a_library(own: rawtp.Tracer) -> None:
    with pytest.raises(RuntimeError, match=r"^a tracer is awaited on asyncio or trio; here runs neither$"):
        own.aget().send(None)


@pytest.mark.parametrize("name", ["asyncio", "trio"])
def test_the_libraries_are_imported_by_who_uses_them(name: str) -> None:
    """Without sniffio, too, which tells what runs where it is there."""
    other = {"asyncio": "trio", "trio": "uvloop"}[name]
    source = f"""
import os, sys
import rawtp
print(sorted({{"asyncio", "trio", "sniffio", "rawtp._async"}} & {{*sys.modules}}))
import {name}
sys.modules.pop("sniffio", None)
with rawtp.Tracer(pid=os.getpid()) as tracer:
    async def read():
        assert await tracer.aget_many(timeout=0.01) == []
        try:
            os.remove("/nonexistent/7")
        except OSError:
            pass
        return (await tracer.aget(timeout={HANG_S}))["filename"]
    print({name}.run({"read()" if name == "asyncio" else "read"}), {other!r} in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("[]\n/nonexistent/7 False\n", "")
