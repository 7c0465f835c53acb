"""Moments and paths as Python gives them."""

from __future__ import annotations

import os
from datetime import date, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rawtp._history import merge, moment, paths

NS = 1_000_000_000


def test_datetimes_are_exact() -> None:
    when = datetime(2026, 11, 27, 21, 0, 0, 123456, tzinfo=timezone.utc)
    assert moment.nanoseconds(when, "since") == 1_795_813_200_123_456_000
    assert moment.nanoseconds(when.astimezone(timezone(timedelta(hours=5))), "since") == 1_795_813_200_123_456_000
    naive = datetime(2026, 11, 27, 21)
    assert moment.nanoseconds(naive, "since") == int(naive.timestamp()) * NS


def test_lengths_count_back_from_now() -> None:
    assert moment.nanoseconds(timedelta(hours=2), "since", 10**18) == 10**18 - 7200 * NS
    assert moment.nanoseconds(timedelta(days=10**6), "since", 10**18) == 0
    assert moment.nanoseconds(timedelta(0), "since", 10**18) == 10**18


def test_numbers_are_nanoseconds() -> None:
    assert moment.nanoseconds(1_700_000_000 * NS, "since") == 1_700_000_000 * NS
    assert moment.nanoseconds(0, "since") == 0
    assert moment.nanoseconds(None, "since") is None


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        ("yesterday", TypeError, "since must be a datetime, a timedelta or a Unix time in ns .int., not str"),
        (1.5, TypeError, "not float"),
        (True, TypeError, "not bool"),
        (date(2026, 1, 1), TypeError, "not date"),
        (1_700_000_000, ValueError, "since: 1700000000 is in January 1970: it must be a Unix time in nanoseconds"),
        (-1, ValueError, "not between the years 1970 and 2262"),
        (2**63, ValueError, "not between"),
        (timedelta(seconds=-1), ValueError, "in the future"),
        (datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=1))), ValueError, "not between"),
        (datetime(9999, 1, 1, tzinfo=timezone.utc), ValueError, "not between"),
    ],
)
def test_what_is_no_moment(value: object, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        moment.nanoseconds(value, "since")  # type: ignore[arg-type]


def test_a_window_does_not_end_before_it_begins() -> None:
    assert moment.window(None, 10**18) == (None, 10**18)
    with pytest.raises(ValueError, match="until is before since"):
        moment.window(10**18, 10**18 - 1)
    with pytest.raises(TypeError, match="until must be"):
        moment.window(None, "now")  # type: ignore[arg-type]


@given(st.datetimes(datetime(1970, 1, 2), datetime(2262, 1, 1), timezones=st.timezones()))
def test_any_datetime(when: datetime) -> None:
    found = moment.nanoseconds(when, "since")
    assert found is not None
    # Not by ==, which holds for no time that a change of the clocks skips or repeats.
    assert abs(found / NS - when.timestamp()) < 1e-3
    assert found // 1000 % 1_000_000 == when.microsecond


def test_a_plain_path_has_one_name(tmp_path: Path) -> None:
    real = Path(os.path.realpath(tmp_path))
    assert paths.names(real / "gone") == (os.fsencode(real / "gone"),)
    assert paths.names(b"/") == (b"/",)
    assert paths.names("//x//y/./z/") == (b"/x/y/z",)


def test_links_above_it_are_followed_and_it_is_not(tmp_path: Path) -> None:
    real = Path(os.path.realpath(tmp_path))
    (real / "d").mkdir()
    (real / "link").symlink_to("d")
    (real / "d" / "last").symlink_to("/elsewhere")
    assert paths.names(real / "link" / "gone") == tuple(os.fsencode(real / name / "gone") for name in ("link", "d"))
    assert paths.names(real / "link" / "last") == tuple(os.fsencode(real / name / "last") for name in ("link", "d"))
    assert paths.names(f"{real}/link/../x") == (os.fsencode(real / "x"),)
    assert paths.names(f"{real}/link/gone/deep/x")[1] == os.fsencode(real / "d/gone/deep/x")


def test_parents_of_links_are_those_of_their_targets(tmp_path: Path) -> None:
    real = Path(os.path.realpath(tmp_path))
    (real / "a" / "b").mkdir(parents=True)
    (real / "link").symlink_to("a/b")
    assert paths.names(f"{real}/link/../x") == (os.fsencode(real / "x"), os.fsencode(real / "a" / "x"))
    assert paths.names(f"{real}/link/..") == (os.fsencode(real), os.fsencode(real / "a"))


def test_relative_paths_begin_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert paths.names("x") == (os.fsencode(Path(os.path.realpath(tmp_path)) / "x"),)
    assert paths.names(Path("y"))[0].endswith(b"/y")


def test_names_are_those_of_the_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link leads below the host's root; a relative path begins at the working directory as the host has it."""
    root = tmp_path / "host"
    (root / "run").mkdir(parents=True)
    (root / "var").mkdir()
    (root / "var/run").symlink_to("/run")
    assert paths.names("/var/run/x", str(root)) == (b"/var/run/x", b"/run/x")
    assert paths.names("/var/run", str(root)) == (b"/var/run",)
    assert paths.names("/var/run/..", str(root)) == (b"/var", b"/")
    monkeypatch.chdir(root / "var")
    assert paths.names("x", str(root)) == (b"/var/x",)
    monkeypatch.chdir("/proc")
    with pytest.raises(ValueError, match=r"'x' is relative, and the working directory '/proc' is not below the host's"):
        paths.names("x", str(root))


@pytest.mark.parametrize(("path", "error"), [("", ValueError), ("a\0b", ValueError), (1, TypeError), (None, TypeError)])
def test_what_is_no_path(path: object, error: type[Exception]) -> None:
    with pytest.raises(error):
        paths.names(path)  # type: ignore[arg-type]


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=20))
def test_any_name(name: str) -> None:
    for found in paths.names("/nonexistent/" + name):
        assert found.startswith(b"/")
        assert b"//" not in found
        assert not {b".", b".."} & {*found.split(b"/")}


def test_answers_are_merged() -> None:
    def event(ts_ns: int, seq: int, relation: str) -> dict[str, object]:
        return {"ts_ns": ts_ns, "session": 1, "via": "syscall", "cpu": 0, "seq": seq, "relation": relation}

    first, second = [event(3, 3, "path"), event(1, 1, "path")], [event(3, 3, "above"), event(2, 2, "above")]
    assert [(one["ts_ns"], one["relation"]) for one in merge([first, second])] == [
        (3, "path"),
        (2, "above"),
        (1, "path"),
    ]
