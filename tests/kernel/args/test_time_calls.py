"""Calls that tell the time or wait, with known arguments: each event has exactly those."""

from __future__ import annotations

import struct
from errno import EBADF, EFAULT, EINVAL
from typing import TYPE_CHECKING

import pytest

from helpers.plans import ANY, Plan

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.kernel

FIRST = 3
"""The first descriptor that the program opens."""


# One call is one line, or two: with one argument a line nobody could see the calls.
# fmt: off


def test_time(plan: Plan, program: Callable[[str], Path], tmp_path: Path) -> None:
    p, out = plan, plan.put(bytes(64))
    wide = p.put(struct.pack("<4Q", 0, 1000, 0, 1000))
    narrow = p.longs(0, 1000, 0, 1000)
    p.call("nanosleep", narrow, out, ret=0, req=1e-6, rem=None)
    p.call("nanosleep", p.longs(1, -1), 0, error=EINVAL, req=1 - 1e-9, rem=None)
    p.call("nanosleep", 8, 0, error=EFAULT, req=None, rem=None)
    p.call("clock_nanosleep", 1, 1, narrow, 0, ret=0, clockid="CLOCK_MONOTONIC", flags=("TIMER_ABSTIME",),
           request=1e-6, remain=None)
    p.call("clock_nanosleep_time64", 1, 1, wide, 0, ret=0, clockid="CLOCK_MONOTONIC", flags=("TIMER_ABSTIME",),
           request=1e-6, remain=None)
    p.call("clock_gettime", 99, out, error=EINVAL, clockid=99, tp=None)
    p.call("clock_getres", 1, out, ret=0, clockid="CLOCK_MONOTONIC", res=ANY)
    p.call("clock_gettime64", 99, out, error=EINVAL, clockid=99, tp=None)
    p.call("clock_settime", 1, p.longs(-5, 250_000_000), error=EINVAL, clockid="CLOCK_MONOTONIC", tp=-4.75)
    p.call("gettimeofday", 8, 0, error=EFAULT, tv=None, tz=0)
    p.call("settimeofday", p.longs(5, 2_000_000), 0, error=EINVAL, tv=7.0, tz=0)
    p.call("alarm", 0, ret=0, seconds=0)
    zero = p.longs(0, 0, 0, 0)
    p.call("setitimer", 0, zero, out, ret=0, which="ITIMER_REAL", new_value__it_interval=0.0, new_value__it_value=0.0,
           old_value__it_interval=0.0, old_value__it_value=0.0)
    p.call("getitimer", 9, out, error=EINVAL, which=9, curr_value__it_interval=None, curr_value__it_value=None)
    p.call("timer_create", 1, 8, out, error=EFAULT, clockid="CLOCK_MONOTONIC", sevp=8, timerid=None)
    later = p.longs(1, 500_000_000, 7, 0)
    p.call("timer_settime", -1, 1, later, 0, error=EINVAL, timerid=-1, flags=("TIMER_ABSTIME",),
           new_value__it_interval=1.5, new_value__it_value=7.0, old_value__it_interval=None, old_value__it_value=None)
    p.call("timer_gettime", -1, out, error=EINVAL, timerid=-1, curr_value__it_interval=None, curr_value__it_value=None)
    p.call("timer_getoverrun", -1, error=EINVAL, timerid=-1)
    p.call("timer_delete", -1, error=EINVAL, timerid=-1)
    p.call("timerfd_create", 1, 0o2000000, ret=FIRST, clockid="CLOCK_MONOTONIC", flags=("TFD_CLOEXEC",))
    p.call("timerfd_settime", FIRST, 0, later, out, ret=0, fd=FIRST, flags=(), new_value__it_interval=1.5,
           new_value__it_value=7.0, old_value__it_interval=0.0, old_value__it_value=0.0)
    p.call("timerfd_gettime", FIRST, out, ret=0, fd=FIRST, curr_value__it_interval=1.5, curr_value__it_value=ANY)
    p.call("timerfd_gettime64", -1, out, error=EBADF, fd=-1, curr_value__it_interval=None, curr_value__it_value=None)
    later64 = p.put(struct.pack("<4Q", 1, 500_000_000, 7, 0))
    p.call("timerfd_settime64", -1, 1, later64, 0, error=EBADF, fd=-1, flags=("TFD_TIMER_ABSTIME",),
           new_value__it_interval=1.5, new_value__it_value=7.0, old_value__it_interval=None, old_value__it_value=None)
    p.call("times", 8, error=EFAULT, buf=8)
    p.call("adjtimex", 8, error=EFAULT, buf=8)
    p.call("clock_adjtime", 0, 8, error=EFAULT, clk_id="CLOCK_REALTIME", buf=8)
    p.check(program, tmp_path)


