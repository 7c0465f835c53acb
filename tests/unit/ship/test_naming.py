"""Names of what is shipped: who waits for them, how long, and whose users they are."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from helpers.recorded import recorded
from rawtp import _root
from rawtp._containers import table
from rawtp._containers.runtimes import Names
from rawtp._ship import naming
from rawtp._ship.naming import Naming
from rawtp.sinks.base import Delivery, Origin
from rawtp.sinks.otlp_records import Encoder, image_parts
from rawtp.sinks.protobuf import fields

NOW_NS = 1_700_000_100_000_000_000
WEB = Names("app", "web-7c9", "shop", "web:1.2")
IDS = {"container_id": "a" * 64, "pod_id": "pod-1"}


class Waits:
    """A stop whose waits take no time, and the clock that they move."""

    def __init__(self) -> None:
        self.asked = False
        self.now_ns = NOW_NS
        self.count = 0
        self.then: Any = lambda: None
        self.said: list[str] = []

    def wait(self, seconds: float) -> None:
        self.now_ns += int(seconds * 1e9)
        self.count += 1
        self.then()


class Reader:
    """A history of one session, whose recorder had the host's root at ``root``."""

    root = "/"

    def __init__(self, directory: str) -> None:
        pass

    def sessions(self) -> list[dict[str, Any]]:
        return [{"session": 7, "info": json.dumps({"root": self.root}), "machine_id": "own"}]


@pytest.fixture
def waits() -> Waits:
    return Waits()


@pytest.fixture
def namer(tmp_path: Path, waits: Waits, monkeypatch: pytest.MonkeyPatch) -> Naming:
    monkeypatch.setattr(naming, "HistoryReader", Reader)
    monkeypatch.setattr(naming, "_LOOK_S", 0.25)
    monkeypatch.setattr(_root, "machine_id", lambda root="/": "own")
    # It looks at the file again at every wait, none of which takes time here.
    monkeypatch.setattr("rawtp._ship.naming.time.monotonic", lambda: waits.now_ns / 1e9)
    return Naming(str(tmp_path), waits, waits.said.append, lambda: waits.now_ns)  # type: ignore[arg-type]


def delivery(machine_id: str = "own", host: str = "web-1", **changes: Any) -> Delivery:
    event = {"type": "event", **recorded(), **IDS, "ts_ns": NOW_NS, **changes}
    return Delivery(Origin(machine_id, "b", 7, host), [event])


def write(directory: Path, **ids: str | None) -> None:
    line = {**IDS, **WEB._asdict(), "seen_ns": 1, **ids}
    with (directory / table.NAME).open("a") as file:
        file.write(json.dumps(line) + "\n")


def named(namer: Naming, of: Delivery) -> dict[str, Any]:
    namer.add(of)
    return {key: of.records[0][key] for key in Names._fields}


def test_names_that_are_there_are_waited_for_by_nobody(namer: Naming, waits: Waits, tmp_path: Path) -> None:
    write(tmp_path)
    assert named(namer, delivery()) == WEB._asdict()
    # Not known yet, but of the same pod.
    assert named(namer, delivery(container_id="b" * 64, ts_ns=NOW_NS - 60 * 10**9))["pod"] == "web-7c9"
    assert named(namer, delivery(container_id=None, pod_id=None)) == Names()._asdict()
    assert waits.count == 0


def test_a_young_event_waits_until_the_names_come(namer: Naming, waits: Waits, tmp_path: Path) -> None:
    waits.then = lambda: write(tmp_path) if waits.count == 3 else None
    assert named(namer, delivery()) == WEB._asdict()
    assert waits.count == 3


def test_it_waits_three_seconds_and_once(namer: Naming, waits: Waits) -> None:
    assert named(namer, delivery()) == Names()._asdict()
    assert waits.now_ns == NOW_NS + 3 * 10**9
    count = waits.count
    assert named(namer, delivery(ts_ns=waits.now_ns)) == Names()._asdict()
    # Of old events, and of a clock that was set back, nothing is expected.
    for ts_ns in (NOW_NS - 10**9, NOW_NS + 3600 * 10**9):
        assert named(namer, delivery(container_id=str(ts_ns), ts_ns=ts_ns)) == Names()._asdict()
    assert waits.count == count


