"""The event loops that a tracer can be awaited on, with one face for the tests."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, cast

import pytest
import trio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    Work = Callable[[], Coroutine[Any, Any, object]]


class Asyncio:
    """asyncio on a loop of its own, or of uvloop's."""

    def __init__(self, make: Callable[[], asyncio.AbstractEventLoop]) -> None:
        self._make = make

    def run(self, work: Work) -> None:
        loop = self._make()
        try:
            loop.run_until_complete(work())
            assert asyncio.all_tasks(loop) == set()
        finally:
            loop.close()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def together(self, *works: Work) -> None:
        await asyncio.gather(*(work() for work in works))

    async def cancelled_after(self, seconds: float, work: Work) -> bool:
        """Whether the work was cancelled before its end."""
        task = asyncio.ensure_future(work())
        timer = asyncio.get_running_loop().call_later(seconds, task.cancel)
        try:
            await task
        except asyncio.CancelledError:
            return True
        finally:
            timer.cancel()
        return False

    async def in_time(self, seconds: float, awaitable: Awaitable[Any]) -> Any:
        """What it gives; ``None`` when that takes longer."""
        with contextlib.suppress(asyncio.TimeoutError):
            return await asyncio.wait_for(awaitable, seconds)


class Trio:
    """trio."""

    def run(self, work: Work) -> None:
        trio.run(work)

    async def sleep(self, seconds: float) -> None:
        await trio.sleep(seconds)

    async def together(self, *works: Work) -> None:
        async with trio.open_nursery() as nursery:
            for work in works:
                nursery.start_soon(work)

    async def cancelled_after(self, seconds: float, work: Work) -> bool:
        with trio.move_on_after(seconds) as scope:
            await work()
        return scope.cancelled_caught

    async def in_time(self, seconds: float, awaitable: Awaitable[Any]) -> Any:
        with trio.move_on_after(seconds):
            return await awaitable


Loop = Asyncio | Trio


def _uvloop() -> asyncio.AbstractEventLoop:
    uvloop = pytest.importorskip("uvloop")
    return cast("asyncio.AbstractEventLoop", uvloop.new_event_loop())


LOOPS: dict[str, Loop] = {
    "asyncio": Asyncio(asyncio.new_event_loop),
    "uvloop": Asyncio(_uvloop),
    "trio": Trio(),
}
