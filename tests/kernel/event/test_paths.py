"""The true path: as the process sees it, when it called, whatever it is relative to."""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import rawtp
from helpers.support import events_of, mounted, of_own_family, run, until_sentinel

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.kernel

PATH_MAX = 4096

Shown = tuple[str | None, str | None, str | None]


def shown(event: rawtp.Event) -> Shown:
    return event["path"], event["path_kind"], event["host_path"]


def in_fork(action: Callable[[], object]) -> int:
    """Does it in a fork, whose pid it gives."""
    pid = os.fork()
    if not pid:
        try:
            with suppress(OSError):
                action()
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    return pid


def in_child(action: Callable[[], object]) -> list[Shown]:
    """What a fork that does this is seen to delete."""
    with of_own_family() as tracer:
        pid = in_fork(action)
        return [shown(event) for event in events_of(tracer, pid)]


def delete(name: str | bytes, **where: int) -> None:
    with suppress(OSError):
        os.unlink(name, **where)


@pytest.mark.parametrize(
    ("name", "where"),
    [
        ("file", "/sub/file"),
        ("./file", "/sub/file"),
        ("../file", "/file"),
        ("..//x/./y/../file", "/x/file"),
        ("file/", "/sub/file"),
        (".", "/sub"),
        ("..", ""),
    ],
)
def test_relative_to_the_working_directory(tmp_path: Path, name: str, where: str) -> None:
    def action() -> None:
        os.chdir(tmp_path / "sub")
        delete(name)

    (tmp_path / "sub").mkdir()
    assert in_child(action) == [(f"{tmp_path}{where}", "cwd", None)]