def test_a_file_that_cannot_be_read_stops_nothing(namer: Naming, waits: Waits, tmp_path: Path) -> None:
    """A symbolic link is none of the recorder's."""
    (tmp_path / "elsewhere").touch()
    (tmp_path / table.NAME).symlink_to(tmp_path / "elsewhere")
    assert named(namer, delivery()) == Names()._asdict()
    why = "Too many levels of symbolic links"
    assert waits.said == [f"containers.jsonl, the names of containers, cannot be read: {why}"]
    (tmp_path / table.NAME).unlink()
    write(tmp_path)
    waits.now_ns += 10**9
    assert named(namer, delivery()) == WEB._asdict()


def test_the_end_ends_the_wait(namer: Naming, waits: Waits) -> None:
    def ask() -> None:
        waits.asked = True

    waits.then = ask
    namer.add(delivery())
    assert waits.count == 1


def test_users_are_those_of_the_host_that_recorded(
    namer: Naming, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text("ann:x:1234:1::/:/bin/sh\n")
    monkeypatch.setattr(Reader, "root", str(tmp_path))
    [event] = (own := delivery(uid=1234, auid=99)).records
    namer.add(own)
    assert (event["user"], event["login"]) == ("ann", None)
    # What was recorded stays.
    [event] = (own := delivery(uid=1234, auid=1234, user="before")).records
    namer.add(own)
    assert (event["user"], event["login"]) == ("before", "ann")


def test_users_of_another_host_are_not_looked_up(namer: Naming) -> None:
    [event] = (other := delivery("another", os.uname().nodename, uid=0, auid=0)).records
    namer.add(other)
    assert (event["user"], event["login"]) == (None, None)


def test_lines_of_the_journal_have_none(namer: Naming) -> None:
    gap = {"type": "gap", "key": "k"}
    namer.add(Delivery(Origin("own", "b", 7, "h"), [gap]))
    assert gap == {"type": "gap", "key": "k"}


@pytest.mark.parametrize(
    ("image", "repository", "tag"),
    [
        ("web:1.2", "web", "1.2"),
        ("registry:5000/a/web", "registry:5000/a/web", None),
        ("registry:5000/a/web:1@sha256:ab", "registry:5000/a/web", "1"),
        ("web", "web", None),
    ],
)
def test_an_image_has_a_repository_and_a_tag(image: str, repository: str, tag: str | None) -> None:
    assert image_parts(image) == (repository, tag)


def attributes(changes: dict[str, Any]) -> dict[str, bytes]:
    event = {"type": "event", "key": "k", **recorded(), **changes}
    [text] = Encoder().records(Delivery(Origin("m", "b", 7, "h"), [event]), 0)
    pairs = [dict(fields(value)) for number, value in fields(text) if number == 6 and isinstance(value, bytes)]
    return {bytes(one[1]).decode(): bytes(one[2]) for one in pairs}


def test_a_container_without_a_pod_has_its_own_name() -> None:
    found = attributes({**Names("box", None, None, "web")._asdict()})
    assert b"box" in found["container.name"]
    assert {"k8s.container.name", "k8s.pod.name", "k8s.namespace.name", "container.image.tags"}.isdisjoint(found)
    found = attributes(Names(None, None, None, "sha256:ab")._asdict())
    assert b"sha256:ab" in found["container.image.id"]
    assert {"container.image.name", "container.image.tags"}.isdisjoint(found)
    assert not [name for name in attributes(Names()._asdict()) if name.startswith(("container.name", "k8s.pod.n"))]
    assert attributes({}) == attributes(Names()._asdict())


def test_lines_are_read_once(tmp_path: Path) -> None:
    """Up to the last whole one, behind a place; and all of them, when the file is another one."""
    directory = str(tmp_path)
    assert [*table.lines_after(directory, None)] == []
    write(tmp_path)
    file = tmp_path / table.NAME
    with file.open("a") as half:
        half.write('{"container_id":')
    [(lines, place)] = table.lines_after(directory, None)
    assert [line["pod"] for line in lines] == ["web-7c9"]
    assert [*table.lines_after(directory, place)] == []
    with file.open("a") as rest:
        rest.write("\n")
    write(tmp_path, container_id="b")
    [(lines, behind)] = table.lines_after(directory, place)
    assert [line["container_id"] for line in lines] == ["b"]
    assert behind == (file.stat().st_ino, file.stat().st_size)
    other = tmp_path / "other"
    other.write_bytes(file.read_bytes().splitlines(keepends=True)[0])
    other.rename(file)
    [(lines, _)] = table.lines_after(directory, behind)
    assert [line["container_id"] for line in lines] == [IDS["container_id"]]
