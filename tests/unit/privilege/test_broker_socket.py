"""The broker's socket: with its group and mode from the first moment on, wherever it is made."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from rawtp._privilege import broker_socket
from rawtp._privilege.broker_socket import Listener, listen

NOGROUP = 65534
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="groups of others are root's to give")


@pytest.fixture
def group(monkeypatch: pytest.MonkeyPatch) -> str:
    import grp

    return grp.getgrgid(NOGROUP).gr_name


def owned(path: Path) -> tuple[int, int, int]:
    found = path.lstat()
    return found.st_mode & 0o7777, found.st_uid, found.st_gid


def after_bind(monkeypatch: pytest.MonkeyPatch, do: object) -> None:
    """Does that as soon as the name is there, as whoever watches the directory can."""
    bind = socket.socket.bind

    def bind_then(self: socket.socket, address: bytes) -> None:
        bind(self, address)
        do()  # type: ignore[operator]

    monkeypatch.setattr(Listener, "bind", bind_then)


def test_it_is_made_with_its_group_and_mode(tmp_path: Path, group: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path, seen = tmp_path / "socket", []
    after_bind(monkeypatch, lambda: seen.append(owned(path)))
    before = os.umask(0o027)
    try:
        with listen(str(path), group):
            assert owned(path) == (0o660, 0, NOGROUP)
        assert os.umask(0o027) == 0o027
        assert os.getegid() == 0
    finally:
        os.umask(before)
    assert seen == [(0o660, 0, NOGROUP)]
    assert not path.exists()


def test_without_a_group_only_its_owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, seen = tmp_path / "socket", []
    after_bind(monkeypatch, lambda: seen.append(owned(path)))
    with listen(str(path), None):
        pass
    assert seen == [(0o600, 0, 0)]


@pytest.mark.parametrize("kind", ["symbolic link", "hard link", "file"])
@pytest.mark.parametrize("inherits", [False, True])
def test_what_is_put_in_its_place_is_not_touched(
    tmp_path: Path, group: str, monkeypatch: pytest.MonkeyPatch, kind: str, inherits: bool
) -> None:
    """A file of root's, for which whoever can write to the directory swaps the socket."""
    secret, directory = tmp_path / "secret", tmp_path / "directory"
    secret.write_text("root's")
    secret.chmod(0o600)
    directory.mkdir()
    if inherits:  # all in it has another group, which is to be set right after the bind
        os.chown(directory, -1, 4321)
        directory.chmod(0o2777)
    path = directory / "socket"

    def swap() -> None:
        path.rename(directory / "real")
        if kind == "symbolic link":
            path.symlink_to(secret)
        elif kind == "hard link":
            path.hardlink_to(secret)
        else:
            path.write_text("theirs")

    after_bind(monkeypatch, swap)
    with pytest.raises(OSError, match=r"cannot listen at .*: somebody else has put another file there meanwhile"):
        listen(str(path), group)
    assert owned(secret) == (0o600, 0, 0)
    assert secret.read_text() == "root's"
    assert path.read_text() == ("theirs" if kind == "file" else "root's")  # it is not removed, either


def test_in_a_directory_that_gives_its_group_to_all(tmp_path: Path, group: str) -> None:
    os.chown(tmp_path, -1, 4321)
    tmp_path.chmod(0o2770)
    path = tmp_path / "socket"
    with listen(str(path), group):
        assert owned(path) == (0o660, 0, NOGROUP)


def test_its_end_removes_nothing_of_others(tmp_path: Path) -> None:
    directory, moved, target = tmp_path / "directory", tmp_path / "moved", tmp_path / "target"
    for made in (directory, target):
        made.mkdir()
    (target / "socket").write_text("root's")
    listener = listen(str(directory / "socket"), None)
    directory.rename(moved)
    directory.symlink_to(target)
    listener.close()
    assert (target / "socket").read_text() == "root's"
    assert list(moved.iterdir()) == []  # its own


def test_what_has_taken_its_place_stays(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    listener = listen(str(path), None)
    path.unlink()
    path.write_text("another's")
    listener.close()
    assert path.read_text() == "another's"


def test_a_dead_socket_is_taken_over_and_others_are_not(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as dead:
        dead.bind(str(path))
    with listen(str(path), None):
        pass
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as full:
        full.bind(str(path))
        full.listen(0)
        peers = []
        while True:
            peer = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            peer.setblocking(False)
            peers.append(peer)
            try:
                peer.connect(str(path))
            except BlockingIOError:
                break
        with pytest.raises(OSError, match="another broker listens there"):  # and it does not wait for it
            listen(str(path), None)
        for peer in peers:
            peer.close()
    path.unlink()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
        other.bind(str(path))
        other.listen()
        with pytest.raises(OSError, match="there is a socket of something else"):
            listen(str(path), None)
    assert path.exists()


@pytest.mark.parametrize("path", ["", "/tmp/" + "x" * 103])
def test_a_path_that_none_can_have(path: str) -> None:
    with pytest.raises(OSError, match="--socket must be a path of 1 to 107 bytes, not '"):
        listen(path, None)


def test_the_kernel_lets_as_many_wait_as_it_allows(tmp_path: Path) -> None:
    allowed = int(Path("/proc/sys/net/core/somaxconn").read_text())
    peers: list[socket.socket] = []
    with listen(str(tmp_path / "socket"), None):
        try:
            for _ in range(300):
                peer = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                peers.append(peer)
                peer.setblocking(False)
                peer.connect(str(tmp_path / "socket"))
        except BlockingIOError:
            pass
        assert len(peers) == min(300, allowed + 2)
        for peer in peers:
            peer.close()
    assert broker_socket.BACKLOG == 4096
