"""Loads on threads of their own: the kernel's verifier can take many seconds, and the broker must not wait for it."""

from __future__ import annotations

import threading
import time
from queue import SimpleQueue
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

AT_A_TIME = 2
"""The broker gives one user one of them at a time, so that no one user's request is what all others wait for."""

_Who = TypeVar("_Who")
_Loaded = TypeVar("_Loaded")


class Loads(Generic[_Who, _Loaded]):
    """Runs up to :data:`AT_A_TIME` loads; ``wake`` is called, on the load's thread, when there is something to take."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._jobs: SimpleQueue[tuple[_Who, Callable[[], _Loaded]]] = SimpleQueue()
        self._done: SimpleQueue[tuple[_Who, _Loaded | Exception]] = SimpleQueue()
        self.running: list[_Who] = []
        """The clients whose loads have not been taken yet."""
        for _ in range(AT_A_TIME):
            # A daemon thread: the interpreter's exit does not wait for the verifier.
            threading.Thread(target=self._run, name="rawtp-loads", daemon=True).start()

    @property
    def is_free(self) -> bool:
        """True where one more load can start now."""
        return len(self.running) < AT_A_TIME

    def start(self, who: _Who, load: Callable[[], _Loaded]) -> None:
        """Hand the load to a thread."""
        self.running.append(who)
        self._jobs.put((who, load))

    def take(self) -> Iterator[tuple[_Who, _Loaded | Exception]]:
        """Give what has been done by now: what was loaded, or the exception that came instead."""
        while not self._done.empty():
            who, loaded = self._done.get()
            self.running.remove(who)
            yield who, loaded

    def rest(self, seconds: float) -> Iterator[tuple[_Who, _Loaded | Exception]]:
        """Give what is done within ``seconds``. After that ``running`` has those that are not."""
        end = time.monotonic() + seconds
        while self.running and time.monotonic() < end:
            yield from self.take()
            time.sleep(0.01)

    def _run(self) -> None:
        while True:
            who, load = self._jobs.get()
            try:
                done: _Loaded | Exception = load()
            except BaseException as error:  # the thread must live on for the next load
                done = error if isinstance(error, Exception) else RuntimeError(f"{type(error).__name__}: {error}")
            self._done.put((who, done))
            self._wake()
