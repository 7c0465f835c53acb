"""The globs of conditions."""

from __future__ import annotations

import time

import pytest

from rawtp._report.glob import Glob


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("/srv/*.log", "/srv/a.log"),
        ("/srv/*.log", "/srv/.log"),
        ("/srv/**", "/srv/a/b/c"),
        ("/srv/**", "/srv"),
        ("/srv/**/x", "/srv/x"),
        ("**/.git/**", "/home/me/p/.git/refs/heads/main"),
        ("**/.git/**", "/.git/x"),
        ("**/a/**/b", "/a/a/x/b/y/b"),
        ("/a?c", "/abc"),
        ("/[a-c][!x]", "/bz"),
        ("/[]x]", "/]"),
        ("/{a,b{c,d}}/*", "/bd/x"),
        (r"/\*\{a,b\}", "/*{a,b}"),
        ("/\udcff*", "/\udcffx"),
        ("/*a*b*", "/xaxbx"),
        ("/a\n*", "/a\nb"),
    ],
)
def test_it_matches(pattern: str, path: str) -> None:
    assert Glob(pattern).matches(path)


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("/srv/*.log", "/srv/a/b.log"),
        ("/srv/*", "/srv"),
        ("**/.git/**", "/home/me/.github/x"),
        ("/a?c", "/a/c"),
        ("/[!a]", "/a"),
        ("/{a,b}", "/{a,b}"),
        (r"/\*", "/x"),
        ("/*a*b", "/xbxa"),
        ("/a", "/a\n"),
    ],
)
def test_it_does_not_match(pattern: str, path: str) -> None:
    assert not Glob(pattern).matches(path)


@pytest.mark.parametrize("pattern", ["/[a", "/{a", "/a\\", "{a,b}" * 9])
def test_what_is_no_glob(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"without|backslash|alternatives"):
        Glob(pattern)


def test_a_hostile_name_takes_no_time() -> None:
    begin_s = time.process_time()
    assert not Glob("**/" + "*a" * 20 + "b/**/" * 6 + "x").matches("/" + "/".join(["a" * 255] * 16))
    assert time.process_time() - begin_s < 5
