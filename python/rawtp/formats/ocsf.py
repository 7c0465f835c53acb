"""Events as OCSF's File System Activity (class 1001), schema version 1.8.0, one object a line."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rawtp.formats.schema import (
    ATTRIBUTES,
    CREATIONS,
    PERMISSIONS,
    Documents,
    claims_and_facts,
    command_line,
    file_path,
    known,
    message,
    new_file_path,
    parts,
    text,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from rawtp.event import Event

_VERSION = "1.8.0"
_CATEGORY, _CLASS = 1, 1001
_ACTIVITIES = {
    **dict.fromkeys(("delete", "rmdir"), (4, "Delete")),
    **dict.fromkeys(("truncate", "punch", "zero", "collapse"), (3, "Update")),
    "rename": (5, "Rename"),
    **dict.fromkeys(CREATIONS, (1, "Create")),
    **dict.fromkeys(ATTRIBUTES, (6, "Set Attributes")),
    **dict.fromkeys(PERMISSIONS, (7, "Set Security")),
    **dict.fromkeys(("mount", "move_mount"), (12, "Mount")),
    **dict.fromkeys(("umount", "umount2"), (13, "Unmount")),
    **dict.fromkeys(("open", "openat", "openat2", "open_by_handle_at"), (14, "Open")),
}
_OTHER = (99, "Other")
_INFORMATIONAL = 1
_UNKNOWN, _REGULAR, _FOLDER = 0, 1, 2  # of file.type_id
_FILE_TYPES = {
    "file": (_REGULAR, "Regular File"),
    "directory": (_FOLDER, "Folder"),
    "character device": (3, "Character Device"),
    "block device": (4, "Block Device"),
    "socket": (5, "Local Socket"),
    "fifo": (6, "Named Pipe"),
    "symlink": (7, "Symbolic Link"),
}
_LINUX = 200  # of device.os.type_id
_UUID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Ocsf(Documents):
    """OCSF. Unknown values are left out, or are the schema's own "Unknown" where it requires a value.

    ``file`` is the file that the kernel worked on, before the call, and ``file_result`` the same after it. ``path`` is
    its real path, else the path that the process said, which is ``unmapped.path`` in any case.

    Times are in milliseconds, as the schema has them: ``unmapped`` has the nanoseconds, and all else that it has no
    attribute for.
    """

    def __init__(self, session: Mapping[str, object], extra: Sequence[str] = ()) -> None:
        super().__init__(extra)
        product = known(name="rawtp", vendor_name="rawtp", version=session["version"])
        self._metadata = known(version=_VERSION, product=product, profiles=["host", "container", "linux/linux_users"])
        self._device = known(
            type_id=_UNKNOWN,
            hostname=session["host"],
            uid=session["machine_id"],
            boot_uid=session["boot_id"],
            os=known(name="Linux", type_id=_LINUX, kernel_release=session["kernel"]),
        )

    def own(self, event: Event) -> dict[str, object]:
        """The call, and its file."""
        activity, activity_name = _ACTIVITIES.get(event["action"] or event["syscall"] or "", _OTHER)
        ret, duration_ns = event["ret"], event["duration_ns"]
        status, status_name = (0, "Unknown") if ret is None else (1, "Success") if ret >= 0 else (2, "Failure")
        return known(
            activity_id=activity,
            activity_name=activity_name,
            type_uid=_CLASS * 100 + activity,
            type_name=f"File System Activity: {activity_name}",
            time=event["ts_ns"] // 1_000_000,
            duration=None if duration_ns is None else duration_ns // 1_000_000,
            file=_named(file_path(event), event["filename"]) | _facts(event),
            file_result=_result(event),
            status_id=status,
            status=status_name,
            status_code=event["errno"],
            status_detail=message(event),
            unmapped=_unmapped(event, self.more(event)) | self.exact_bytes(event),
        )

    def common(self, event: Event) -> dict[str, object]:
        """The process, and the host."""
        return known(
            category_uid=_CATEGORY,
            category_name="System Activity",
            class_uid=_CLASS,
            class_name="File System Activity",
            severity_id=_INFORMATIONAL,
            severity="Informational",
            metadata=self._metadata,
            device=self._device,
            actor=_actor(event, self.more(event)),
        )


def _named(path: str | None, filename: str | None) -> dict[str, object]:
    directory, name = parts(path, filename)
    # A call on a descriptor has no name, but the schema requires one: "" stands for none.
    return known(name=name or "", path=path, parent_folder=directory)


def _facts(event: Event) -> dict[str, object]:
    """The part of a file's object that does not depend on its name."""
    ino, owner, mtime_ns = event["ino"], event["owner"], event["mtime_ns"]
    if ino is None:
        is_folder = event["action"] == "rmdir" and event["ret"] == 0
        return {"type_id": _FOLDER if is_folder else _UNKNOWN}
    type_id, name = _FILE_TYPES.get(event["file_type"] or "", (_UNKNOWN, None))
    return known(
        type_id=type_id,
        type=name,
        uid=str(ino),
        size=event["size"],
        owner=None if owner is None else {"uid": str(owner)},
        modified_time=None if mtime_ns is None else mtime_ns // 1_000_000,
    )


