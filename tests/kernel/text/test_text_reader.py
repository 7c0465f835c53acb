"""Lines that the extension writes are those of the Python formats, byte for byte."""

from __future__ import annotations

import csv
import ctypes
import io
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rawtp
from helpers.support import HANG_S, assert_ledger, of_own_family, settle
from rawtp._core import TextReader
from rawtp.formats.csv import Csv
from rawtp.formats.jsonl import JsonLines
from rawtp.formats.timestamp import Clock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

Form = Literal["jsonl", "csv"]

pytestmark = pytest.mark.kernel

KEYS = (*rawtp.ALL_FIELDS, *rawtp.OPT_IN_FIELDS)
# Each tracer stamps and counts for itself.
OWN = ("ts_ns", "duration_ns", "start_ns", "seq")
PR_SET_NAME = 15

FORMATS: dict[Form, type[JsonLines] | type[Csv]] = {"jsonl": JsonLines, "csv": Csv}

libc = ctypes.CDLL(None, use_errno=True)


def rest(reader: TextReader) -> tuple[bytes, int, int]:
    """All of a closed tracer."""
    text, events, lost = b"", 0, 0
    while True:
        try:
            more, taken, gone = reader.read(timeout=0)
        except ValueError:
            return text, events, lost
        text, events, lost = text + more, events + taken, lost + gone


def own_values(text: bytes, form: Form, keys: Sequence[str], clock: Clock | None) -> list[dict[str, int | None]]:
    """The times and numbers in these lines."""
    if form == "jsonl":
        lines: Iterable[dict[str, Any]] = map(json.loads, text.splitlines())
    else:
        header = FORMATS["csv"](keys, clock).begin({})
        lines = csv.DictReader(io.StringIO(header + text.decode(), newline=""))
    found = [{key: line[key] for key in OWN if key in line} for line in lines]
    return [{key: None if value in {None, ""} else int(value) for key, value in one.items()} for one in found]


def expected(
    text: bytes, form: Form, events: Sequence[rawtp.Event], keys: Sequence[str], clock: Clock | None = None
) -> bytes:
    """What the Python format makes of the events, with the times and numbers of these lines."""
    values = own_values(text, form, keys, clock)
    assert len(values) == len(events), (values, events)
    own = [{**event, **one} for event, one in zip(events, values, strict=True)]
    return FORMATS[form](keys, clock).events(own).encode()  # type: ignore[arg-type]


class Beside:
    """Two tracers of the same calls: one gives dicts, the other lines."""

    def __init__(self, syscalls: Sequence[str] | None = None, **options: Any) -> None:
        self._dicts = of_own_family(syscalls, fields=KEYS, **options)
        self.tracer = of_own_family(syscalls, fields=KEYS, **options)

    def __enter__(self) -> Beside:
        return self

    def __exit__(self, *_: object) -> None:
        self._dicts.close()
        self.tracer.close()

    def dicts(self, count: int) -> list[rawtp.Event]:
        events: list[rawtp.Event] = []
        while len(events) < count:
            events += self._dicts.get_many(timeout=HANG_S)
        return events


@pytest.fixture(scope="module")
def beside() -> Iterator[Beside]:
    # The test's process and its helpers delete other files, too.
    with Beside(rawtp.LOSS, path="/nonexistent") as both:
        yield both


NAMES = st.binary(min_size=1, max_size=200).filter(lambda name: b"\0" not in name and b".." not in name)
TEXTS = st.text(min_size=1, max_size=60).map(
    lambda text: text.encode("utf-8", "surrogatepass").replace(b"\0", b"").replace(b"..", b"")
)
COMMS = st.binary(max_size=15)


CALLS = st.lists(st.tuples(NAMES | TEXTS, NAMES | TEXTS, COMMS, st.booleans()), min_size=1, max_size=8)


# A database would make deletions of its own.
@pytest.mark.parametrize("form", FORMATS)
@given(calls=CALLS, utc=st.sampled_from([None, True, False]))
@settings(max_examples=150, deadline=None, database=None)
def test_any_name(beside: Beside, form: Form, calls: list[tuple[bytes, bytes, bytes, bool]], utc: bool | None) -> None:
    before = Path("/proc/thread-self/comm").read_bytes().rstrip(b"\n")
    reader = TextReader(beside.tracer, form, KEYS, utc)
    for name, new, comm, is_rename in calls:
        libc.prctl(PR_SET_NAME, comm, 0, 0, 0)
        if is_rename:
            libc.rename(b"/nonexistent/" + name, new)
        else:
            libc.unlink(b"/nonexistent/" + name)
    libc.prctl(PR_SET_NAME, before, 0, 0, 0)
    text, events, lost = b"", 0, 0
    while events < len(calls):
        more, taken, gone = reader.read(timeout=HANG_S)
        text, events, lost = text + more, events + taken, lost + gone
    assert (events, lost) == (len(calls), 0)
    clock = None if utc is None else Clock(utc=utc)
    assert text == expected(text, form, beside.dicts(events), KEYS, clock)


