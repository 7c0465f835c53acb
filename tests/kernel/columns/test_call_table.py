"""``batch.table(call)``: that call's arguments as typed columns, the same values as in the events."""

# ruff: noqa: PTH118 - names of bytes
from __future__ import annotations

import ctypes
import os
import socket
import struct
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

import rawtp
from helpers.frames import module
from helpers.support import HANG_S
from rawtp.syscalls import number

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.kernel

FIELDS = ("pid", "syscall", "ret", "args", "errno")
CALLS = ("openat", "openat2", "connect", "execve", "utimensat", "pipe2", "write", "fcntl")
BESIDE = ["pid", "syscall", "ret", "errno"]
AT_FDCWD = -100

libc = ctypes.CDLL(None, use_errno=True)


def recorded(action: Callable[[], object], *, calls: tuple[str, ...] = CALLS, **options: Any) -> tuple[Any, list[Any]]:
    """A batch of what this thread does, and the same events as dicts, by another tracer."""
    given: dict[str, Any] = {"fields": FIELDS, "pid": os.getpid(), "when": "always", **options}
    with rawtp.Tracer(calls, **given) as tracer, rawtp.Tracer(calls, **given) as other:
        # The making of one tracer is a part of what the other sees.
        for one in (tracer, other):
            while one.get_many(timeout=0):
                pass
        action()
        batch = tracer.batch(timeout=HANG_S)
        events = other.get_many(timeout=HANG_S)
    return batch, events


def plain(value: Any) -> Any:
    """A value as a reader of columns has it."""
    return [*value] if isinstance(value, tuple) else value