def test_waiting(plan: Plan, program: Callable[[str], Path], tmp_path: Path) -> None:
    p = plan
    event = p.put(struct.pack("<IQ" if p.abi in ("x86_64", "i386") else "<I4xQ", 0x8000_0001, 77))
    p.call("epoll_create1", 0o2000000, ret=FIRST, flags=("EPOLL_CLOEXEC",))
    p.call("epoll_create", -1, error=EINVAL, size=-1)
    p.call("epoll_ctl", FIRST, 1, 77, event, error=EBADF, epfd=FIRST, op="EPOLL_CTL_ADD", fd=77,
           event__events=("EPOLLIN", "EPOLLET"), event__data=77)
    p.call("epoll_ctl", FIRST, 2, 77, 0, error=EBADF, epfd=FIRST, op="EPOLL_CTL_DEL", fd=77, event__events=None,
           event__data=None)
    p.call("epoll_wait", FIRST, 8, -1, 5, error=EINVAL, epfd=FIRST, events=8, maxevents=-1, timeout=5)
    mask = p.put(struct.pack("<Q", 2))
    p.call("epoll_pwait", FIRST, 8, -1, 5, mask, 8, error=EINVAL, epfd=FIRST, events=8, maxevents=-1, timeout=5,
           sigmask=("SIGINT",), sigsetsize=8)
    p.call("epoll_pwait2", FIRST, 8, -1, p.put(struct.pack("<2Q", 0, 5000)), 0, 8, error=EINVAL, epfd=FIRST, events=8,
           maxevents=-1, timeout=5e-6, sigmask=None, sigsetsize=8)
    p.call("poll", 0, 0, 0, ret=0, fds=0, nfds=0, timeout=0)
    p.call("ppoll", 0, 0, p.longs(0, 1000), mask, 8, ret=0, fds=0, nfds=0, tmo_p=1e-6, sigmask=("SIGINT",),
           sigsetsize=8)
    zero = p.longs(0, 1)
    p.call("select" if not p.is_compat else "_newselect", 0, 0, 0, 0, zero, ret=0, nfds=0, readfds=0, writefds=0,
           exceptfds=0, timeout=1e-6)
    p.call("pselect6", -1, 1, 2, 3, p.longs(0, 1000), 0, error=EINVAL, nfds=-1, readfds=1, writefds=2, exceptfds=3,
           timeout=1e-6, sigmask=0)
    p.call("eventfd2", 5, 0o2000001, ret=ANY, initval=5, flags=("EFD_SEMAPHORE", "EFD_CLOEXEC"))
    p.call("signalfd4", -1, mask, 8, 0o4000, ret=ANY, fd=-1, mask=("SIGINT",), sizemask=8, flags=("SFD_NONBLOCK",))
    word = p.put(struct.pack("<I", 5))
    p.call("futex", word, 0x80, 6, p.longs(3, 250_000_000), 0, 0, error=11, uaddr=word,
           futex_op=("FUTEX_WAIT", "FUTEX_PRIVATE_FLAG"), val=6, timeout=3.25, uaddr2=0, val3=0)
    p.call("futex", word, 1, 1, 9, 8, 7, ret=0, uaddr=word, futex_op=("FUTEX_WAKE",), val=1, timeout=None, uaddr2=8,
           val3=7)
    p.call("futex", word, 0x84, 1, 9, word, 7, error=11, uaddr=word,
           futex_op=("FUTEX_CMP_REQUEUE", "FUTEX_PRIVATE_FLAG"), val=1, timeout=9, uaddr2=word, val3=7)
    p.call("futex_time64", word, 0x80, 6, p.put(struct.pack("<2Q", 3, 250_000_000)), 0, 0, error=11, uaddr=word,
           futex_op=("FUTEX_WAIT", "FUTEX_PRIVATE_FLAG"), val=6, timeout=3.25, uaddr2=0, val3=0)
    p.call("io_uring_setup", 0, 8, error=ANY, entries=0, p=8)
    p.call("io_uring_enter", -1, 1, 2, 1, 0, 0, error=EBADF, fd=-1, to_submit=1, min_complete=2,
           flags=("IORING_ENTER_GETEVENTS",), sig=0, sz=0)
    p.call("io_uring_register", -1, 1, 8, 2, error=ANY, fd=-1, opcode=1, arg=8, nr_args=2)
    p.call("io_destroy", 8, error=ANY, ctx_id=8)
    p.check(program, tmp_path)
