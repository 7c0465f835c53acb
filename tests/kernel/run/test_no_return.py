"""What a call that does not return leaves to the thread's next one, or to the next thread of its id: nothing."""

from __future__ import annotations

import errno
import sys
from typing import Any

import pytest

import rawtp
from helpers.seccomp import ERRNO, TRAP, refusing
from helpers.support import assert_ledger
from rawtp._core import _NATIVE_ABI
from rawtp.syscalls import number

pytestmark = pytest.mark.kernel

GETPPID = number("getppid", _NATIVE_ABI)

INTERRUPTED = f"""
import signal
signal.signal(signal.SIGUSR1, lambda *_: None)
signal.signal(signal.SIGSYS, lambda *_: None)
for _ in range(50):
    signal.raise_signal(signal.SIGUSR1)
    libc.syscall({GETPPID}, {errno.EXDEV})
"""

REUSED = f"""
import _thread, threading, time
ids, again = [], 0
def begin(call):
    done = threading.Event()
    def run():
        ids.append(threading.get_native_id())
        call()
        done.set()
    _thread.start_new_thread(run, ())
    done.wait()
    while os.path.exists(f"/proc/self/task/{{ids[-1]}}"):
        time.sleep(0.0001)
for _ in range(50):
    begin(lambda: None)
    with open("/proc/sys/kernel/ns_last_pid", "w") as file:
        file.write(str(ids[-1] - 1))
    begin(lambda: libc.syscall({GETPPID}, {errno.EXDEV}))
    again += ids[-1] == ids[-2]
print(again)
"""


def run(code: str, syscalls: Any, names: set[str]) -> list[tuple[object, object]]:
    command = [sys.executable, "-I", "-S", "-c", f"import os\n{code}"]
    result = rawtp.run(command, syscalls=syscalls, fields=("syscall", "ret"))
    assert result.returncode == 0
    assert (result.stats.unpaired, result.stats.pending, result.stats.lost_exits) == (0, 0, 0)
    assert_ledger(result.stats)
    return [(event["syscall"], event["ret"]) for event in result.events if event["syscall"] in names]


@pytest.mark.parametrize(("action", "ret", "signals"), [(ERRNO, -errno.EXDEV, 50), (TRAP, None, 100)])
def test_a_call_that_is_refused_after_a_signal(action: int, ret: int | None, signals: int) -> None:
    """rt_sigreturn leaves -1 as the number of its call, so nothing tells its exit from any other's."""
    found = run(refusing("getppid", action) + INTERRUPTED, "all", {"getppid", "rt_sigreturn"})
    assert [call for call in found if call[0] == "getppid"] == [("getppid", ret)] * 50
    assert [call for call in found if call[0] != "getppid"] == [("rt_sigreturn", None)] * signals


@pytest.mark.parametrize("syscalls", [["getppid", "exit"], "all"], ids=str)
def test_a_call_that_is_refused_in_a_new_thread(syscalls: Any, capfd: pytest.CaptureFixture[str]) -> None:
    """Its id is that of a thread that ended in exit(2)."""
    found = run(refusing("getppid") + REUSED, syscalls, {"getppid", "exit"})
    assert int(capfd.readouterr().out) > 0
    assert sorted(found, key=str) == [("exit", None)] * 100 + [("getppid", -errno.EXDEV)] * 50


def test_a_return_that_is_refused() -> None:
    """It ends with its own number, as does one of a bad frame, which is one event."""
    call = number("rt_sigreturn", _NATIVE_ABI)
    code = "import signal\nsignal.signal(signal.SIGUSR1, lambda *_: None)\nsignal.raise_signal(signal.SIGUSR1)\n"
    # No signal comes from here on.
    code += refusing("rt_sigreturn") + f"for _ in range(3): libc.syscall({call}, {errno.EXDEV})\n"
    found = run(code, ["rt_sigreturn"], {"rt_sigreturn"})
    assert found == [("rt_sigreturn", None)] + [("rt_sigreturn", -errno.EXDEV)] * 3


def test_a_frame_that_the_kernel_refuses() -> None:
    """That return of a signal's ends with its own number, and is one event all the same."""
    code = "import ctypes, signal\nsignal.signal(signal.SIGSEGV, signal.SIG_DFL)\npid = os.fork()\n"
    call = number("rt_sigreturn", _NATIVE_ABI)
    code += f"if not pid: ctypes.CDLL(None).syscall({call})\n"
    code += "assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGSEGV"
    assert run(code, ["rt_sigreturn"], {"rt_sigreturn"}) == [("rt_sigreturn", None)]
