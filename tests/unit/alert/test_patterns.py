"""Globs of paths and texts."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rawtp._alert.patterns import PathPattern, TextPattern


@pytest.mark.parametrize(
    ("glob", "yes", "no"),
    [
        ("rm", ["rm"], ["rmdir", "arm", ""]),
        ("rm*", ["rm", "rmdir"], ["arm"]),
        ("*rm", ["rm", "arm"], ["rmx"]),
        ("a*b*c", ["abc", "axxbyyc", "abbc"], ["acb", "ab", "bc"]),
        ("a*ab", ["aab", "axab"], ["ab"]),
        ("?", ["x", "\n"], ["", "xx"]),
        ("[a-c]x", ["ax", "cx"], ["dx", "x"]),
        ("[!a]", ["b"], ["a", ""]),
        ("[]]", ["]"], ["["]),
        ("[a^]", ["^", "a"], ["b"]),
        ("[\\n]", ["\\", "n"], ["\n"]),
        ("\\*", ["*"], ["x", ""]),
        ("", [""], ["x"]),
        ("*", ["", "anything\n"], []),
        ("user@*.service", ["user@1000.service"], ["user@1000.scope"]),
        ("(a|b)+", ["(a|b)+"], ["a"]),
    ],
)
def test_texts(glob: str, yes: list[str], no: list[str]) -> None:
    pattern = TextPattern(glob)
    assert [text for text in yes if not pattern.matches(text)] == []
    assert [text for text in no if pattern.matches(text)] == []


@pytest.mark.parametrize("glob", ["[a", "x\\", "[z-a]"])
def test_texts_that_mean_nothing(glob: str) -> None:
    with pytest.raises(ValueError, match=re.escape(repr(glob))):
        TextPattern(glob)


@given(st.text("ab*?", max_size=8), st.text("ab", max_size=10))
def test_texts_are_as_an_expression_says(glob: str, text: str) -> None:
    expression = "".join({"*": ".*", "?": "."}.get(char, char) for char in glob)
    assert TextPattern(glob).matches(text) == (re.fullmatch(expression, text) is not None)


@pytest.mark.parametrize(
    ("glob", "yes", "no"),
    [
        ("/", ["/x", "/"], []),
        ("/srv/db", ["/srv/db", "/srv/db/x", "/srv/db/x/y"], ["/srv", "/srv/dbx", "/x/srv/db"]),
        ("/srv/db/", ["/srv/db", "/srv/db/x"], ["/srv/dbx"]),
        ("/srv/{a}", ["/srv/{a}"], ["/srv/a"]),
        ("/srv/a\\b", ["/srv/a\\b"], ["/srv/ab"]),
        ("/srv/*.db", ["/srv/x.db", "/srv/.db", "/srv/x.db/below"], ["/srv/x/y.db", "/srv/x.dbx"]),
        ("/srv/**/*.db", ["/srv/x.db", "/srv/a/x.db", "/srv/a/b/x.db"], ["/srv/a/x.txt", "/srv"]),
        ("/**/x/y", ["/x/y", "/a/x/y", "/x/x/y"], ["/x/a/y"]),
        ("/srv/**", ["/srv/x", "/srv/x/y"], ["/srv", "/srvx"]),
        ("/a/*/c/**/e", ["/a/b/c/e", "/a/b/c/d/e", "/a/b/c/d/d/e/f"], ["/a/c/e", "/a/b/x/c/e"]),
        ("/srv/{a,b*}/x", ["/srv/a/x", "/srv/bb/x"], ["/srv/c/x"]),
        ("/srv/{a,{b,c}*}", ["/srv/a", "/srv/b", "/srv/cc"], ["/srv/d"]),
        ("/srv/\\{a,b}*", ["/srv/{a,b}x"], ["/srv/a"]),
        ("/srv/[ab]?", ["/srv/ax"], ["/srv/a", "/srv/cx"]),
        ("/srv/\\[x]*", ["/srv/[x]1"], ["/srv/x"]),
        ("/srv/?", ["/srv/\udcff"], ["/srv/é"]),
    ],
)
def test_paths(glob: str, yes: list[str], no: list[str]) -> None:
    pattern = PathPattern(glob)
    assert [path for path in yes if not pattern.matches(path)] == []
    assert [path for path in no if pattern.matches(path)] == []


@pytest.mark.parametrize(
    ("glob", "reason"),
    [
        ("srv", "is not absolute"),
        ("/srv/../x", "has .. in it"),
        ("/a\0", "has a null byte in it"),
        ("/srv/{a,b*", "no } closes the { at character 5"),
        ("/srv/[a*", "no ] closes the ["),
        ("/" + "{a,b}" * 9 + "*", "more than 256 globs"),
    ],
)
def test_paths_that_mean_nothing(glob: str, reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)):
        PathPattern(glob)


def test_who_moves_a_directory_above() -> None:
    assert PathPattern("/srv/db/*.db").is_below("/srv")
    assert PathPattern("/srv/db").is_below("/")
    assert not PathPattern("/srv/db").is_below("/srv/db")
    assert not PathPattern("/srv/db").is_below("/sr")


def test_links_at_the_beginning_are_followed(tmp_path: Path) -> None:
    real = tmp_path.resolve() / "real"
    real.mkdir()
    link = tmp_path.resolve() / "link"
    link.symlink_to(real)
    for glob in (f"{link}/*.db", f"{link}/x.db", str(link)):
        assert PathPattern(glob).matches(f"{real}/x.db")
        assert PathPattern(glob).matches(f"{link}/x.db")
    # Who removes the link itself takes the path away as well.
    assert PathPattern(str(link)).matches(str(link))


def test_no_name_takes_long() -> None:
    """As an expression this would take for ever."""
    begin_s = time.process_time()
    assert not PathPattern("/" + "*a" * 30 + "b").matches("/" + "a" * 4000)
    assert not PathPattern("/**/a" * 20 + "/b").matches("/a" * 2000)
    assert time.process_time() - begin_s < 5
