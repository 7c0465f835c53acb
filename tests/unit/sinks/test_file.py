"""The file of -O: regular, one's own, never through a link, and a new one when asked."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from rawtp.cli.stderr import reason
from rawtp.sinks.file import File


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def refusal(path: Path) -> str | None:
    try:
        File(str(path))
    except OSError as error:
        return reason(error)
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
    for path, said in (
        (link, f"{link}: is a symbolic link"),
        (fifo, f"{fifo}: is no regular file"),
        (tmp_path, f"{tmp_path}: is a directory"),
        (Path("/dev/null"), "/dev/null: is no regular file"),
        (tmp_path / "no" / "where", f"{tmp_path}/no/where: No such file or directory"),
    ):
        assert refusal(path) == said
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert refusal(fifo) == f"{fifo}: is no regular file"
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
    # The name is still this file's: nothing to be opened, and no second session in it.
    file.on_hangup()
    assert not file.reopened()


@pytest.mark.parametrize("how", ["removed", "replaced", "moved"])
def test_another_file_of_the_name_is_noticed(how: str, tmp_path: Path) -> None:
    path, other = tmp_path / "out", tmp_path / "other"
    file = File(str(path))
    file.write("old\n")
    if how == "removed":
        path.unlink()
    elif how == "moved":
        path.rename(other)
    else:
        other.write_text("theirs\n")
        other.replace(path)
    assert file.reopened(now=True)
    assert not file.reopened(now=True)
    assert file.continues == (how == "replaced")
    file.write("new\n")
    assert path.read_text() == ("theirs\nnew\n" if how == "replaced" else "new\n")
    if how != "replaced":
        assert mode(path) == 0o600


def test_a_look_costs_little(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = File(str(tmp_path / "out"))
    now_s = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now_s)
    (tmp_path / "out").unlink()
    seen = [file.reopened() for _ in range(3)]
    now_s += 0.1
    assert [*seen, file.reopened(), file.reopened()] == [False, False, False, True, False]


@pytest.mark.parametrize(
    ("put", "said"),
    [
        (lambda path: path.symlink_to(path.parent / "target"), "is a symbolic link"),
        (lambda path: path.mkdir(), "is a directory"),
        (lambda path: os.mkfifo(path), "is no regular file"),
    ],
)
def test_what_takes_its_place_is_never_followed(put: Callable[[Path], None], said: str, tmp_path: Path) -> None:
    path = tmp_path / "out"
    file = File(str(path))
    path.unlink()
    put(path)
    with pytest.raises(OSError) as refused:  # noqa: PT011 - the text is below
        file.reopened(now=True)
    assert reason(refused.value) == f"{path}: {said}"
    assert not (tmp_path / "target").exists()


def test_a_directory_that_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "out"
    path.parent.mkdir()
    file = File(str(path))
    path.unlink()
    path.parent.rmdir()
    with pytest.raises(FileNotFoundError) as refused:
        file.reopened(now=True)
    assert reason(refused.value) == f"{path}: No such file or directory"
