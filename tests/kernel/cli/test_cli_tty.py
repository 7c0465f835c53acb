"""The command line on a terminal: a table that no file name can write on."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import pytest

from helpers.support import UNLINK
from helpers.terminals import COMM, PATIENCE_S, attempt, own_user, terminal

pytestmark = pytest.mark.kernel

HEADER = (
    "TIME             PID USER     BY                                 ACTION   SYSCALL     RESULT            SIZE PATH"
)


def test_a_terminal_gets_a_table(tmp_path: Path) -> None:
    with terminal(TZ="UTC") as tty:
        tty.until_shown(tmp_path / "file")
        code = tty.press(b"\x03")
    assert code == 0
    header, first, *_ = tty.lines()
    assert header == HEADER
    at = HEADER.index("ACTION")
    # What started this process is known where it was forked while something watched, or still runs.
    assert re.fullmatch(rf" *{os.getpid()} {own_user():<8} {re.escape(COMM)}( ← .+|) *", first[13:at])
    # The size, where the kernel shows the file.
    assert re.fullmatch(rf"delete   {UNLINK:<11} ok           +(-|0) {re.escape(str(tmp_path))}/file", first[at:])
    assert tty.written.count(b"TIME") == 1


def test_ctrl_c_ends_it_with_the_ledger(tmp_path: Path) -> None:
    with terminal() as tty:
        tty.until_shown(tmp_path / "file")
        # The terminal throws away what was not read by the time of a ^C (termios(3), NOFLSH).
        tty.all_shown(tmp_path / "last")
        code = tty.press(b"\x03\x03\x03")
    assert code == 0
    assert b"Traceback" not in tty.written
    # The terminal echoes ^C at the start of a line; what comes after it starts on a line of its own.
    outcome, rest = tty.lines()[-2:]
    again = re.findall(rb"-- the same (?:(\d+) times|once) more", tty.written)
    delivered = tty.written.count(f"{tmp_path}/file\r\n".encode()) + 1 + sum(int(count or 1) for count in again)
    assert outcome == f"rawtp: {delivered} events delivered, 0 lost"
    assert b"matched" not in tty.written
    assert rest == ""


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (b"\x1b]0;owned\x07\x1b[2J\x1b[H", r"\x1b]0;owned\x07\x1b[2J\x1b[H"),
        (b"one\r\ntwo\x08\x7f", r"one\x0d\x0atwo\x08\x7f"),
        ("\x9b31m\u202egnp\u2066.\u2028".encode(), r"\u009b31m\u202egnp\u2066.\u2028"),
        (b"caf\xe9 \xff\\", r"caf\xe9 \xff\\"),
        ("e\u0301 日本".encode(), "e\u0301 日本"),
    ],
)
def test_no_name_acts_on_the_terminal(name: bytes, shown: str, tmp_path: Path) -> None:
    with terminal(columns=300) as tty:
        tty.until_shown(tmp_path / "first")
        hostile = os.fsencode(tmp_path) + b"/" + name
        with open(hostile, "wb"):  # noqa: PTH123
            pass
        os.unlink(hostile)  # noqa: PTH108
        tty.until_shown(tmp_path / "last")
        code = tty.press(b"\x03")
    assert code == 0
    rows = [line for line in tty.lines() if f" {UNLINK} " in line]
    assert [row for row in rows if re.search(rf" ok +\S+ {re.escape(f'{tmp_path}/{shown}')}$", row)]
    assert all(line.isprintable() for line in tty.lines())


def test_a_thread_name_is_as_hostile(tmp_path: Path) -> None:
    comm = Path("/proc/self/comm")
    own = comm.read_text().rstrip("\n")
    with terminal() as tty:
        tty.until_shown(tmp_path / "first")
        comm.write_bytes(b"\x1b[31m\xff\n")
        try:
            (tmp_path / "file").touch()
            (tmp_path / "file").unlink()
        finally:
            comm.write_text(own)
        tty.until_shown(tmp_path / "last")
        tty.press(b"\x03")
    [row] = [line for line in tty.lines() if line.endswith(f"{tmp_path}/file")]
    assert r" \x1b[31m\xff\x0a " in row
    assert row.isprintable()


def test_jsonl_can_be_asked_for(tmp_path: Path) -> None:
    with terminal("-o", "jsonl") as tty:
        deadline_s = time.monotonic() + PATIENCE_S
        while not re.search(rb'\n\{"type":"event","ts_ns":.*/file",.*\}\r\n', tty.written):
            assert time.monotonic() < deadline_s, tty.written
            (tmp_path / "file").touch()
            (tmp_path / "file").unlink()
            tty.read(0.05)
        assert tty.press(b"\x03") == 0
    assert HEADER.encode() not in tty.written


def test_repeats_are_folded_and_none_is_lost(tmp_path: Path) -> None:
    with terminal("-s", "delete") as tty:
        tty.until_shown(tmp_path / "sentinel")
        tty.all_shown(tmp_path / "begin")
        before = len(tty.written)
        for _ in range(40):
            attempt(f"{tmp_path}/missing")
        tty.all_shown(tmp_path / "end")
        lines = tty.written[before:].decode().split("\r\n")
        assert tty.press(b"\x03") == 0
    rows = [line for line in lines if line.endswith(f"{tmp_path}/missing")]
    folded = [re.fullmatch(r"-- the same (once|(\d+) times) more, until [0-9:.]{12} --", line) for line in lines]
    assert len(rows) == 1
    assert sum(int(found[2] or 1) for found in folded if found) == 39
