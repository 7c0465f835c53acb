"""A `path=` that runs through a symbolic link says so at once, as only names are compared."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

import rawtp
from helpers.support import HANG_S, until_sentinel

pytestmark = pytest.mark.kernel


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """``real/below``, a directory, and ``link``, which leads to ``real``."""
    (tmp_path / "real/below").mkdir(parents=True)
    (tmp_path / "link").symlink_to("real")
    return tmp_path


def warned(path: object) -> list[warnings.WarningMessage]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        rawtp.Tracer(pid=os.getpid(), path=path).close()  # type: ignore[arg-type]
    return caught


def text(asked: object, link: object, real: object, advice: object) -> str:
    return (
        f'path "{asked}" runs through the symbolic link "{link}", and only names are compared: what is deleted under '
        f'"{real}" is not seen. Pass "{advice}", too'
    )


@pytest.mark.parametrize("name", ["link", "link/below", "link/below/not yet", "link//./below"])
def test_a_path_says_so(tree: Path, name: str) -> None:
    [warning] = warned(f"{tree}/{name}")
    rest = os.path.normpath(name).removeprefix("link")
    expected = text(f"{tree}/link{rest}", tree / "link", f"{tree}/real{rest}", f"{tree}/real{rest}")
    assert (warning.category, str(warning.message)) == (RuntimeWarning, expected)
    assert Path(warning.filename) == Path(__file__)


def test_a_way_out_of_a_link_says_so(tree: Path) -> None:
    """``..`` behind a link is not what the text makes of it."""
    (tree / "far").symlink_to("/usr/bin")
    [warning] = warned(f"{tree}/far/../x")
    assert str(warning.message) == text(f"{tree}/x", tree / "far", "/usr/x", "/usr/x")


def test_the_beginning_of_a_glob_says_so(tree: Path) -> None:
    [warning] = warned(f"{tree}/link/below/*.log")
    asked = f"{tree}/link/below/*.log"
    assert str(warning.message) == text(asked, tree / "link", tree / "real/below", f"{tree}/real/below/*.log")
    # What a special part matches is not known before.
    assert warned(f"{tree}/l*/below") == []


def test_a_name_with_brackets_is_advised_escaped(tree: Path) -> None:
    (tree / "real/[a]").mkdir()
    [warning] = warned(tree / "link/[a]")
    advice = str(rawtp.escape(tree / "real/[a]")).replace("\\", "\\\\")
    assert str(warning.message) == text(tree / "link/[a]", tree / "link", tree / "real/[a]", advice)


def test_a_link_to_nowhere_says_so(tree: Path) -> None:
    (tree / "dangling").symlink_to("nowhere")
    [warning] = warned(tree / "dangling/x")
    assert str(warning.message) == (
        f'path "{tree}/dangling/x" runs through the symbolic link "{tree}/dangling", and only names are compared: what '
        "is deleted by another name is not seen"
    )


def test_nothing_to_say(tree: Path) -> None:
    assert warned(tree / "real/below") == []
    assert warned("/") == []
    # What the link leads to is watched as well.
    assert warned([tree / "link/below", tree / "real"]) == []
    assert len(warned([tree / "link", tree / "link/below"])) == 2


def test_what_it_says_is_so(tree: Path) -> None:
    """And what it advises helps."""
    for name in ("a", "b"):
        (tree / "real" / name).touch()
    with pytest.warns(RuntimeWarning, match="symbolic link") as caught:
        tracer = rawtp.Tracer(pid=os.getpid(), path=tree / "link")
    with tracer:
        (tree / "real/a").unlink()
        tracer.close()
        assert list(tracer) == []
    advice = str(caught[0].message).rpartition('Pass "')[2].removesuffix('", too')
    with rawtp.Tracer(pid=os.getpid(), path=[tree / "link", advice]) as tracer:
        (tree / "real/b").unlink()
        (tree / "link").unlink()
        tracer.close()
        assert [event["path"] for event in tracer] == [f"{tree}/real/b", f"{tree}/link"]


def test_a_warning_that_is_an_error_comes_before_anything_is_attached(tree: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(RuntimeWarning, match="symbolic link"):
            rawtp.Tracer(pid=os.getpid(), path=tree / "link")
    with rawtp.Tracer(pid=os.getpid()) as tracer:
        Path("/nonexistent/x").unlink(missing_ok=True)
        assert len(until_sentinel(tracer)) == 1


def test_run_names_the_line_of_its_caller(tree: Path) -> None:
    with pytest.warns(RuntimeWarning, match="symbolic link") as caught:
        rawtp.run(["true"], path=tree / "link")
    assert [Path(warning.filename) for warning in caught] == [Path(__file__)]


@pytest.mark.parametrize(("options", "says"), [(["-o", "jsonl"], True), (["-q", "-o", "jsonl"], False)])
def test_the_command_line_says_one_line(tree: Path, options: list[str], says: bool) -> None:
    (tree / "\x1b[31mlink").symlink_to("real")
    for link, shown in [("link", "link"), ("\x1b[31mlink", "\\u{1b}[31mlink")]:
        command = [sys.executable, "-m", "rawtp", *options, "-P", rawtp.escape(tree / link), "--", "true"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=HANG_S, check=True)
        expected = text(f"{tree}/{shown}", f"{tree}/{shown}", tree / "real", tree / "real")
        lines = [line for line in done.stderr.splitlines() if "symbolic link" in line]
        assert lines == [f"rawtp: {expected}"] * says
        assert "Warning" not in done.stderr
        assert "\x1b" not in done.stderr


def test_cost_says_one_line(tree: Path) -> None:
    command = [sys.executable, "-m", "rawtp", "cost", "--seconds", "0.1", "-P", str(tree / "link")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=HANG_S, check=True)
    assert done.stderr == f"rawtp: {text(tree / 'link', tree / 'link', tree / 'real', tree / 'real')}\n"
