"""systemd's journal, by its native protocol."""

from __future__ import annotations

import os
import socket
import struct
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from helpers.recordings import HANG_S, recording
from helpers.shipping import ship

if TYPE_CHECKING:
    pass


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
