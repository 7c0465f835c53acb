"""A `path=` is followed through symbolic links, and so is the name that a call passes."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import pytest

import rawtp
from helpers.support import HANG_S

pytestmark = pytest.mark.kernel


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """``real/below``, a directory with the file ``x`` beside it, and ``link``, which leads to ``real``."""
    (tmp_path / "real/below").mkdir(parents=True)
    (tmp_path / "real/x").write_text("content")
    (tmp_path / "link").symlink_to("real")
    return tmp_path


def seen(tracer: rawtp.Tracer) -> list[tuple[str | None, str | None, str | None]]:
    tracer.close()
    return [(event["path"], event["real_path"], event["real_path_by"]) for event in tracer]


def surely(tracer: rawtp.Tracer) -> str:
    """How the place of a longer name is known: a hook on the kernel's functions needs no look-up."""
    return "kernel" if tracer.coverage["truth"]["hook"] else "lookup"


@pytest.mark.parametrize("wanted", ["link", "link/x", "link//./below/../x", "real", "real/x", "li*/x", "link/?"])
@pytest.mark.parametrize("name", ["link/x", "real/x", "link/below/../x", "link/../real/./x"])
def test_both_ways_round(tree: Path, wanted: str, name: str) -> None:
    is_glob = wanted == "li*/x"
    with rawtp.Tracer(pid=os.getpid(), path=tree / wanted) as tracer:
        os.unlink(tree / name)  # noqa: PTH108 - as it is spelled
    # What a special part matches is compared with real paths, which have no link in them.
    assert seen(tracer) == ([] if is_glob else [(os.path.normpath(tree / name), f"{tree}/real/x", surely(tracer))])


def test_the_name_in_its_directory_needs_no_look_up(tree: Path) -> None:
    with rawtp.Tracer(pid=os.getpid(), path=tree / "link") as tracer:
        directory = os.open(tree / "link", os.O_DIRECTORY)
        os.unlink("x", dir_fd=directory)
        os.close(directory)
    assert seen(tracer) == [(f"{tree}/real/x", f"{tree}/real/x", "kernel")]


def test_the_text_alone_accuses_nobody(tree: Path) -> None:
    """``..`` behind a link is not what the text makes of it."""
    (tree / "far").symlink_to("real/below")
    (tree / "x").touch()
    with (
        rawtp.Tracer(pid=os.getpid(), path=tree / "x") as untouched,
        rawtp.Tracer(pid=os.getpid(), path=tree / "real/x") as tracer,
    ):
        os.unlink(tree / "far/../x")  # noqa: PTH108
    assert (tree / "x").exists()
    assert not (tree / "real/x").exists()
    assert seen(untouched) == []
    assert seen(tracer) == [(f"{tree}/x", f"{tree}/real/x", surely(tracer))]


def test_the_link_itself(tree: Path) -> None:
    """It is removed, not followed, by all but truncations."""
    with (
        rawtp.Tracer(pid=os.getpid(), path=tree / "link") as link,
        rawtp.Tracer(pid=os.getpid(), path=tree / "real") as real,
    ):
        (tree / "link").unlink()
    assert seen(link) == [(f"{tree}/link", f"{tree}/link", surely(link))]
    assert seen(real) == []


def test_content_goes_through_the_last_link(tree: Path) -> None:
    (tree / "log").symlink_to("real/x")
    path = tree / "real/x"
    for by in (tree / "log", path):
        path.write_text("content")
        descriptor = os.open(path, os.O_RDWR)
        with rawtp.Tracer(rawtp.TRUNCATE, pid=os.getpid(), path=tree / "real") as tracer:
            os.close(os.open(by, os.O_WRONLY | os.O_TRUNC))
            os.close(os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_TRUNC))
            os.pwrite(descriptor, b"content", 0)
            os.truncate(by, 3)
            os.ftruncate(descriptor, 0)
        os.close(descriptor)
        tracer.close()
        events = list(tracer)
        assert [event["real_path"] for event in events] == [str(path)] * 4
        assert [event["real_path_by"] for event in events] == ["kernel", "kernel", surely(tracer), "kernel"]
        assert [event["length"] for event in events] == [0, 0, 3, 0]
        has_hook = surely(tracer) == "kernel"
        assert [event["size"] for event in events] == ([7, 0, 7, 3] if has_hook else [None, None, None, 3])


def test_a_link_to_nowhere(tree: Path) -> None:
    (tree / "dangling").symlink_to("nowhere")
    with rawtp.Tracer(pid=os.getpid(), path=tree / "dangling/x") as tracer:
        (tree / "nowhere").mkdir()
        (tree / "nowhere/x").touch()
        (tree / "nowhere/x").unlink()
    assert seen(tracer) == [(f"{tree}/nowhere/x", f"{tree}/nowhere/x", surely(tracer))]


def test_a_link_that_is_changed_is_followed_anew(tree: Path) -> None:
    (tree / "next").mkdir()
    (tree / "next/x").touch()
    with rawtp.Tracer(rawtp.DELETE + rawtp.RENAME, pid=os.getpid(), path=tree / "link") as tracer:
        (tree / "new").symlink_to("next")
        (tree / "new").rename(tree / "link")
        assert [event["action"] for event in tracer.get_many(timeout=HANG_S)] == ["rename"]
        (tree / "next/x").unlink()
        (tree / "real/x").unlink()
        tracer.close()
        assert [event["real_path"] for event in tracer] == [f"{tree}/next/x"]


@pytest.mark.parametrize("is_there", [True, False])
def test_a_link_that_is_made_while_nothing_happens(is_there: bool, tmp_path: Path) -> None:
    """The kernel leaves out what the filter did not mean, so that no event makes a waiting reader look again."""
    link, before, behind = tmp_path / "link", tmp_path / "before", tmp_path / "behind"
    before.mkdir()
    behind.mkdir()
    if is_there:
        link.symlink_to(before)
    found: list[rawtp.Event | None] = []
    descriptor = os.open(behind, os.O_PATH)
    try:
        with rawtp.Tracer(path=link, pid=os.getpid()) as tracer:
            reader = threading.Thread(target=lambda: found.append(tracer.get(timeout=HANG_S)))
            reader.start()
            # A rename, which is not watched.
            (tmp_path / "new").symlink_to(behind)
            (tmp_path / "new").rename(link)
            while reader.is_alive():
                (behind / "x").touch()
                os.unlink("x", dir_fd=descriptor)
                reader.join(0.3)
    finally:
        os.close(descriptor)
    assert [event and event["path"] for event in found] == [str(behind / "x")]


def test_nothing_is_warned_of(tree: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rawtp.Tracer(pid=os.getpid(), path=tree / "link").close()
    command = [sys.executable, "-m", "rawtp", "-P", str(tree / "link"), "--", "true"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=HANG_S, check=True)
    assert "symbolic link" not in done.stderr
