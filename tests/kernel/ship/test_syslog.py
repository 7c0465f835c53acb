"""syslog by the local socket."""

from __future__ import annotations

import json
import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from helpers.recordings import HANG_S
from helpers.shipping import ship, small

if TYPE_CHECKING:
    pass


pytestmark = [pytest.mark.kernel, pytest.mark.filterwarnings("ignore")]


def test_syslog_by_a_local_socket(tmp_path: Path) -> None:
    from rawtp.sinks.syslog import Syslog

    directory = tmp_path / "h"
    small(directory, tmp_path / "work")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        log.bind(str(tmp_path / "log"))
        log.settimeout(HANG_S)
        lines: list[bytes] = []
        # The kernel keeps ten datagrams for a socket that nobody reads.
        reader = threading.Thread(target=lambda: lines.extend(log.recv(65536) for _ in range(22)))
        reader.start()
        ship(directory, tmp_path / "s", Syslog(f"unix://{tmp_path}/log", settle_s=0.1))
        reader.join(HANG_S)
    documents = [json.loads(line.partition(b"@cee:")[2]) for line in lines]
    assert [one["type"] for one in documents].count("event") == 20
    assert all(line.startswith(b"<29>") for line in lines)
