"""Blocks signals in this thread for a moment."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

    from typing_extensions import Self

# The kernel kills a process that has blocked one of these when a thread causes it: a sandbox's handler of SIGSYS, or
# faulthandler, would get nothing.
_FAULTS = {signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGTRAP, signal.SIGSYS}


def block() -> Iterable[int]:
    """Block the signals, and give those that were blocked before: the mask to set back, with ``SIG_SETMASK``."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals() - _FAULTS)
    except BaseException:
        # A signal came before they were blocked, and its handler raised this exception after that.
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        raise
    return before


class Blocked:
    """Blocks all signals in this thread, but for those of faults, to the end of the ``with``.

    A handler can raise an exception between any two steps of Python: also between the step that opens a descriptor, or
    starts a process, and the one that keeps it. Here it runs when the ``with`` ends. (A signal that another thread took
    is not kept off.) Processes that are started meanwhile have the signals blocked, too, until they set ``before``.
    """

    def __init__(self) -> None:
        """Block nothing yet."""
        self.before: Iterable[int] = ()
        """The signals that were blocked before."""

    def __enter__(self) -> Self:
        self.before = block()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, self.before)
