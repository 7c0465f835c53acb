"""The names of containers in a recorder's directory."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rawtp._containers import table
from rawtp._containers.runtimes import Names
from rawtp._containers.table import Table

DAY_NS = 86_400_000_000_000
WEB = Names("web", "web-1", "shop", "registry.example.org/web:1")


def opened(directory: Path) -> Table:
    return Table(os.open(directory, os.O_RDONLY | os.O_DIRECTORY))


def lines(directory: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (directory / table.NAME).read_text().splitlines()]


def test_what_is_written_is_read(tmp_path: Path) -> None:
    assert table.read(str(tmp_path)) == []
    made = opened(tmp_path)
    made.add(("c1", "p1"), WEB, 5)
    made.add(("c2", None), Names(image="x\n\ud800é"), 6)
    made.close()
    assert (tmp_path / table.NAME).stat().st_mode & 0o777 == 0o640
    expected = {"container_id": "c1", "pod_id": "p1", **WEB._asdict(), "seen_ns": 5}
    assert table.read(str(tmp_path)) == lines(tmp_path)
    assert table.read(str(tmp_path))[0] == expected


def test_nothing_is_written_twice(tmp_path: Path) -> None:
    made = opened(tmp_path)
    made.add(("c", "p"), Names(pod="web-1"), 5)
    made.add(("c", "p"), Names(pod="web-1"), 6)
    # More is known, and then less; a day later it is there still.
    made.add(("c", "p"), WEB, 7)
    made.add(("c", "p"), Names(pod="web-1"), 8)
    made.add(("c", "p"), Names(pod="web-1"), 8 + DAY_NS)
    made.close()
    assert [(line["image"], line["seen_ns"]) for line in lines(tmp_path)] == [
        (None, 5),
        (WEB.image, 7),
        (WEB.image, 8 + DAY_NS),
    ]
    again = opened(tmp_path)
    again.add(("c", "p"), WEB, 9 + DAY_NS)
    again.close()
    assert len(lines(tmp_path)) == 3


def test_half_a_line_harms_no_other(tmp_path: Path) -> None:
    made = opened(tmp_path)
    made.add(("c1", None), WEB, 5)
    made.close()
    path = tmp_path / table.NAME
    path.write_bytes(path.read_bytes() + b'{"container_id":"c2","po')
    made = opened(tmp_path)
    made.add(("c3", None), WEB, 6)
    made.close()
    assert [one["container_id"] for one in table.read(str(tmp_path))] == ["c1", "c3"]


@given(st.binary(max_size=200))
def test_whatever_stands_there(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    directory = tmp_path_factory.mktemp("table")
    line = b'{"container_id":"c","pod_id":null,"container_name":1,"pod":null,"namespace":null,"image":[],"seen_ns":1}'
    (directory / table.NAME).write_bytes(content + b"\n" + line + b"\n[" * 3)
    assert table.read(str(directory)) == []


def test_it_is_cleared_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = opened(tmp_path)
    made.clear_up(None)
    assert not (tmp_path / table.NAME).exists()
    for day in range(10):
        made.add((f"c{day}", None), WEB, day * DAY_NS)
        made.add(("always", None), WEB, day * DAY_NS)
    made.clear_up(8 * DAY_NS)
    kept = ["c6", "c7", "c8", "c9", "always"]
    assert [line["container_id"] for line in lines(tmp_path)] == kept
    assert [path.name for path in tmp_path.iterdir()] == [table.NAME]
    # What comes then is written into the new file.
    made.add(("last", None), WEB, 10 * DAY_NS)
    assert [line["container_id"] for line in lines(tmp_path)] == [*kept, "last"]
    monkeypatch.setattr(table, "MAX_KEPT", 3)
    made.add(("more", None), WEB, 10 * DAY_NS)
    made.clear_up(None)
    assert [line["container_id"] for line in lines(tmp_path)] == ["always", "last", "more"]
    monkeypatch.setattr(table, "MAX_BYTES", 10)
    made.add(("no room", None), WEB, 10 * DAY_NS)
    assert len(lines(tmp_path)) == 3
    made.close()


def test_no_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / table.NAME).symlink_to(tmp_path / "other")
    with pytest.raises(OSError, match="symbolic links"):
        opened(tmp_path)
    assert not (tmp_path / "other").exists()


def test_names_of_an_event() -> None:
    find = table.finder(
        [
            {"container_id": "c1", "pod_id": "p", **WEB._asdict(), "seen_ns": 1},
            {"container_id": "c2", "pod_id": None, **Names(image="i")._asdict(), "seen_ns": 1},
        ]
    )
    assert find({"container_id": "c1", "pod_id": "p"}) == WEB
    assert find({"container_id": "c2", "pod_id": None}) == Names(image="i")
    # Another container of the pod.
    assert find({"container_id": "c3", "pod_id": "p"}) == Names(pod="web-1", namespace="shop")
    assert find({"container_id": "c3", "pod_id": None}) == find({"container_id": None, "pod_id": None}) == Names()
