"""Conditions and the three formats of a report, on events that need no kernel."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from helpers.samples import RM
from rawtp._report import FORMATS, Report, losses
from rawtp._report.conditions import Conditions

SCHEMA = json.loads(Path(__file__).with_name("sarif-schema-2.1.0.json").read_text())


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In no work tree."""
    monkeypatch.chdir(tmp_path)


def event(path: str, **changes: Any) -> dict[str, Any]:
    return {**RM, "filename": path, "path": path, "real_path": path, **changes}


def unknown(path: str | None) -> dict[str, Any]:
    return {**event(""), "real_path": None, "path": path, "path_kind": path and "partial"}


def report(events: list[dict[str, Any]], *conditions: str, directory: str | None = None) -> Report:
    made = Report(["make", "clean"], Conditions(conditions, directory), directory)
    made.start_ns = 1_700_000_000_123_000_000
    made.add(events)
    made.finish(0, 0)
    return made


def broken(events: list[dict[str, Any]], *conditions: str) -> list[str]:
    return report(events, *conditions, directory="/w").broken


def test_outside_goes_by_the_fact() -> None:
    inside = event("/w/x")
    through_a_link = event("/w/link/x", real_path="/etc/x")
    assert broken([inside], "outside=.") == []
    assert broken([inside, through_a_link], "outside=.") == ["outside=."]
    assert broken([event("/etc/link/x", real_path="/w/x")], "outside=.") == []
    assert broken([event("/wide/x")], "outside=.") == ["outside=."]
    assert broken([event("/x")], "outside=/") == []


def test_directories_of_outside_add_up() -> None:
    assert broken([event("/w/x"), event("/tmp/x")], "outside=.", "outside=/tmp") == []
    assert broken([event("/etc/x")], "outside=.", "outside=/tmp") == ["outside=.", "outside=/tmp"]


def test_a_path_that_is_not_known_is_outside() -> None:
    assert broken([unknown("w/x")], "outside=/") == ["outside=/"]
    assert broken([{**unknown("w/x"), "ret": -2, "errno": "ENOENT"}], "outside=/") == []


def test_both_names_of_a_rename_count() -> None:
    moved = event("/w/x", action="rename", new_path="/etc/x", new_real_path="/etc/x", new_filename="/etc/x")
    assert broken([moved], "outside=.") == ["outside=."]
    assert broken([moved], "path=/etc/*") == ["path=/etc/*"]
    assert broken([moved], "path=x") == ["path=x"]


def test_path_is_relative_to_the_directory_unless_it_begins_with_two_stars() -> None:
    events = [event("/w/.git/config"), event("/other/.git/config")]
    assert broken(events[1:], "path=**/.git/**") == ["path=**/.git/**"]
    assert broken(events[1:], "path=.git/**") == []
    assert broken(events[:1], "path=.git/**") == ["path=.git/**"]
    literal = Conditions(["path=*"], "/w/[a]{b}*")
    assert literal._globs[0][1].matches("/w/[a]{b}*/x")
    assert not literal._globs[0][1].matches("/w/ab/x")


def test_a_rename_above_takes_along_what_is_named() -> None:
    moved = event("/w/d", action="rename", new_path="/w/gone", new_real_path="/w/gone", new_filename="/w/gone")
    assert broken([moved], "path=d/key") == ["path=d/key"]
    assert broken([moved], "path=/w/d/*/key") == ["path=/w/d/*/key"]
    assert broken([moved], "path=/w/gone/x") == ["path=/w/gone/x"]
    assert broken([moved], "path=other/key", "path=**/key", "path=d/**/key", "path=*/key") == [
        "path=d/**/key",
        "path=*/key",
    ]
    assert broken([event("/w/d", action="rmdir")], "path=d/key") == []


def test_sums() -> None:
    events = [event("/w/a", size=1000), event("/w/b", size=24), event("/w/c", size=None), event("/w/a", ret=-1)]
    known = [*events[:2], events[3], event("/w/c", size=0)]
    assert broken(known, "count>3", "bytes>1KiB") == []
    assert broken(known, "count>2", "bytes>1023", "bytes > 1k", "count>0") == ["count>2", "bytes>1023", "count>0"]


def test_a_sum_that_is_not_known_may_be_too_large() -> None:
    report = Report(["make"], Conditions(["bytes>1GiB", "bytes>1000", "count>9"], "/w"), "/w")
    report.add([event("/w/a", size=1001), event("/w/b", size=None)])
    report.finish(0, 0)
    assert (report.broken, report.undecided) == (["bytes>1GiB", "bytes>1000"], ["bytes>1GiB"])
    assert report.problems == ["bytes>1GiB: it may hold, since the sizes of 1 event are not known"]
    assert report.as_dict()["fails"] == ["bytes>1GiB", "bytes>1000"]
    assert broken([event("/w/a", size=None, ret=-1)], "bytes>1GiB") == []


