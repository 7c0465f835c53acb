"""A tracer on asyncio and trio. Imported when one is first awaited; it imports neither of them.

A task waits for the tracer's descriptors, not in a thread. To wait and to take are two steps: events are taken in the
very step that hands them to the task, with no ``await`` in between, so that at no moment could a task be cancelled with
events in its hands.
"""

from __future__ import annotations

import math
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Future
    from collections.abc import Callable
    from types import ModuleType

    from rawtp._core import Tracer
    from rawtp.event import Event

TURN_EVENTS = 64
"""The events that a task gets without a wait. Then the other tasks have their turn: they would starve as long as there
are always more."""

PATIENCE_S = 0.002
"""The time after which the drain thread is woken. It gathers for a millisecond by itself."""

FOR_EVER_S = 1e9
"""The longest timeout for which a timer is set: not every loop can count longer ones."""


class Awaited:
    """The state of one awaited tracer. Its methods are given the tracer, which has this object: a cycle would outlive
    both."""

    __slots__ = ("_busy", "_run")

    def __init__(self) -> None:
        """Start with no reader."""
        self._busy = False
        self._run = 0

    async def next(self, tracer: Tracer) -> Event:
        """See ``Tracer.__anext__``."""
        # Iteration gives every event in the end, so there is no need to flush the ring first.
        [event] = await self._take(lambda _: _next(tracer), tracer, 0, None)
        return event

    async def get(self, tracer: Tracer, timeout: float | None) -> Event:
        """See ``Tracer.aget``."""
        for event in await self._take(lambda position: tracer._take(1, position), tracer, 1, timeout):
            return event
        raise TimeoutError(f"no event within {timeout} s")

    async def get_many(self, tracer: Tracer, max_events: int, timeout: float | None) -> list[Event]:
        """See ``Tracer.aget_many``."""
        return await self._take(lambda position: tracer._take(max_events, position), tracer, max_events, timeout)

    async def _take(
        self, take: Callable[[int], list[Event]], tracer: Tracer, wanted: int, timeout: float | None
    ) -> list[Event]:
        """Give the events that had happened, or wait for the first ones; ``[]`` at the end of the timeout.

        ``take`` is given the position of the ring up to which all had happened. Where so many as are ``wanted`` are
        queued, the position does not matter.
        """
        if self._busy:
            raise RuntimeError("another task is reading from this tracer: let one read, and hand on what it gets")
        position, caught_up = tracer._flush(wanted, False)
        if self._run < TURN_EVENTS and caught_up is None and (events := take(position)):
            self._run += len(events)
            return events
        library = _running()
        deadline = library.now() + timeout if timeout is not None and timeout < FOR_EVER_S else math.inf
        self._busy = True
        try:
            if self._run >= TURN_EVENTS:
                self._run = 0
                await library.turn()
            if caught_up is not None:
                patience = min(deadline, library.now() + PATIENCE_S)
                if not await library.wait(caught_up, patience):
                    position, caught_up = tracer._flush(wanted, True)
                    if caught_up is not None:
                        await library.wait(caught_up, math.inf)
            in_time = True
            while not (events := take(position)) and in_time:
                try:
                    descriptor = tracer.fileno()
                except ValueError:
                    continue  # closed meanwhile: ``take`` raises, or gives the rest
                self._run = 0
                in_time = await library.wait(descriptor, deadline)
            self._run += len(events)
            return events
        finally:
            self._busy = False


def _next(tracer: Tracer) -> list[Event]:
    if not tracer.closed:
        try:
            return tracer._take(1, 0)
        except ValueError:
            pass  # closed meanwhile
    # Iterating over a closed tracer does not wait.
    for event in tracer:
        return [event]
    raise StopAsyncIteration


class _Asyncio:
    def __init__(self, loop: AbstractEventLoop, asyncio: ModuleType) -> None:
        self._loop = loop
        self._asyncio = asyncio

    def now(self) -> float:
        return self._loop.time()

    async def turn(self) -> None:
        await self._asyncio.sleep(0)

    async def wait(self, descriptor: int, deadline: float) -> bool:
        future: Future[bool] = self._loop.create_future()

        def end(in_time: bool) -> None:
            if not future.done():
                future.set_result(in_time)

        timer = self._loop.call_at(deadline, end, False) if deadline < math.inf else None
        try:
            self._loop.add_reader(descriptor, end, True)
            return await future
        finally:
            self._loop.remove_reader(descriptor)
            if timer:
                timer.cancel()


class _Trio:
    def __init__(self, trio: ModuleType) -> None:
        self._trio = trio

    def now(self) -> float:
        now: float = self._trio.current_time()
        return now

    async def turn(self) -> None:
        await self._trio.lowlevel.checkpoint()

    async def wait(self, descriptor: int, deadline: float) -> bool:
        with self._trio.move_on_at(deadline):
            await self._trio.lowlevel.wait_readable(descriptor)
            return True
        return False


def _running() -> _Asyncio | _Trio:
    """The library whose task this is. Each is looked for among what is imported: if it runs, it is there."""
    sniffio, trio, asyncio = (sys.modules.get(name) for name in ("sniffio", "trio", "asyncio"))
    name = None
    if sniffio:
        # Where one library runs on top of the other, only sniffio knows whose task this is.
        with suppress(sniffio.AsyncLibraryNotFoundError):
            name = sniffio.current_async_library()
    elif trio and trio.lowlevel.in_trio_task():
        name = "trio"
    if trio and name == "trio":
        return _Trio(trio)
    if asyncio and name in {None, "asyncio"}:
        try:
            return _Asyncio(asyncio.get_running_loop(), asyncio)
        except RuntimeError:
            pass
    raise RuntimeError(f"a tracer is awaited on asyncio or trio; here runs {name or 'neither'}")
