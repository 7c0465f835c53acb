"""systemd's journal, by its native protocol."""

from __future__ import annotations

import os
import socket
import struct
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from helpers.receivers import ship_all
from helpers.recordings import HANG_S, delete, events, recording
from helpers.shipping import ship
from helpers.support import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from helpers import journals

pytestmark = [pytest.mark.kernel, pytest.mark.filterwarnings("ignore")]


def test_journald(tmp_path: Path) -> None:
    """The native protocol: any bytes in a value, and what is too large for a datagram as a memory file."""
    from rawtp.sinks.journald import Journald, fields

    directory, work = tmp_path / "h", tmp_path / "work"
    work.mkdir()
    raw = os.fsencode(work) + b"/\xff\nRAWTP_PATH=forged"
    with recording(directory) as recorder:
        os.close(os.open(raw, os.O_CREAT))
        os.unlink(raw)  # noqa: PTH108
        recorder.sync(HANG_S)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        journal.bind(str(tmp_path / "socket"))
        sink = Journald(str(tmp_path / "socket"))
        ship(directory, tmp_path / "s", sink)
        found = [parsed(journal.recv(1 << 20)) for _ in range(3)]
        event = next(one for one in found if one["RAWTP_TYPE"] == b"event")
        assert event["RAWTP_PATH"] == raw
        assert event["RAWTP_PID"] == b"%d" % os.getpid()
        assert event["SYSLOG_IDENTIFIER"] == b"rawtp"
        sink.open()
        record = {"type": "gap", "key": "k", "reason": "x" * (4 << 20)}
        sink._send_file(fields(record))
        _, descriptors, *_ = socket.recv_fds(journal, 1, 1)
        with open(descriptors[0], "rb") as file:  # noqa: PTH123
            file.seek(0)
            assert parsed(file.read())["RAWTP_REASON"] == b"x" * (4 << 20)
        sink.close()


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[journals.Journald]:
    from helpers import journals

    if (reason := journals.missing()) is not None:
        pytest.skip(reason)
    (tmp_path / "journal").mkdir()
    made = journals.Journald(tmp_path / "journal")
    made.start()
    yield made
    made.kill()
    made.close()


def test_a_real_journal(tmp_path: Path, journal: journals.Journald) -> None:
    """Each event is an entry with its fields, by journalctl; what it gets of a forged one is a value."""
    directory, work = tmp_path / "h", tmp_path / "work"
    work.mkdir()
    raw = os.fsencode(work) + b"/\xff\nRAWTP_UID=4711"
    with recording(directory) as recorder:
        paths = delete(work, *range(50))
        os.close(os.open(raw, os.O_CREAT))
        os.unlink(raw)  # noqa: PTH108
        recorder.sync(HANG_S)
    ship_all(directory, tmp_path / "s", journal)
    wait_for(lambda: len(journal.entries()) >= 53, "the journal has written them")
    entries = journal.entries()
    recorded = {event["seq"]: event for event in events(directory)}
    found = {int(one["RAWTP_SEQ"]): one for one in entries if one["RAWTP_TYPE"] == "event"}
    assert found.keys() == recorded.keys()
    assert {one["RAWTP_PATH"] for one in found.values() if isinstance(one["RAWTP_PATH"], str)} == {*paths}
    for seq, one in found.items():
        event = recorded[seq]
        assert (int(one["RAWTP_PID"]), int(one["RAWTP_TS_NS"])) == (event["pid"], event["ts_ns"])
        assert (one["RAWTP_ACTION"], one["RAWTP_COMM"], one["RAWTP_UID"]) == ("delete", event["comm"], str(os.getuid()))
        assert one["RAWTP_KEY"].endswith(f":{event['session']}:{event['via']}:{event['cpu']}:{seq}")
        assert one["PRIORITY"] == "6"
    # journalctl shows what is no UTF-8 as numbers.
    [hostile] = [one for one in found.values() if not isinstance(one["RAWTP_PATH"], str)]
    assert bytes(hostile["RAWTP_PATH"]) == raw
    assert hostile["MESSAGE"].endswith(f"{work}/\\xff\\x0aRAWTP_UID=4711")
    assert sorted(one["RAWTP_TYPE"] for one in entries if one["RAWTP_TYPE"] != "event") == ["session", "through"]


def test_what_is_too_large_for_a_datagram(journal: journals.Journald) -> None:
    """It goes as a sealed memory file, which journald takes."""
    from rawtp.sinks.base import Delivery, Origin
    from rawtp.sinks.journald import Journald

    sink = Journald(journal.options[1].removeprefix("unix://"))
    sink.open()
    record = {"type": "gap", "key": "k", "reason": "x" * (4 << 20)}
    sink.send(Delivery(Origin("m", "b", 1, "h"), [record]))
    sink.close()
    wait_for(lambda: bool(journal.entries()), "the journal has written it")
    [entry] = journal.entries()
    assert entry["RAWTP_REASON"] == "x" * (4 << 20)
    assert (entry["RAWTP_KEY"], entry["PRIORITY"]) == ("k", "4")


def parsed(content: bytes) -> dict[str, bytes]:
    """The fields of a datagram of the journal's protocol."""
    found = {}
    while content:
        line, _, rest = content.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            (size,) = struct.unpack("<Q", rest[:8])
            value, rest = rest[8 : 8 + size], rest[9 + size :]
        assert name.decode() not in found
        found[name.decode()] = value
        content = rest
    return found
