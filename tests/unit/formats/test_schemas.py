"""OCSF and ECS: whole documents, what the schemas require, and names that are hostile."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import rawtp
from helpers.samples import EMPTIED, EXCHANGED, LINKED, MOVED, PUNCHED, RM, WITHOUT_FACTS
from rawtp.event import Event
from rawtp.formats.base import Format
from rawtp.formats.ecs import Ecs
from rawtp.formats.ocsf import Ocsf

GOLDEN = Path(__file__).parent / "golden"
HOST = {
    "version": "0.1.0",
    "host": "web1",
    "machine_id": "0123456789abcdef0123456789abcdef",
    "boot_id": "6f3d0f0e-5d7f-4f0c-9d0b-0d8d1c2f3a4b",
    "kernel": "6.1.0-18-amd64",
    "architecture": "x86_64",
}
NOWHERE = dict.fromkeys(HOST) | {"version": "0.1.0", "host": "web1", "kernel": "6.1", "architecture": "x86_64"}
SCHEMAS: dict[str, type[Ecs] | type[Ocsf]] = {"ecs": Ecs, "ocsf": Ocsf}

POD = "3f2a1b4c-5d6e-4f70-8a9b-0c1d2e3f4a5b"
RENAMED: Event = {
    **WITHOUT_FACTS,
    "comm": "mv",
    "exe": "/usr/bin/mv",
    "argv": ("mv", "a b", "c"),
    "container_id": "c0ffee",
    "pod_id": POD,
    "syscall": "renameat2",
    "action": "rename",
    "filename": "a b",
    "path": "/srv/a b",
    "path_kind": "cwd",
    "new_filename": "c",
    "new_path": "/srv/c",
    "ns_pid": 7,
    "auid": None,
    "session_id": None,
    "unit": None,
}
REFUSED: Event = {
    **WITHOUT_FACTS,
    "syscall": "rmdir",
    "action": "rmdir",
    "ret": -39,
    "errno": "ENOTEMPTY",
    "path": "/srv/d/",
}
FAULTY: Event = {
    **WITHOUT_FACTS,
    "filename": None,
    "path": None,
    "path_kind": None,
    "name_status": "fault",
    "ret": None,
    "duration_ns": None,
    "exe": None,
    "argv": None,
    "action": "truncate",
    "syscall": "truncate",
}
EXTRA = ("ancestors", "parent_argv", "cwd", "user", "login")
CASES = {
    "deleted": RM,
    "renamed": RENAMED,
    "refused": REFUSED,
    "faulty": FAULTY,
    "linked": LINKED,
    "moved": MOVED,
    "exchanged": EXCHANGED,
    "emptied": EMPTIED,
    "punched": PUNCHED,
}

# What OCSF 1.8.0 requires, object by object, and the file of its repository that says so.
REQUIRED = {
    "": "activity_id category_uid class_uid metadata severity_id time type_uid",  # events/base_event.json
    ".": "actor device file",  # events/system/system.json, events/system/file_activity.json
    "metadata": "product version",  # objects/metadata.json
    "device": "type_id",  # objects/device.json
    "device.os": "name type_id",  # objects/os.json
    "file": "name type_id",  # objects/file.json
    "file_result": "name type_id",
    "actor.process.file": "name type_id",
}
# Of these, one at the least: the `constraints` of the same files.
ONE_OF = {
    "actor": "process user invoked_by session app_name app_uid",
    "actor.process": "pid uid cpid cmd_line name path",
    "actor.process.container": "uid name",
    "actor.process.parent_process": "pid uid cpid cmd_line name path",
    "actor.user": "account name uid",
    "device": "ip uid name hostname instance_uid interface_uid interface_name",
    "metadata.product": "name uid",
}
# The names that ECS 9.4.0 has for what stands here: its generated/csv/fields.csv. All else is in `rawtp`.
ECS_FIELDS = {
    *("@timestamp", "agent.type", "agent.version", "container.id", "ecs.version", "error.code", "error.message"),
    *("event.action", "event.category", "event.duration", "event.kind", "event.module", "event.outcome", "event.type"),
    *("file.device", "file.directory", "file.inode", "file.mode", "file.mtime", "file.name", "file.path", "file.size"),
    *("file.type", "file.uid", "group.id", "host.architecture", "host.boot.id", "host.hostname"),
    *("host.id", "host.name", "host.os.kernel", "host.os.type", "orchestrator.resource.id"),
    *("orchestrator.resource.type", "process.args", "process.executable", "process.name", "process.parent.name"),
    *("process.parent.pid", "process.pid", "process.start", "process.thread.id", "process.vpid", "user.effective.id"),
    "user.id",
}
ECS_CORE = {"@timestamp", "ecs.version", "event.kind", "event.category", "event.type", "event.outcome"}


def document(name: str, event: Event, host: dict[str, Any] = HOST, extra: tuple[str, ...] = ()) -> dict[str, Any]:
    text = SCHEMAS[name](host, extra).events([event])
    assert text.isascii()
    assert text.count("\n") == 1
    assert text.endswith("}\n")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def leaves(value: object, above: str = "") -> dict[str, object]:
    if not isinstance(value, dict):
        return {above: value}
    found: dict[str, object] = {}
    for key, below in value.items():
        found |= leaves(below, f"{above}.{key}" if above else key)
    return found


def part(of: dict[str, Any], place: str) -> dict[str, Any] | None:
    for key in filter(None, place.split(".")):
        if key not in of:
            return None
        of = of[key]
    return of


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", SCHEMAS)
def test_whole_documents(name: str, case: str) -> None:
    """The files say what is right; RAWTP_GOLDEN=write writes them, for an eye to check."""
    golden = GOLDEN / f"{name}_{case}.json"
    found = document(name, CASES[case])
    if os.environ.get("RAWTP_GOLDEN") == "write":
        golden.write_text(json.dumps(found, indent=1) + "\n")
    assert found == json.loads(golden.read_text())


@pytest.mark.parametrize("name", SCHEMAS)
def test_keys_that_are_asked_for(name: str) -> None:
    lossy = os.fsdecode(b"\xff")
    event: Event = {**RM, "ancestors": ((7, "sh", ("sh", "a b", lossy)), (1, "x", None)), "cwd": f"/{lossy}"}
    found, plain = document(name, event, extra=EXTRA), document(name, event)
    if name == "ecs":
        process, beside, ancestors = found["process"], found["rawtp"], found["rawtp"].pop("ancestors")
        assert process["parent"].pop("args") == ["bash", "./clean.sh"]
        assert process["parent"].pop("command_line") == "bash ./clean.sh"
        assert ancestors == [{"pid": 7, "name": "sh", "args": ["sh", "a b", "\\xff"]}, {"pid": 1, "name": "x"}]
        assert found["user"].pop("name") == "me"
    else:
        process, beside = found["actor"]["process"], found["unmapped"]
        assert process["parent_process"].pop("cmd_line") == "bash ./clean.sh"
        assert process.pop("ancestry") == [
            {"pid": 7, "name": "sh", "cmd_line": "sh 'a b' '\\xff'"},
            {"pid": 1, "name": "x"},
        ]
        assert (process["user"].pop("name"), found["actor"]["user"].get("name", "me")) == ("me", "me")
        found["actor"]["user"].pop("name", None)
    assert (process.pop("working_directory"), beside.pop("login")) == ("/\\xff", "me")
    assert beside.pop("cwd_bytes") == "L/8="
    assert beside.pop("ancestors_bytes") == [[7, "c2g=", ["c2g=", "YSBi", "/w=="]], [1, "eA==", None]]
    assert found == plain


@pytest.mark.parametrize("name", SCHEMAS)
def test_keys_that_are_asked_for_but_not_known(name: str) -> None:
    none: Any = {"ancestors": (), "parent_argv": None, "cwd": None, "user": None, "login": None}
    assert document(name, {**RM, **none}, extra=EXTRA) == document(name, RM)


@pytest.mark.parametrize("host", [HOST, NOWHERE])
@pytest.mark.parametrize("case", CASES)
def test_ocsf_has_what_is_required(case: str, host: dict[str, Any]) -> None:
    found = document("ocsf", CASES[case], host)
    for place, keys in REQUIRED.items():
        if (there := part(found, place)) is not None:
            assert set(keys.split()) <= set(there), place
    for place, keys in ONE_OF.items():
        if (there := part(found, place)) is not None:
            assert set(keys.split()) & set(there), place
    assert found["type_uid"] == found["class_uid"] * 100 + found["activity_id"]


@pytest.mark.parametrize(
    ("case", "activity", "status", "folder"),
    [
        *(("deleted", 4, 1, 1), ("renamed", 5, 1, 0), ("refused", 4, 2, 0), ("faulty", 3, 0, 0), ("emptied", 3, 1, 1)),
        *(("exchanged", 5, 1, 1), ("punched", 3, 1, 1)),
    ],
)
def test_ocsf_numbers(case: str, activity: int, status: int, folder: int) -> None:
    found = document("ocsf", CASES[case])
    keys = ("category_uid", "class_uid", "activity_id", "severity_id", "status_id", "time")
    assert [found[key] for key in keys] == [1, 1001, activity, 1, status, 1_700_000_000_123]
    assert found["file"]["type_id"] == folder
    assert ("file_result" in found) == (case in {"renamed", "exchanged", "emptied"})


def test_what_was_a_folder_is_known_once_it_is_gone() -> None:
    assert document("ocsf", {**REFUSED, "ret": 0, "errno": None})["file"]["type_id"] == 2


def test_a_rename_that_failed_has_no_result() -> None:
    found = document("ocsf", {**RENAMED, "ret": -2, "errno": "ENOENT"})
    assert "file_result" not in found
    assert found["unmapped"]["new_path"] == "/srv/c"
    assert "file_result" not in document("ocsf", {**EMPTIED, "ret": -13, "errno": "EACCES"})


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_file_is_the_real_one_and_the_claim_is_beside_it(name: str) -> None:
    found = document(name, LINKED)
    beside = found["rawtp" if name == "ecs" else "unmapped"]
    assert (found["file"]["path"], found["file"]["name"]) == ("/srv/data/x", "x")
    assert found["file"]["directory" if name == "ecs" else "parent_folder"] == "/srv/data"
    assert (beside["path"], beside["filename"], beside["real_path_by"]) == ("/home/me/link/x", "link/x", "lookup")
    unknown = document(name, {**LINKED, "real_path": None, "real_path_by": None})
    assert unknown["file"]["path"] == "/home/me/link/x"
    moved = document(name, {**MOVED, "new_path": "/link/db"})
    beside = moved["rawtp" if name == "ecs" else "unmapped"]
    assert (beside["new_path"], beside["new_real_path"]) == ("/link/db", "/srv/db")
    assert moved.get("file_result", {}).get("path", "/srv/db") == "/srv/db"
    lossy = document(name, {**LINKED, "real_path": os.fsdecode(b"/\xff")})
    assert lossy["file"]["path"] == "/\\xff"
    assert base64.b64decode(lossy["rawtp" if name == "ecs" else "unmapped"]["real_path_bytes"]) == b"/\xff"


def test_files_by_type() -> None:
    types = ["file", "directory", "symlink", "fifo", "socket", "character device", "block device", None]
    found = [document("ocsf", {**RM, "file_type": kind})["file"] for kind in types]
    assert [file["type_id"] for file in found] == [1, 2, 7, 6, 5, 3, 4, 0]
    assert [file.get("type") for file in found][:3] == ["Regular File", "Folder", "Symbolic Link"]
    assert [document("ecs", {**RM, "file_type": kind})["file"].get("type") for kind in types] == [
        *("file", "dir", "symlink", "fifo", "socket", "character device", "block device", None)
    ]
    assert document("ecs", {**RM, "mode": 0o104755})["file"]["mode"] == "4755"


@pytest.mark.parametrize("case", CASES)
def test_ecs_uses_the_names_that_there_are(case: str) -> None:
    names = {name for name in leaves(document("ecs", CASES[case])) if not name.startswith("rawtp.")}
    assert names <= ECS_FIELDS
    assert names >= ECS_CORE


def test_ecs_fields_are_all_made_somewhere() -> None:
    made = {name for event in CASES.values() for name in leaves(document("ecs", event))}
    assert made >= ECS_FIELDS


@pytest.mark.parametrize(
    ("case", "type_", "outcome", "code"),
    [
        ("deleted", "deletion", "success", None),
        ("renamed", "change", "success", None),
        ("refused", "deletion", "failure", "ENOTEMPTY"),
        ("faulty", "change", "unknown", None),
    ],
)
def test_ecs_categories(case: str, type_: str, outcome: str, code: str | None) -> None:
    found = document("ecs", CASES[case])
    assert (found["event"]["kind"], found["event"]["category"]) == ("event", ["file"])
    assert (found["event"]["type"], found["event"]["outcome"]) == ([type_], outcome)
    assert found.get("error", {}).get("code") == code


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", SCHEMAS)
def test_what_is_not_known_is_left_out(name: str, case: str) -> None:
    found = leaves(document(name, CASES[case], NOWHERE))
    assert None not in found.values()
    assert {} not in found.values()


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_tracer_is_asked_for_all_that_is_needed(name: str) -> None:
    schema: Format = SCHEMAS[name](HOST)
    assert set(schema.fields) <= set(rawtp.ALL_FIELDS)
    least: Event = {key: value for key, value in RM.items() if key in schema.fields}  # type: ignore[assignment]
    assert schema.event(least) == schema.event(RM)


@pytest.mark.parametrize("name", SCHEMAS)
def test_what_is_kept_of_a_process_is_only_that_process_s(name: str) -> None:
    kept = SCHEMAS[name](HOST)
    events = [
        *CASES.values(),
        *({**RM, key: "other"} for key in ("comm", "parent_comm", "exe", "container_id", "unit")),
        *(
            {**RM, key: 4242}
            for key in ("pid", "tid", "ppid", "uid", "gid", "euid", "fsuid", "auid", "start_ns", "ns_pid")
        ),
    ] * 2
    assert [kept.event(event) for event in events] == [SCHEMAS[name](HOST).event(event) for event in events]  # type: ignore[arg-type]
    assert len({kept.event(event) for event in events}) == len(events) / 2  # type: ignore[arg-type]
    for pid in range(3000):
        kept.event({**RM, "pid": pid})
    assert len(kept._kept) <= 1024


@pytest.mark.parametrize("name", SCHEMAS)
@given(comm=st.binary(max_size=15), path=st.binary(), argv=st.lists(st.binary(max_size=5), max_size=3))
def test_hostile_names(name: str, comm: bytes, path: bytes, argv: list[bytes]) -> None:
    hostile = os.fsdecode(b"/" + path)
    event: Event = {
        **WITHOUT_FACTS,
        "comm": os.fsdecode(comm),
        "path": hostile,
        "filename": hostile,
        "argv": tuple(map(os.fsdecode, argv)),
    }
    found = document(name, event)
    json.dumps(found, ensure_ascii=False).encode("utf-8")
    shown = (b"/" + path).decode("utf-8", "backslashreplace")
    beside = found["rawtp" if name == "ecs" else "unmapped"]
    assert (found["file"]["path"], beside["filename"]) == (shown, shown)
    lossy = shown.encode() != b"/" + path
    assert ("path_bytes" in beside) == lossy
    if lossy:
        assert base64.b64decode(beside["path_bytes"]) == b"/" + path
    process = found["process"] if name == "ecs" else found["actor"]["process"]
    assert process["name"] == comm.decode("utf-8", "backslashreplace")