@pytest.mark.parametrize(
    "text",
    [
        *("", "count", "count>", "count>-1", "count>1.5", "count>=1", "count>\u0661", "bytes>1x", "bytes>", "outside="),
        *("path=", "path=[a", "path=\0", "size>1", "count>1 or 1", "__import__('os')", "Outside=."),
    ],
)
def test_what_is_no_condition(text: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        Conditions([text], "/w")


def test_what_became_of_files() -> None:
    made = report(
        [
            event("/w/gone", size=10, nlink=1),
            event("/w/linked", size=10, nlink=2),
            event("/w/dir", action="rmdir", file_type="directory", size=4096),
            event("/w/cut", action="truncate", size=100, length=40),
            event("/w/hole", action="punch", range_start=0, range_length=7, size=100),
            event("/w/new", action="rename", new_path="/w/old", new_real_path="/w/old", replaced=True, replaced_size=5),
            event("/w/here", action="rename", new_path="/w/there", new_real_path="/w/there", replaced=False),
            event("/w/gone", size=10, nlink=1),
        ],
        directory="/w",
    )
    found = [(loss.kind, loss.path, loss.other, loss.bytes, loss.count) for loss in made.losses.listed]
    assert found == [
        ("deleted", "/w/gone", None, 20, 2),
        ("deleted", "/w/linked", None, 0, 1),
        ("removed", "/w/dir", None, 0, 1),
        ("truncated", "/w/cut", None, 60, 1),
        ("truncated", "/w/hole", None, 7, 1),
        ("overwritten", "/w/old", "/w/new", 5, 1),
        ("moved", "/w/here", "/w/there", 0, 1),
    ]
    assert made.totals() == {
        "count": 8,
        "deleted": 3,
        "removed": 1,
        "overwritten": 1,
        "truncated": 2,
        "moved": 1,
        "bytes": 92,
        "unknown_sizes": 0,
        "failed_attempts": 0,
        "unlisted": 0,
        "recoverable": 0,
    }


def test_its_memory_has_a_bound_and_counts_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(losses, "MAX_LISTED", 3)
    made = report([event(f"/etc/{number}") for number in range(5)], "path=/etc/4", "count>4", directory="/w")
    assert (len(made.losses.listed), made.losses.count, made.losses.unlisted) == (3, 5, 2)
    assert made.broken == ["path=/etc/4", "count>4"]
    assert "2 events beyond these are counted only." in made.to_markdown()
    notes = json.loads(made.to_sarif())["runs"][0]["invocations"][0]["toolExecutionNotifications"]
    assert [note["message"]["text"] for note in notes] == ["2 more are counted only"]


HOSTILE = [
    *("/w/a|b", "/w/`rm`", "/w/``", "/w/<script>", "/w/[x](javascript:1)", "/w/\x1b[31m", "/w/a\nb", "/w/\udcff\udc80"),
    *("/w/ x ", "/w/\u202egnp", "/w/%41 #?", "/w/\\|", "/etc/passwd", "/w/\u65e5\u672c"),
]


@pytest.mark.parametrize("path", HOSTILE)
def test_sarif_is_valid(path: str) -> None:
    from urllib.parse import unquote_to_bytes

    made = report([event(path, comm="\udcff|`"), unknown(None)], "count>1", "outside=.")
    document = json.loads(made.to_sarif().encode("ascii"))
    jsonschema.Draft7Validator(SCHEMA).validate(document)
    [run] = document["runs"]
    limit, result, _ = run["results"]
    assert (limit["ruleId"], limit["level"]) == ("limit-exceeded", "error")
    assert (result["ruleId"], result["level"]) == ("file-deleted", "error")
    uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert unquote_to_bytes(uri.removeprefix("file://")) == os.fsencode(path)
    assert [run["tool"]["driver"]["rules"][one["ruleIndex"]]["id"] for one in run["results"]] == [
        one["ruleId"] for one in run["results"]
    ]


def test_a_validator_that_refuses() -> None:
    document = json.loads(report([event("/w/x")]).to_sarif())
    document["runs"][0]["results"][0]["level"] = "fatal"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft7Validator(SCHEMA).validate(document)


@pytest.mark.parametrize("path", HOSTILE)
def test_no_name_is_markup(path: str) -> None:
    text = report([event(path)], directory="/w").to_markdown()
    [row] = [line for line in text.splitlines() if line.startswith("| deleted")]
    cells = row.replace(r"\|", "").split("|")
    assert len(cells) == 7
    assert text.isprintable() or set(text) - {"\n"} == {char for char in text if char.isprintable()}
    cell = cells[2].strip()
    fence = cell[: len(cell) - len(cell.lstrip("`"))]
    assert fence
    assert cell.endswith(fence)
    assert fence not in cell[len(fence) : -len(fence)].replace(fence + "`", "")


def test_json_has_the_bytes_of_every_name() -> None:
    import base64

    document = json.loads(report([event("/w/\udcff")]).to_json().encode("ascii"))
    [loss] = document["losses"]
    assert loss["path"] == "/w/\\xff"
    assert base64.b64decode(loss["path_bytes"]) == b"/w/\xff"
    assert document["totals"]["count"] == 1


def test_losses_of_events_are_said_in_every_format() -> None:
    made = report([])
    made.finish(7, 3)
    assert "3 events were lost" in made.to_markdown()
    assert "Exit code 7." in made.to_markdown()
    for kind in FORMATS:
        assert "3 events were lost" in made.text(kind)


def test_fields_that_are_not_there_are_not_known() -> None:
    few = {key: RM[key] for key in ("ts_ns", "pid", "comm", "action", "filename", "ret")}
    made = report([few], "outside=/")
    assert made.broken == ["outside=/"]
    assert made.losses.listed[0].path == "/tmp/test.txt"
    assert made.losses.listed[0].bytes is None