@pytest.mark.parametrize("form", FORMATS)
@given(keys=st.permutations(KEYS), count=st.integers(1, len(KEYS)))
@settings(max_examples=40, deadline=None, database=None)
def test_any_keys_in_any_order(beside: Beside, form: Form, keys: list[str], count: int) -> None:
    chosen = [*OWN, *(key for key in keys[:count] if key not in OWN)]
    reader = TextReader(beside.tracer, form, chosen)
    for at in range(4):
        libc.unlink(b"/nonexistent/%d \xff" % at)
    text, events, _ = reader.read(timeout=HANG_S)
    assert events == 4
    assert text == expected(text, form, beside.dicts(4), chosen)


def compared(do: Callable[[], int], *syscalls: str, **options: Any) -> list[dict[str, Any]]:
    """The lines of what was done by the process whose id ``do`` returns, after the comparison."""
    with Beside(syscalls, **options) as both:
        pid = do()
        both.tracer.close()
        both._dicts.close()
        events = [event for event in both._dicts if event["pid"] == pid]
        all_lines, *_ = rest(TextReader(both.tracer, "jsonl", KEYS))
    lines = [line for line in all_lines.splitlines(keepends=True) if json.loads(line)["pid"] == pid]
    assert b"".join(lines) == expected(b"".join(lines), "jsonl", events, KEYS)
    return [json.loads(line) for line in lines]


def test_files_as_the_kernel_has_them(tmp_path: Path) -> None:
    def act() -> int:
        for name in (b"caf\xe9", "Grüße".encode(), b"plain", b'"\\\n'):
            path = os.fsencode(tmp_path) + b"/" + name
            Path(os.fsdecode(path)).write_bytes(b"content")
            os.truncate(path, 3)
            os.rename(path, path + b"2")  # noqa: PTH104
            os.unlink(path + b"2")  # noqa: PTH108
        return os.getpid()

    found = compared(act, *rawtp.LOSS)
    assert [line["action"] for line in found] == ["truncate", "rename", "delete"] * 4
    assert ["path_bytes" in line for line in found] == [True] * 3 + [False] * 9
    assert all(line["mtime_ns_str"] == str(line["mtime_ns"]) for line in found if line["mtime_ns"])


ARGUMENTS = r"""
import ctypes, os, socket, time
libc = ctypes.CDLL(None)
time.sleep(0.0123456789)
fd = os.open(b"/tmp", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
for offset in (2**53 - 1, 2**53, -(2**53), 2**62 + 1):
    libc.lseek(fd, ctypes.c_long(offset), 0)
libc.openat(-100, b"/nonexistent/caf\xe9\n", 0o1 | 1 << 28, 0)
read, write = os.pipe()
os.write(write, b"\x00\xff\"buffer\\")
socket.socket().connect_ex(("127.0.0.1", 1))
socket.socket(socket.AF_UNIX).connect_ex(b"\0abstract\xff")
libc.getppid()
try:
    os.execve(b"/nonexistent", [b"a\xff", b"", b"\\b"], {})
except OSError:
    pass
"""


def test_arguments() -> None:
    def act() -> int:
        with subprocess.Popen([sys.executable, "-c", ARGUMENTS]) as child:
            assert child.wait(HANG_S) == 0
        return child.pid

    calls = ("clock_nanosleep", "openat", "lseek", "write", "connect", "pipe2", "getppid", "execve")
    found = compared(act, *calls, buffers=64)
    offsets = [line.get("args_str") for line in found if line["syscall"] == "lseek"][-4:]
    assert offsets == [None, *({"offset": str(offset)} for offset in (2**53, -(2**53), 2**62 + 1))]
    last = found[-1]
    assert (last["syscall"], last["args"]["argv"]) == ("execve", ["a\\xff", "", "\\b"])
    assert last["args_bytes"]["argv"] == ["Yf8=", "", "XGI="]
    assert any(line["args"].get("buf_bytes") or "args_bytes" in line for line in found if line["syscall"] == "write")


