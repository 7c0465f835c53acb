"""The file of -O: regular, one's own, never through a link, and a new one when asked."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from rawtp.output import File


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def refusal(path: Path) -> str | None:
    try:
        File(str(path))
    except OSError as error:
        return error.strerror
    return None


def test_it_is_made_for_its_owner_and_appended_to(tmp_path: Path) -> None:
    path = tmp_path / "out"
    old = os.umask(0)
    try:
        first = File(str(path))
    finally:
        os.umask(old)
    assert (mode(path), first.continues, first.is_terminal) == (0o600, False, False)
    first.write("one\n")
    second = File(str(path))
    assert second.continues
    second.write("\u65e5\n")
    first.write("three\n")
    assert path.read_bytes() == "one\n\u65e5\nthree\n".encode()


def test_a_line_that_was_cut_off_stays_alone(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_text('{"type":"ev')
    File(str(path)).write("next\n")
    assert path.read_text() == '{"type":"ev\nnext\n'


def test_it_is_closed_in_programs_that_are_started(tmp_path: Path) -> None:
    assert not os.get_inheritable(File(str(tmp_path / "out"))._fd)


def test_what_is_no_regular_file_is_refused(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.touch()
    link = tmp_path / "link"
    link.symlink_to(target)
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    for path, reason in (
        (link, f"{link} is a symbolic link"),
        (fifo, f"{fifo} is no regular file"),
        (tmp_path, f"{tmp_path} is a directory"),
        (Path("/dev/null"), "/dev/null is no regular file"),
        (tmp_path / "no" / "where", f"{tmp_path}/no/where: No such file or directory"),
    ):
        assert refusal(path) == reason
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert refusal(fifo) == f"{fifo} is no regular file"
    finally:
        os.close(reader)


def test_a_hangup_opens_it_anew(tmp_path: Path) -> None:
    path = tmp_path / "out"
    file = File(str(path))
    file.write("old\n")
    assert not file.reopened()
    path.rename(tmp_path / "out.1")
    file.on_hangup()
    assert file.reopened()
    assert not file.reopened()
    file.write("new\n")
    assert (path.read_text(), (tmp_path / "out.1").read_text()) == ("new\n", "old\n")
    file.on_hangup()
    assert file.reopened()
    assert file.continues