def rows_of(batch: rawtp.Batch, call: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = module("pyarrow").table(batch.table(call)).to_pylist()
    return rows


def opens(place: Path) -> None:
    for name, flags in [("made", os.O_RDWR | os.O_CREAT), ("gone", os.O_RDONLY), ("made", os.O_WRONLY | os.O_APPEND)]:
        with suppress(FileNotFoundError):
            os.close(os.open(place / name, flags, 0o640))
    for odd in (b'\xff\\xff"\n\x7f', b"\xc3\xa9"):
        libc.syscall(number("openat"), AT_FDCWD, os.path.join(os.fsencode(place), odd), 0)
    libc.syscall(number("openat"), 7, None, 0)


def test_the_columns_of_openat_are_the_arguments(tmp_path: Path) -> None:
    batch, events = recorded(lambda: opens(tmp_path))
    opened = [event for event in events if event["syscall"] == "openat"]
    rows = rows_of(batch, "openat")
    own = [event["args"] for event in opened]
    for key in ("dirfd", "flags", "mode"):
        assert [row[key] for row in rows] == [plain(args[key]) for args in own]
    paths = [args["pathname"] for args in own]
    shown = [path and path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace") for path in paths]
    assert [row["pathname"] for row in rows] == shown
    lossy = os.fsencode(tmp_path) + b'/\xff\\xff"\n\x7f'
    assert [row["pathname_bytes"] for row in rows if row["pathname_bytes"]] == [lossy]
    assert [(row["ret"], row["errno"]) for row in rows] == [(event["ret"], event["errno"]) for event in opened]
    by_name = {row["pathname"]: row for row in rows}
    made = [row["mode"] for row in rows if {"O_RDWR", "O_CREAT"} <= set(row["flags"])]
    assert made == [0o640]
    assert by_name[f"{tmp_path}/gone"]["errno"] == "ENOENT"
    assert by_name[None]["dirfd"] == 7
    assert {row["syscall"] for row in rows} == {"openat"}
    assert list(rows[0]) == [*BESIDE, "dirfd", "pathname", "pathname_bytes", "flags", "mode"]


def test_types_do_not_follow_from_what_came() -> None:
    pa = module("pyarrow")
    batch, _ = recorded(lambda: os.close(os.open("/", os.O_RDONLY)))
    texts = pa.list_(pa.field("item", pa.string(), nullable=False))
    how = [("flags", texts), ("mode", pa.uint64()), ("resolve", texts)]
    for call, types in {
        "openat": [pa.int64(), pa.string(), pa.binary(), texts, pa.uint64()],
        "openat2": [pa.int64(), pa.string(), pa.binary(), pa.struct(how), pa.uint64()],
        "connect": [pa.int64(), pa.string(), pa.binary(), pa.int64()],
        "write": [pa.int64(), pa.binary(), pa.uint64()],
    }.items():
        schema = pa.schema(batch.table(call))
        assert schema.types[4:] == types, call
    assert (len(batch.table("openat")), len(batch.table("connect"))) == (1, 0)


def test_structures_addresses_lists_and_buffers(tmp_path: Path) -> None:
    address = tmp_path / "socket"

    def act() -> None:
        how = struct.pack("<3Q", os.O_RDONLY, 0, 0x08)
        libc.syscall(number("openat2"), AT_FDCWD, b"gone/file", how, 24)
        libc.syscall(number("openat2"), AT_FDCWD, b"gone/file", None, 24)
        with socket.socket(socket.AF_UNIX) as peer, pytest.raises(FileNotFoundError):
            peer.connect(str(address))
        times = struct.pack("4q", 1, 500_000_000, 0, 0x3FFFFFFF)
        libc.syscall(number("utimensat"), AT_FDCWD, os.fsencode(address), times, 0)
        for end in os.pipe():
            os.close(end)
        one, other = socket.socketpair()
        with one, other:
            one.send(b"\0\xff secret")
            other.send(b"\0\xff secret")

    calls = ("openat2", "connect", "utimensat", "pipe2", "sendto")
    batch, events = recorded(act, calls=calls, buffers=4)
    first, second = rows_of(batch, "openat2")
    assert first["how"] == {"flags": ["O_RDONLY"], "mode": 0, "resolve": ["RESOLVE_BENEATH"]}
    assert (second["how"], second["errno"], second["size"]) == (None, "EFAULT", 24)
    [connect] = rows_of(batch, "connect")
    assert (connect["addr"], connect["errno"]) == (str(address), "ENOENT")
    [times] = rows_of(batch, "utimensat")
    assert (times["times[0]"], times["times[0]_word"]) == (1.5, None)
    assert (times["times[1]"], times["times[1]_word"]) == (None, "UTIME_NOW")
    [pipe] = rows_of(batch, "pipe2")
    assert pipe["pipefd"] == plain(next(event["args"]["pipefd"] for event in events if event["syscall"] == "pipe2"))
    assert [row["buf"] for row in rows_of(batch, "sendto")] == [b"\0\xff s"] * 2
    # The dicts of batches have the same, of the same types.
    assert [event["args"] for event in batch.to_dicts()] == [event["args"] for event in events]
    sent: list[Any] = batch.table("sendto").to_dicts()
    assert [row["buf"] for row in sent] == [b"\0\xff s"] * 2


def test_arguments_of_a_program() -> None:
    with rawtp.Tracer(["execve"], fields=FIELDS, pid=os.getpid(), follow=True) as tracer:
        subprocess.run([b"/bin/true", b"a\xff", b"", b"\xc3\xa9"], check=True)
        batch = tracer.batch(timeout=HANG_S)
    [row] = [row for row in rows_of(batch, "execve") if row["errno"] is None]
    assert row["argv"] == ["/bin/true", "a\\xff", "", "\u00e9"]
    assert row["argv_bytes"] == [b"/bin/true", b"a\xff", b"", b"\xc3\xa9"]
    assert row["pathname"] == "/bin/true"


def test_an_argument_with_the_name_of_a_key(tmp_path: Path) -> None:
    """The key of the event keeps it, as in each other batch."""
    batch, events = recorded(lambda: os.close(os.open(tmp_path, os.O_RDONLY)), fields=("flags", "mode", *FIELDS))
    [row] = rows_of(batch, "openat")
    [event] = [event for event in events if event["syscall"] == "openat"]
    assert row["flags"] == os.O_RDONLY | os.O_CLOEXEC == event["flags"]
    assert (row["arg_flags"], row["mode"], row["arg_mode"]) == (["O_RDONLY", "O_CLOEXEC"], event["mode"], None)
    dicts: list[Any] = batch.table("openat").to_dicts()
    [dict_] = dicts
    assert dict_["flags"] == event["flags"]
    assert dict_["arg_flags"] == ("O_RDONLY", "O_CLOEXEC")
    assert "args" not in dict_


def test_all_calls_and_other_readers(tmp_path: Path) -> None:
    """The table of one call out of a batch of all, as polars and DuckDB have it; and a file of Arrow's."""
    with rawtp.Tracer("all", fields=FIELDS, pid=os.getpid(), follow=True) as tracer:
        subprocess.run(["cat", "/etc/hostname", "/nonexistent/x"], check=False, capture_output=True)
        batch = tracer.batch(timeout=HANG_S)
    opened = batch.table("openat")
    rows: list[Any] = batch.to_dicts()
    names = [row["args"]["pathname"] for row in rows if row["syscall"] == "openat"]
    assert "/nonexistent/x" in names
    frame = module("polars").DataFrame(opened)
    assert frame["pathname"].to_list() == names
    duckdb = module("duckdb")
    assert opened is not None
    found = duckdb.sql("select errno, dirfd from opened where pathname = '/nonexistent/x'").fetchall()
    assert found == [("ENOENT", AT_FDCWD)]
    # What has no arguments of its own has its columns none the less.
    assert module("pyarrow").table(batch.table("getppid")).column_names == BESIDE
    assert f"<rawtp.Batch {len(names)} rows of 9 fields>" == repr(opened)
    assert "openat" in opened._repr_html_()
    first: Any = opened.to_dicts()[0]
    assert first["pathname"] == names[0]


def test_refusals() -> None:
    with rawtp.Tracer(["openat", "close"], fields=FIELDS, pid=os.getpid(), when="always") as tracer:
        os.close(os.open("/", os.O_RDONLY))
        batch = tracer.batch(timeout=HANG_S)
    for call, reason in {
        "opnat": 'no system call of this machine is named "opnat": did you mean "openat"?',
        "read": '"read" is not watched, only openat, close',
        "openat2": '"openat2" is not watched, only openat, close: did you mean "openat"?',
    }.items():
        with pytest.raises(ValueError, match="a") as raised:
            batch.table(call)
        assert str(raised.value) == reason
    with pytest.raises(TypeError, match="call must be a str, not int"):
        batch.table(1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="a table is made of a batch of a"):
        batch.table("openat").table("openat")
    with rawtp.Tracer(["openat"], fields=["pid", "syscall"], pid=os.getpid()) as tracer:
        batch = tracer.batch(timeout=0)
    with pytest.raises(ValueError, match='needs the fields "syscall" and "args", and this batch is without "args"'):
        batch.table("openat")
