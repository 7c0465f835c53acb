"""The lines of ``rawtp top``: columns, orders, filters, and names that are hostile."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.samples import RM
from helpers.tops import deleted, emptied, refused
from rawtp._containers.runtimes import Names
from rawtp._top.model import Model
from rawtp._top.view import VIEWS, Order, View
from rawtp.formats.escape import width

if TYPE_CHECKING:
    from rawtp._top.names import Lookup

NOW_S = 104.5
HOSTILE = [
    "[red]x[/]",
    "\x1b[2Jx",
    "\u202egpj.exe",
    "a\nb",
    "\udcff\udcfe",
    "日本語",
    "e\u0301" * 5,
    "(others)",
    "",
    "-",
]
FALLING = Order("RATE/S", True)


def unnamed(container_id: str | None, pod_id: str | None) -> tuple[Names | None, bool]:
    return None, True


def model_of(*events: object, max_rows: int | None = None) -> Model:
    model = Model(100.0, max_rows)
    for event in events:
        model.add([event], 101.0)  # type: ignore[list-item]
    return model


def view_of(model: Model, name: str = "process", look_up: Lookup = unnamed) -> View:
    return View(model, name, NOW_S, look_up)


def lines(view: View, cells: int = 80, order: Order = FALLING, text: str = "") -> list[str]:
    return [view.line(row, cells).rstrip() for row in view.rows(order, text)]


MIXED = (
    *[deleted(f"/a/{number}", 1024, pid=1, comm="rm") for number in range(4)],
    deleted("/b/x", None, pid=2, comm="unsized"),
    deleted("/b/y", 10, pid=3, comm="both"),
    deleted("/b/z", None, pid=3, comm="both"),
    refused("/etc/passwd", pid=4, comm="unlink"),
    emptied("/var/log/x", 5 << 20, pid=5),
)


def test_a_table_of_processes() -> None:
    view = view_of(model_of(*MIXED))
    assert view.header(FALLING, 80).rstrip() == (
        " RATE/S▼    EVENTS  FAILED        GONE     PID    UID COMM            ARGUMENTS"
    )
    assert lines(view) == [
        "     0.9         4             4.0 KiB       1   1000 rm              /a/3",
        "     0.4         2              ≥ 10 B       3   1000 both            /b/z",
        "     0.2         1                   ?       2   1000 unsized         /b/x",
        "     0.2         1       1           0       4   1000 unlink          /etc…asswd",
        "     0.2         1             5.0 MiB       5   1000 logger",
    ]


@pytest.mark.parametrize("name", ["directory", "container", "unit"])
def test_the_other_tables(name: str) -> None:
    view = view_of(model_of(*MIXED, {**RM, "container_id": "4f1c8d0e7b3a", "unit": "nginx.service"}), name)
    found = lines(view, 100)
    last = {
        "directory": ["/a", "/b", "/etc", "/tmp", "/var/log"],
        "container": ["(no container known)", "4f1c8d0e7b3a"],
        "unit": ["nginx.service", "session-3.scope"],
    }[name]
    assert sorted(line[39:] for line in found) == last
    assert view.header(FALLING, 100).rstrip().endswith(f" {name.upper()}")
    nothing = view_of(model_of({**RM, "unit": None, "real_path": None, "path_kind": "partial"}), name)
    assert [line[39:] for line in lines(nothing)] == [
        {"directory": "(no whole path)", "container": "(no container known)", "unit": "(no unit known)"}[name]
    ]


def pids(view: View, order: Order, text: str = "") -> list[int]:
    return [row.names[0] for row in view.rows(order, text) if row.names]


@pytest.mark.parametrize(
    ("title", "falling", "rising"),
    [
        ("RATE/S", [1, 3, 2, 4, 5], [2, 4, 5, 3, 1]),
        ("EVENTS", [1, 3, 2, 4, 5], [2, 4, 5, 3, 1]),
        ("FAILED", [4, 1, 3, 2, 5], [1, 3, 2, 5, 4]),
        # What is not known comes last in any case.
        ("GONE", [5, 1, 3, 4, 2], [4, 3, 1, 5, 2]),
        ("PID", [5, 4, 3, 2, 1], [1, 2, 3, 4, 5]),
        ("UID", [1, 3, 2, 4, 5], [1, 3, 2, 4, 5]),
        ("COMM", [2, 4, 1, 5, 3], [3, 5, 1, 4, 2]),
        ("ARGUMENTS", [4, 3, 2, 1, 5], [5, 1, 2, 3, 4]),
        # Another view's.
        ("UNIT", [1, 3, 2, 4, 5], [2, 4, 5, 3, 1]),
    ],
)
def test_every_column_sorts(title: str, falling: list[int], rising: list[int]) -> None:
    view = view_of(model_of(*MIXED))
    assert pids(view, Order(title, True)) == falling
    assert pids(view, Order(title, False)) == rising


def test_each_column_of_each_view_sorts_without_an_error() -> None:
    model = model_of(*MIXED, RM, {**RM, "unit": None, "container_id": "x", "argv": None}, max_rows=3)
    for name in VIEWS:
        view = view_of(model, name)
        for column in view.columns:
            for is_descending in (True, False):
                found = view.rows(Order(column.title, is_descending))
                assert len(found) == len({id(row) for row in found}) == len(view.rows(FALLING))


def test_a_filter_is_by_the_names() -> None:
    view = view_of(model_of(*MIXED))
    assert pids(view, FALLING, "LOG") == [5]
    assert pids(view, FALLING, "/b/") == [3, 2]
    assert pids(view, FALLING, "nothing") == []


def test_the_others_come_last_whatever_is_asked() -> None:
    model = model_of(*(deleted("/x", pid=pid) for pid in range(1, 11)), max_rows=4)
    view = view_of(model)
    for order in (FALLING, Order("PID", True), Order("PID", False)):
        assert lines(view, order=order, text="nothing") == [lines(view, order=order)[-1]]
        assert lines(view, order=order)[-1].split()[-1] == "(others)"


def test_a_folded_directory_says_so() -> None:
    model = model_of(*(deleted(f"/a/{number}/x") for number in range(30)), max_rows=8)
    assert next(line[39:] for line in lines(view_of(model, "directory"))) == "below /a"


def test_names_of_containers() -> None:
    def named(container_id: str | None, pod_id: str | None) -> tuple[Names | None, bool]:
        known = {"4f1c8d0e7b3a99": Names("app", "web-7c9", "shop", None), "99": Names(None, None, None, "image")}
        return known.get(container_id or ""), True

    events = [{**RM, "container_id": name} for name in ("4f1c8d0e7b3a99", "99", "(others)", None)]
    found = [line[39:] for line in lines(view_of(model_of(*events), "container", named))]
    assert sorted(found) == ['"(others)"', "(no container known)", "99", "app shop/web-7c9 4f1c8d0e7b3a"]


@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize("hostile", HOSTILE)
@pytest.mark.parametrize("cells", [80, 160])
def test_no_name_acts_or_breaks_a_column(name: str, hostile: str, cells: int) -> None:
    event = {**deleted(f"/d{hostile}/x", comm=hostile), "unit": hostile, "container_id": hostile}
    [line] = lines(view_of(model_of(event), name), cells)
    assert line.isprintable()
    assert "\u202e" not in line
    assert width(line) <= cells
    # What stands before the names is where it is in any case.
    assert re.match(r" {5}0\.\d {9}1 {13}1\.0 KiB ", line)


@given(st.text(), st.sampled_from(VIEWS), st.integers(80, 200))
def test_no_text_acts_or_breaks_a_column(text: str, name: str, cells: int) -> None:
    event = {**deleted(f"/{text}/x", comm=text[:5]), "unit": text, "container_id": text, "argv": (text, text)}
    [line] = lines(view_of(model_of(event), name), cells)
    assert line.isprintable()
    assert width(line) <= cells


def test_where_the_header_is_clicked() -> None:
    view = view_of(model_of(*MIXED))
    header = view.header(FALLING, 80)
    for column in view.columns:
        at = header.index(column.title)
        assert view.column_at(at) is column
    assert view.column_at(79).title == "ARGUMENTS"