def _result(event: Event) -> dict[str, object] | None:
    """The file after a rename or a truncation. The schema has it for those that succeeded: what a failed one was to do
    is in ``unmapped``."""
    ret, length = event["ret"], event["length"]
    if ret is None or ret < 0:
        return None
    if event["action"] == "rename":
        return _named(new_file_path(event), event["new_filename"]) | _facts(event)
    if event["action"] == "truncate" and length is not None:
        changed = {"size": length, "modified_time": None}
        return known(**_named(file_path(event), event["filename"]) | _facts(event) | changed)
    return None


def _actor(event: Event, more: Mapping[str, Any]) -> dict[str, object]:
    exe = text(event["exe"])
    user = known(uid=str(event["uid"]), name=text(more["user"]))
    ancestry = [
        known(pid=pid, name=text(comm), cmd_line=command_line(argv)) for pid, comm, argv in more["ancestors"] or ()
    ]
    pod = event["pod_id"]
    process = known(
        pid=event["pid"],
        ptid=event["tid"],
        namespace_pid=event["ns_pid"],
        name=text(event["comm"]),
        path=exe,
        file=None if exe is None else _named(exe, None) | {"type_id": _REGULAR},
        cmd_line=command_line(event["argv"]),
        working_directory=text(more["cwd"]),
        created_time=event["start_ns"] // 1_000_000,
        parent_process=known(
            pid=event["ppid"], name=text(event["parent_comm"]), cmd_line=command_line(more["parent_argv"])
        ),
        ancestry=ancestry or None,
        user=user,
        group={"uid": str(event["gid"])},
        euid=event["euid"],
        auid=event["auid"],
        session=None if event["session_id"] is None else {"uid": str(event["session_id"])},
        container=known(uid=event["container_id"], pod_uuid=pod if pod and _UUID.fullmatch(pod) else None)
        if event["container_id"] is not None
        else None,
    )
    return {"process": process, "user": user}


def _unmapped(event: Event, more: Mapping[str, Any]) -> dict[str, object]:
    return known(
        ts_ns=event["ts_ns"],
        duration_ns=event["duration_ns"],
        cpu=event["cpu"],
        seq=event["seq"],
        lost=event["lost"],
        syscall=event["syscall"],
        abi=event["abi"],
        via=event["via"],
        action=event["action"],
        ret=event["ret"],
        start_ns=event["start_ns"],
        dev=event["dev"],
        mode=event["mode"],
        mtime_ns=event["mtime_ns"],
        **claims_and_facts(event),
        fsuid=event["fsuid"],
        fsgid=event["fsgid"],
        login=text(more["login"]),
        pod_id=event["pod_id"],
        unit=event["unit"],
    )