def test_relative_to_a_descriptor(own: rawtp.Tracer, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    directory = os.open(tmp_path / "sub", os.O_DIRECTORY)
    (tmp_path / "sub").rename(tmp_path / "renamed since")
    delete("file", dir_fd=directory)
    delete("/absolute", dir_fd=directory)
    os.close(directory)
    delete("closed", dir_fd=directory)
    delete("never", dir_fd=1 << 30)
    assert [shown(event) for event in until_sentinel(own)] == [
        (f"{tmp_path}/renamed since/file", "dirfd", None),
        ("/absolute", "absolute", None),
        (None, None, None),
        (None, None, None),
    ]


def test_a_symbolic_link_in_the_name_is_not_followed_but_in_the_directory_it_is(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")

    def by_name() -> None:
        delete(f"{tmp_path}/link/file")

    def by_directory() -> None:
        os.chdir(tmp_path / "link")
        delete("file")

    assert in_child(by_name) == [(f"{tmp_path}/link/file", "absolute", None)]
    assert in_child(by_directory) == [(f"{tmp_path}/real/file", "cwd", None)]


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    place = os.fsencode(tmp_path) + b"/\xff\n\x1b[m"
    os.mkdir(place)  # noqa: PTH102 - bytes

    def action() -> None:
        os.chdir(place)
        delete(b"\xfe")

    assert in_child(action) == [(os.fsdecode(place + b"/\xfe"), "cwd", None)]


def test_through_mounts(tmp_path: Path) -> None:
    for name in ("source/in", "bind", "tmpfs"):
        (tmp_path / name).mkdir(parents=True)
    with (
        mounted(tmp_path / "bind", "--bind", tmp_path / "source"),
        mounted(tmp_path / "tmpfs", "-t", "tmpfs", "none"),
    ):
        (tmp_path / "tmpfs" / "deep" / "er").mkdir(parents=True)
        for name in ("bind/in", "bind", "tmpfs/deep/er", "tmpfs"):

            def action(name: str = name) -> None:
                os.chdir(tmp_path / name)
                delete("file")

            assert in_child(action) == [(f"{tmp_path}/{name}/file", "cwd", None)]


def test_through_an_overlay(tmp_path: Path) -> None:
    # The first mount of it loads the module, where there is one to load.
    refused = subprocess.run(["mount", "-t", "overlay", "none", tmp_path], capture_output=True, text=True, check=False)
    if "unknown filesystem type" in refused.stderr:
        pytest.skip("this kernel has no overlayfs")
    for name in ("layers", "overlay"):
        (tmp_path / name).mkdir()
    with mounted(tmp_path / "layers", "-t", "tmpfs", "none"):
        for name in ("lower/in", "upper", "work"):
            (tmp_path / "layers" / name).mkdir(parents=True)
        layers = ",".join(f"{kind}dir={tmp_path}/layers/{kind}" for kind in ("lower", "upper", "work"))
        with mounted(tmp_path / "overlay", "-t", "overlay", "overlay", "-o", layers):

            def in_overlay() -> None:
                os.chdir(tmp_path / "overlay" / "in")
                delete("file")

            assert in_child(in_overlay) == [(f"{tmp_path}/overlay/in/file", "cwd", None)]


def test_in_a_chroot(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    outside = os.open("/", os.O_DIRECTORY)

    def action() -> None:
        os.chroot(tmp_path)
        os.chdir("/sub")
        delete("file")
        delete("../../../file")
        delete("/sub/../absolute")
        delete("etc/passwd-not-there", dir_fd=outside)

    assert in_child(action) == [
        ("/sub/file", "cwd", f"{tmp_path}/sub/file"),
        ("/file", "cwd", f"{tmp_path}/file"),
        ("/absolute", "absolute", f"{tmp_path}/absolute"),
        (None, None, "/etc/passwd-not-there"),
    ]
    os.close(outside)


def test_in_another_mount_namespace(tracer: rawtp.Tracer, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    script = 'mount -t tmpfs none "$0" && cd "$0" && exec unlink file'
    pid = run(["unshare", "-m", "sh", "-c", script, tmp_path / "new"])
    assert [shown(event) for event in events_of(tracer, pid)] == [(f"{tmp_path}/new/file", "cwd", None)]


def test_a_deleted_directory(tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()

    def action() -> None:
        os.chdir(tmp_path / "gone")
        (tmp_path / "gone").rmdir()
        delete("file")

    removed, inside = in_child(action)
    assert removed == (f"{tmp_path}/gone", "absolute", None)
    assert inside == (f"{tmp_path}/gone/file", "partial", None)


def test_a_lazily_unmounted_directory(tmp_path: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "none", tmp_path], check=True)
    (tmp_path / "in").mkdir()

    def action() -> None:
        os.chdir(tmp_path / "in")
        subprocess.run(["umount", "-l", tmp_path], check=True)
        delete("file")

    # It has no place under the root any more, and so only the end of a path.
    assert in_child(action)[-1:] == [("in/file", "partial", None)]


@pytest.mark.parametrize(
    ("depth", "name"), [(100, "d"), (700, "d"), (1900, "d"), (3000, "d"), (15, "d" * 250), (17, "d" * 250)]
)
def test_deep_directories(deep_place: Path, depth: int, name: str) -> None:
    def action() -> None:
        os.chdir(deep_place)
        for _ in range(depth):
            os.mkdir(name)  # noqa: PTH102 - deeper than a path can say
            os.chdir(name)
        delete("file")

    whole = str(deep_place) + f"/{name}" * depth + "/file"
    [(path, kind, host_path)] = in_child(action)
    assert host_path is None
    if len(whole) < PATH_MAX:
        assert (path, kind) == (whole, "cwd")
    else:
        # What does not fit says so, and is the end of the truth.
        assert kind == "partial"
        assert path is not None
        assert whole.endswith(f"/{path}")
        assert len(path) > PATH_MAX - len(name) - len("//file")


@pytest.mark.parametrize("old", ["old", "/old"])
def test_a_new_directory_that_cannot_be_walked_whole(deep_place: Path, old: str) -> None:
    def action() -> None:
        before = os.open(deep_place, os.O_DIRECTORY)
        os.chdir(deep_place)
        for _ in range(3000):
            os.mkdir("d")  # noqa: PTH102 - deeper than a path can say
            os.chdir("d")
        with suppress(OSError):
            os.rename(old, "new", src_dir_fd=before)
        with suppress(OSError):
            os.rename("new", old, dst_dir_fd=before)

    with of_own_family(rawtp.DELETE + rawtp.RENAME) as tracer:
        pid = in_fork(action)
        deep, shallow = events_of(tracer, pid)
    old_path = old if old == "/old" else f"{deep_place}/old"
    assert (deep["path"], deep["path_kind"]) == (old_path, "partial")
    assert deep["new_path"] is not None
    assert f"{deep_place}{'/d' * 3000}/new".endswith(f"/{deep['new_path']}")
    assert (shallow["new_path"], shallow["path_kind"]) == (old_path, "partial")
    assert shallow["path"] == deep["new_path"]


def test_an_empty_name_and_one_that_cannot_be_read_have_no_path(own: rawtp.Tracer) -> None:
    delete("")
    assert [shown(event) for event in until_sentinel(own)] == [(None, None, None)]
