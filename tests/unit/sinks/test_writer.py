"""Writing to what nobody reads: it waits, and a signal ends that."""

from __future__ import annotations

import fcntl
import os
import select
import signal
import socket
import threading
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from rawtp.cli.stderr import reason
from rawtp.sinks import writer as writing
from rawtp.sinks.writer import Patience, StalledError, Writer

HANG_S = 60.0
SIZE = 1 << 20


def pipe() -> tuple[int, int]:
    return os.pipe()


def terminal() -> tuple[int, int]:
    ours, theirs = os.openpty()
    return ours, theirs


def sockets() -> tuple[int, int]:
    one, other = socket.socketpair()
    return one.detach(), other.detach()


def pipe_of_another() -> tuple[int, int]:
    """One that cannot be opened again."""
    return os.pipe()


def terminal_of_another() -> tuple[int, int]:
    """The same."""
    return terminal()


@pytest.fixture(params=[pipe, terminal, sockets, pipe_of_another, terminal_of_another], ids=lambda made: made.__name__)
def ends(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, int]]:
    """The reader's and the writer's."""
    if request.param in {pipe_of_another, terminal_of_another}:
        real = os.open

        def refuse(path: str, *arguments: int) -> int:
            if path.startswith("/proc/self/fd/"):
                raise PermissionError(13, "Permission denied")
            return real(path, *arguments)

        monkeypatch.setattr(os, "open", refuse)
    made = request.param()
    yield made
    for fd in made:
        with suppress(OSError):
            os.close(fd)


@pytest.fixture
def patience() -> Iterator[Patience]:
    made = Patience()
    before = signal.signal(signal.SIGUSR1, lambda *_: made.ask())
    yield made
    signal.signal(signal.SIGUSR1, before)


def after(seconds: float, act: Callable[[], object]) -> threading.Timer:
    timer = threading.Timer(seconds, act)
    timer.start()
    return timer


def ask() -> None:
    os.kill(os.getpid(), signal.SIGUSR1)


def test_a_slow_reader_gets_all(ends: tuple[int, int], patience: Patience) -> None:
    out, into = ends
    data = os.urandom(SIZE // 2).hex().encode()
    got = bytearray()

    def read() -> None:
        while len(got) < len(data):
            time.sleep(0.0005)
            got.extend(os.read(out, 32768))

    reader = threading.Thread(target=read)
    reader.start()
    flags = fcntl.fcntl(into, fcntl.F_GETFL)
    timer = after(0.05, ask)  # one signal costs a reader that goes on nothing
    Writer(into, "the output", patience).write(data)
    reader.join(HANG_S)
    timer.join()
    assert bytes(got) == data
    # Who shares the description finds it as it was.
    assert fcntl.fcntl(into, fcntl.F_GETFL) == flags


def test_a_signal_ends_the_wait_for_who_does_not_read(
    ends: tuple[int, int], patience: Patience, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "_GRACE_S", 0.3)
    begin_s = time.monotonic()
    timer = after(0.2, ask)
    with pytest.raises(StalledError) as stalled:
        Writer(ends[1], "the output", patience).write(bytes(SIZE))
    timer.join()
    assert 0.5 <= time.monotonic() - begin_s < HANG_S
    assert reason(stalled.value) == "the output: nobody reads it, and it is full"
    assert not patience.is_over()


def test_a_second_signal_ends_it_at_once(
    ends: tuple[int, int], patience: Patience, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "_GRACE_S", 10 * HANG_S)
    begin_s = time.monotonic()
    timers = [after(0.1, ask), after(0.3, ask)]
    with pytest.raises(StalledError):
        Writer(ends[1], "the output", patience).write(bytes(SIZE))
    assert 0.3 <= time.monotonic() - begin_s < HANG_S
    for timer in timers:
        timer.join()
    # What is taken without a wait is written all the same, for a moment.
    while not select.select([], [ends[1]], [], 0.05)[1]:
        if select.select([ends[0]], [], [], 0.05)[0]:
            os.read(ends[0], 2 * SIZE)
    Writer(ends[1], "the output", patience).write(b"the end\n")
    assert not patience.is_over()
    monkeypatch.setattr(writing, "_HASTE_S", 0.0)
    assert patience.is_over()


def test_the_last_words_wait_for_a_reader_who_is_behind(ends: tuple[int, int], patience: Patience) -> None:
    out, into = ends
    with suppress(StalledError):
        patience.ask()
        patience.ask()
        Writer(into, "the output", patience).write(bytes(SIZE))
    got = bytearray()

    def read() -> None:
        time.sleep(0.3)
        while not got.endswith(b"the ledger"):
            got.extend(os.read(out, 2 * SIZE))

    reader = threading.Thread(target=read)
    reader.start()
    Writer(into, "standard error", patience, haste_s=HANG_S).write(b"the ledger")
    reader.join(HANG_S)
    assert got.endswith(b"the ledger")


def gone(fd: int) -> str:
    return "Input/output error" if os.isatty(fd) else "Broken pipe"


def test_nobody_reads_any_more(ends: tuple[int, int], patience: Patience) -> None:
    said = gone(ends[1])
    before = Writer(ends[1], "the output", patience)
    os.close(ends[0])
    for writer in (before, Writer(ends[1], "the output", patience)):
        with pytest.raises(OSError, match=said) as broken:
            writer.write(bytes(SIZE))
        assert isinstance(broken.value, BrokenPipeError) == (said == "Broken pipe")
        assert reason(broken.value) == f"the output: {said}"


def test_a_reader_that_leaves_ends_the_wait(ends: tuple[int, int], patience: Patience) -> None:
    timer = after(0.2, lambda: os.close(ends[0]))
    with pytest.raises(OSError, match=f"{gone(ends[1])}|Connection reset by peer"):
        Writer(ends[1], "the output", patience).write(bytes(SIZE))
    timer.join()


def test_a_terminals_other_end(patience: Patience) -> None:
    """Opened again it would be another terminal."""
    ours, theirs = os.openpty()
    try:
        tty.setraw(theirs)
        Writer(ours, "the output", patience).write(b"typed")
        read = b""
        while len(read) < 5:  # a terminal hands its buffer over by and by
            read += os.read(theirs, 5)
        assert read == b"typed"
    finally:
        os.close(ours)
        os.close(theirs)


def test_a_full_disk(patience: Patience) -> None:
    fd = os.open("/dev/full", os.O_WRONLY)
    try:
        with pytest.raises(OSError, match="No space left on device") as full:
            Writer(fd, "the output", patience).write(b"x")
    finally:
        os.close(fd)
    assert reason(full.value) == "the output: No space left on device"