def test_losses_are_in_their_place() -> None:
    with of_own_family(["unlink"], ring_bytes=65536, queue_bytes=131072) as tracer:
        reader = TextReader(tracer, "jsonl", ["lost", "seq"])
        for _ in range(20_000):
            libc.unlink(b"/nonexistent/" + b"x" * 400)
        first = reader.read(1_000_000, HANG_S)
        libc.unlink(b"/nonexistent/last")
        tracer.close()
        second = rest(reader)
        text, events, lost = first[0] + second[0], first[1] + second[1], first[2] + second[2]
        stats = tracer.stats()
    lines = [json.loads(line) for line in text.splitlines()]
    assert lost > 0
    assert [line["type"] for line in lines].count("event") == events == stats.delivered
    assert sum(line["count"] for line in lines if line["type"] == "lost") == lost == stats.lost_ring - stats.tail_lost
    for before, after in itertools.pairwise(lines):
        if before["type"] == "lost":
            assert (before["count"], before["via"], before["seq"]) == (after["lost"], "syscall", after["seq"])
        elif after["type"] == "event":
            assert after["lost"] == 0
    assert_ledger(stats)


def test_it_waits_and_ends_as_the_tracer_does() -> None:
    with of_own_family(["unlink"]) as tracer:
        reader = TextReader(tracer, "jsonl", ["filename"])
        assert reader.read(timeout=0) == (b"", 0, 0)
        timer = threading.Timer(0.1, libc.unlink, [b"/nonexistent/later"])
        timer.start()
        assert reader.read(timeout=HANG_S) == (b'{"type":"event","filename":"/nonexistent/later"}\n', 1, 0)
        timer.join()
        libc.unlink(b"/nonexistent/1")
        libc.unlink(b"/nonexistent/2")
        assert reader.read(1, HANG_S) == (b'{"type":"event","filename":"/nonexistent/1"}\n', 1, 0)
        tracer.close()
        assert reader.read() == (b'{"type":"event","filename":"/nonexistent/2"}\n', 1, 0)
        with pytest.raises(ValueError, match="the tracer is closed"):
            reader.read()
        assert tracer.stats().delivered == 3


def test_a_portion_is_bounded() -> None:
    with of_own_family(["unlink"]) as tracer:
        reader = TextReader(tracer, "jsonl", ["filename"])
        for _ in range(300):
            libc.unlink(b"/nonexistent/" + b"\xff" * 4000)
        settle(tracer, 300)
        text, events, _ = reader.read(timeout=HANG_S)
        assert 1 < events < 300
        # A line of that name has five characters for each byte, and base64 beside it.
        assert len(text) < (256 << 10) + 30_000
        taken = events
        while taken < 300:
            taken += reader.read(timeout=HANG_S)[1]


def test_what_it_refuses() -> None:
    with of_own_family(["unlink"], fields=["pid", "filename"]) as tracer:
        for fields, message in (
            (["comm"], 'the tracer was not asked for the field "comm"'),
            (["pidd"], 'unknown field "pidd"'),
            ([], "fields is empty"),
        ):
            with pytest.raises(ValueError, match=message):
                TextReader(tracer, "jsonl", fields)
        with pytest.raises(TypeError, match="fields must be an iterable of names, not a str"):
            TextReader(tracer, "jsonl", "pid")
        with pytest.raises(ValueError, match='unknown format "xml": there are jsonl and csv'):
            TextReader(tracer, "xml", ["pid"])  # type: ignore[arg-type]
        reader = TextReader(tracer, "jsonl", ["pid"])
        with pytest.raises(ValueError, match="max_events must be at least 1, not 0"):
            reader.read(0)


def test_a_reader_that_reads_is_refused_to_others() -> None:
    with of_own_family(["unlink"]) as tracer:
        reader = TextReader(tracer, "jsonl", ["pid"])

        def on_alarm(*_: object) -> None:
            with pytest.raises(RuntimeError, match="this reader is already reading"):
                reader.read(1, 0)
            libc.unlink(b"/nonexistent/end")

        before = signal.signal(signal.SIGALRM, on_alarm)
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.1)
            assert reader.read(1, HANG_S)[1] == 1
        finally:
            signal.signal(signal.SIGALRM, before)


def test_an_exception_while_it_waits_loses_nothing() -> None:
    with of_own_family(["unlink"]) as tracer:
        reader = TextReader(tracer, "jsonl", ["filename"])

        def on_alarm(*_: object) -> None:
            raise KeyboardInterrupt

        before = signal.signal(signal.SIGALRM, on_alarm)
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.1)
            with pytest.raises(KeyboardInterrupt):
                reader.read(1, HANG_S)
        finally:
            signal.signal(signal.SIGALRM, before)
        libc.unlink(b"/nonexistent/after")
        assert reader.read(timeout=HANG_S)[0] == b'{"type":"event","filename":"/nonexistent/after"}\n'
