"""The summary: sums that are exact, in memory that has a bound."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from helpers.samples import LINKED, RM, WITHOUT_FACTS
from rawtp.event import Event
from rawtp.summary import Summary
from rawtp.summary.directories import DirectoryCounts, fold_smallest


def removed(tree: str, *, directories: int, files: int) -> DirectoryCounts:
    """What ``rm -rf`` does: the deepest first."""
    trees = DirectoryCounts()
    for directory in range(directories):
        for file in range(files):
            trees.add(f"{tree}/{directory}/{file}", is_directory=False)
        trees.add(f"{tree}/{directory}", is_directory=True)
    trees.add(tree, is_directory=True)
    return trees


def test_rm_rf_is_one_tree() -> None:
    trees = removed("/home/u/tree", directories=100, files=50)
    assert trees.top(10) == [("/home/u/tree", 100 * 51 + 1)]


def test_beside_it_other_directories_stay() -> None:
    trees = removed("/t", directories=2, files=1)
    for number in range(3):
        trees.add(f"/var/log/{number}", is_directory=False)
    trees.add("/x", is_directory=False)
    trees.add(None, is_directory=False)
    assert trees.top(10) == [("/t", 5), ("/var/log", 3), (None, 1), ("/", 1)]


def test_the_smallest_are_counted_with_what_is_above_them() -> None:
    places = Counter({"/a/b/c": 100, "/home/u/1": 1, "/home/u/2": 2, "/home/u/3": 3})
    assert fold_smallest(places, 2) == {"/a/b/c": 100, "/home/u": 6}
    assert fold_smallest(places, 1) == {"/": 106}
    assert fold_smallest(places, 10) == places


PATHS = st.lists(st.sampled_from("abc"), min_size=1, max_size=5).map(lambda names: "/" + "/".join(names))


@given(st.lists(st.tuples(st.none() | PATHS, st.booleans())), st.integers(2, 8), st.integers(1, 4))
def test_the_sum_is_exact_whatever_is_folded(rows: list[tuple[str | None, bool]], bound: int, shown: int) -> None:
    trees = DirectoryCounts(bound)
    for path, is_directory in rows:
        trees.add(path, is_directory=is_directory)
    found = trees.top(shown)
    assert sum(count for _, count in found) == len(rows)
    assert len([path for path, _ in found if path]) <= max(shown, 1)
    # One that is above what was counted there: nothing else is told.
    assert all(path is None or path.startswith("/") for path, _ in found)


def test_memory_is_bounded() -> None:
    trees = DirectoryCounts(64)
    for number in range(10_000):
        trees.add(f"/a/{number % 7}/{number}/file", is_directory=False)
    assert len(trees._files) <= 64
    assert sum(count for _, count in trees.top(10)) == 10_000


def test_three_tables() -> None:
    summary = Summary()
    refused: Event = {**RM, "pid": 7, "comm": "\x1b[2J", "ret": -2, "errno": "ENOENT"}
    unseen: Event = {**RM, "action": "rename", "ret": None}
    partial: Event = {**WITHOUT_FACTS, "path": "deep", "path_kind": "partial"}
    odd: Event = {**RM, "action": "truncate", "ret": -512}
    summary.add([RM, RM, refused, unseen, partial, odd])
    assert summary.lines() == [
        "by process:",
        "          5  rm (pid 12345, uid 1000)",
        "          1  \\x1b[2J (pid 7, uid 1000)",
        "deleted, by directory:",
        "          2  /tmp",
        "          1  (no whole path)",
        "by result:",
        "          3  delete: ok",
        "          1  delete: ENOENT",
        "          1  rename: ?",
        "          1  truncate: -512",
    ]
    assert Summary().lines() == []


def test_a_directory_is_the_one_that_the_file_was_in() -> None:
    summary = Summary()
    summary.add([LINKED, {**LINKED, "path": "deep", "path_kind": "partial"}, {**RM, "real_path": None}])
    assert summary.sections()[1] == ("deleted, by directory", [(2, "/srv/data"), (1, "/tmp")])


def test_processes_beyond_the_bound_are_folded_into_one() -> None:
    summary = Summary()
    summary.add([RM] * 5)
    for pid in range(20_000, 25_000):
        summary.add([{**RM, "pid": pid}])
    assert len(summary._processes) <= 2049
    first, *others, rest = summary.lines()[1:12]
    assert first == "          5  rm (pid 12345, uid 1000)"
    assert len(others) == 9
    assert rest == f"  {4991:>9}  by others"
