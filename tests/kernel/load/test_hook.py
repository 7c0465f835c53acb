"""The same events by either kind of tracepoint."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest

import rawtp
from helpers.support import assert_ledger, hook_refusal, read_to_end, release, stopped

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Literal

pytestmark = pytest.mark.kernel

EVERYTHING = rawtp.LOSS
RING_BYTES = 16 << 20
HOOKS = {
    "raw_tp": ("raw_tp/sys_enter", "tp_btf/sys_exit"),
    "tracepoint": ("tracepoint/raw_syscalls/sys_enter", "tracepoint/raw_syscalls/sys_exit"),
}


def check_supported(hook: Literal["raw_tp", "tracepoint"]) -> None:
    if reason := hook_refusal(hook):
        pytest.skip(reason)


def seen(hook: Literal["raw_tp", "tracepoint"], command: list[str | Path]) -> list[rawtp.Event]:
    check_supported(hook)
    with (
        stopped(command) as process,
        # Room for all of a burst: an emulated reader is slower than its writer.
        rawtp.Tracer(EVERYTHING, hook=hook, pid=process.pid, ring_bytes=RING_BYTES) as tracer,
    ):
        assert (tracer.coverage["syscalls"]["hook"], tracer.coverage["syscall_results"]["hook"]) == HOOKS[hook]
        release(process)
        events = read_to_end(tracer, process)
        if process.returncode == 77:
            pytest.skip("this kernel has no 32-bit system calls (CONFIG_IA32_EMULATION)")
        stats = tracer.stats()
    if hook == "raw_tp" and stats.missed and is_preemptible():
        pytest.skip(f"raw tracepoints miss events on this kernel: {stats.missed}")
    assert (process.returncode, stats.unpaired, stats.pending) == (0, 0, 0)
    assert_ledger(stats)
    return events


def is_preemptible() -> bool:
    with rawtp.Tracer() as tracer:
        return tracer.coverage["syscalls"]["reason"] is not None


@pytest.mark.parametrize("name", ["ways", "compat"])
def test_both_see_the_same(program: Callable[[str], Path], tmp_path: Path, name: str) -> None:
    """Every call and ABI: what differs is when and who."""
    if name == "compat" and os.uname().machine != "x86_64":
        pytest.skip("int 0x80 is x86's")
    keys = ("syscall", "abi", "action", "dfd", "flags", "filename", "new_filename", "path", "new_path", "ret", "errno")
    each = []
    for hook in ("raw_tp", "tracepoint"):
        directory = tmp_path / "same"
        directory.mkdir()
        events = seen(hook, [program(name), directory])
        each.append([{key: event[key] for key in keys} for event in events])  # type: ignore[literal-required]
        for left in directory.iterdir():
            left.unlink()
        directory.rmdir()
    assert each[0] == each[1]
    assert len(each[0]) >= 1


def test_a_name_that_is_only_there_at_the_return(program: Callable[[str], Path], tmp_path: Path) -> None:
    names, victim = tmp_path / "names", tmp_path / "victim"
    names.write_bytes(os.fsencode(victim) + b"\0")
    victim.touch()
    [event] = seen("tracepoint", [program("untouched"), names])
    assert (event["filename"], event["name_status"], event["ret"]) == (str(victim), "ok", 0)


def test_a_burst_by_classic_tracepoints(program: Callable[[str], Path]) -> None:
    name = "/nonexistent/rawtp-classic"
    events = seen("tracepoint", [program("burst"), "20000", name])
    assert len(events) == 20000
    assert {event["filename"] for event in events} == {name}
    assert {event["errno"] for event in events} == {"ENOENT"}
    assert all((event["duration_ns"] or 0) > 0 for event in events)


def test_nothing_stays_attached() -> None:
    def descriptors() -> set[str]:
        return set(os.listdir("/proc/self/fd"))  # noqa: PTH208

    check_supported("tracepoint")
    before = descriptors()
    with rawtp.Tracer(hook="tracepoint") as tracer:
        assert len(descriptors()) > len(before)
    del tracer
    assert descriptors() == before


def test_auto_takes_one_that_misses_nothing(own: rawtp.Tracer) -> None:
    hook, reason = own.coverage["syscalls"]["hook"], own.coverage["syscalls"]["reason"]
    assert hook == HOOKS["tracepoint" if reason else "raw_tp"][0]
    assert reason is None or reason.startswith("this kernel preempts programs of raw tracepoints")


def test_functions_alone_or_an_error_that_says_why() -> None:
    """tests/kernel/truth has what they see."""
    with rawtp.Tracer(pid=1) as tracer:
        truth = tracer.coverage["truth"]
    if truth["hook"] is None:
        with pytest.raises(
            OSError, match=r'^\[Errno 95\] hook="vfs" needs hooks on the kernel\'s functions'
        ) as refused:
            rawtp.Tracer(hook="vfs")
        assert refused.value.errno == errno.EOPNOTSUPP
        assert (truth["reason"] or "no reason") in str(refused.value)
        assert refused.value.command.endswith("-m rawtp check")  # type: ignore[attr-defined]
    else:
        with rawtp.Tracer(hook="vfs", pid=1) as tracer:
            assert (tracer.coverage["syscalls"]["hook"] or "").endswith("/security_path_*")


def test_wrong_values() -> None:
    with pytest.raises(ValueError, match=r'^hook must be "auto", "raw_tp", "tracepoint" or "vfs", not "kprobe"$'):
        rawtp.Tracer(hook="kprobe")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"^hook must be a str, not NoneType$"):
        rawtp.Tracer(hook=None)  # type: ignore[arg-type]
