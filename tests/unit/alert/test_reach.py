"""Which rules cannot match what is watched, and what is said of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from rawtp._alert import rules
from rawtp._alert.reach import out_of_reach
from rawtp._core import DELETE, LOSS, RENAME

SIZES = (
    "rule 'r' matches only ranges of files: no function of the kernel's can be watched here, which would show the sizes"
    " of files"
)


def told(
    text: str,
    *,
    syscalls: tuple[str, ...] = LOSS,
    paths: tuple[str, ...] = (),
    outcome: str | None = None,
    shows_sizes: bool = True,
) -> list[str]:
    table = f'[notify.n]\ntype = "journald"\n[[rules]]\nname = "r"\nnotify = "n"\n{text}\n'
    found = rules.parse(table.encode(), {}).rules
    return list(out_of_reach(found, syscalls=syscalls, paths=paths, outcome=outcome, shows_sizes=shows_sizes))


@pytest.mark.parametrize("syscalls", [LOSS, DELETE, ("all",), ("file", "getppid")])
def test_what_can_match_is_not_told(syscalls: tuple[str, ...]) -> None:
    assert told("", syscalls=syscalls) == []
    assert told('action = ["rename", "delete"]', syscalls=syscalls) == []
    assert told("loss = true", syscalls=syscalls, paths=("/srv",), outcome="ok", shows_sizes=False) == []


def test_actions_of_calls_that_are_not_watched() -> None:
    expected = ["rule 'r' matches nothing: no call that is watched (-s) does rename or truncate"]
    assert told('action = ["truncate", "rename"]', syscalls=DELETE) == expected
    assert told('action = "punch"', syscalls=(*DELETE, "fallocate")) == []
    assert told('action = "delete"', syscalls=("getppid",)) != []


def test_outcomes_that_are_left_out() -> None:
    assert told("", outcome="failed") == ["rule 'r' matches nothing: its outcome is 'ok', and --outcome is failed"]
    assert told('outcome = "any"', outcome="failed") == told("", outcome="any") == told("", outcome="ok") == []


@pytest.mark.parametrize(
    ("pattern", "path", "meets"),
    [
        ("/srv/db", "/srv", True),
        ("/srv", "/srv/db", True),
        ("/srv", "/srv", True),
        ("/srv", "/srvx", False),
        ("/srv/*.db", "/srv/x", True),
        ("/srv/**/x", "/var", False),
        ("/**/x", "/var", True),
        ("/", "/var", True),
        ("/var", "/", True),
        ("/{srv,var}/*", "/var", True),
    ],
)
def test_paths(pattern: str, path: str, meets: bool) -> None:
    expected = [] if meets else ["rule 'r' matches nothing: its path is outside of -P/--path"]
    assert told(f'path = "{pattern}"', syscalls=DELETE, paths=(path,)) == expected
    assert told(f'path = "{pattern}"', syscalls=DELETE, paths=("/nowhere", path)) == expected
    between = [line.replace("nothing", "only renames into its path and out of it") for line in expected]
    assert told(f'path = "{pattern}"', syscalls=(*DELETE, *RENAME), paths=(path,)) == between
    assert told(f'action = "delete"\npath = "{pattern}"', paths=(path,)) == expected


def test_a_glob_that_is_watched_may_be_anywhere() -> None:
    assert told('path = "/srv"', paths=("/var/*", "/var")) == []


def test_links_are_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    for pattern, path in (("link", "real"), ("real", "link"), ("link", "link")):
        assert told(f'path = "{tmp_path / pattern}"', paths=(str(tmp_path / path),)) == []


def test_sizes_that_the_kernel_does_not_show() -> None:
    assert told('min_size = "1MiB"') == []
    assert told('min_size = "1MiB"', shows_sizes=False) == [SIZES]
    assert told("max_size = 0", shows_sizes=False) == [SIZES]
    assert told('action = "punch"\nmin_size = 1', shows_sizes=False) == [SIZES]
    nothing = [SIZES.replace("only ranges of files", "nothing", 1)]
    assert told('action = "delete"\nmin_size = 1', shows_sizes=False) == nothing
