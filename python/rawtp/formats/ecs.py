"""Events as the Elastic Common Schema, version 9.4, names them: nested objects, one a line."""

from __future__ import annotations

import os
import stat
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
    parts,
    text,
    words,
)
from rawtp.formats.timestamp import Clock

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rawtp.event import Event

_VERSION = "9.4.0"
# The schema's types of event. What leaves the file there is a change: a rename, a truncation.
_TYPES = {
    **dict.fromkeys(("delete", "rmdir"), "deletion"),
    **dict.fromkeys(("rename", "truncate", "punch", "zero", "collapse"), "change"),
    **dict.fromkeys(CREATIONS, "creation"),
    **dict.fromkeys((*ATTRIBUTES, *PERMISSIONS), "change"),
}


class Ecs(Documents):
    """ECS. Unknown values are left out.

    ``file`` is the file that the kernel worked on, before the call. ``file.path`` is its real path, else the path that
    the process said, which is ``rawtp.path`` in any case. The schema has no field for a rename's new name: it is
    ``rawtp.new_real_path`` and ``rawtp.new_path``. All else that it has none for is in ``rawtp``, too.
    """

    def __init__(self, session: Mapping[str, object], extra: Sequence[str] = ()) -> None:
        super().__init__(extra)
        # A clock keeps one second: that of the events does not change with each file.
        self._clock, self._file_clock = Clock(utc=True), Clock(utc=True)
        self._agent = known(type="rawtp", version=session["version"])
        self._host = known(
            hostname=session["host"],
            name=session["host"],
            id=session["machine_id"],
            architecture=session["architecture"],
            boot=known(id=session["boot_id"]),
            os=known(type="linux", kernel=session["kernel"]),
        )

    def own(self, event: Event) -> dict[str, object]:
        """The call, and its file."""
        ret = event["ret"]
        return known(
            **{"@timestamp": self._clock.iso(event["ts_ns"])},
            event=known(
                kind="event",
                module="rawtp",
                category=["file"],
                type=[_TYPES.get(event["action"] or event["syscall"] or "", "info")],
                action=event["action"] or event["syscall"],
                outcome="unknown" if ret is None else "success" if ret >= 0 else "failure",
                duration=event["duration_ns"],
            ),
            error=known(code=event["errno"], message=message(event)),
            file=self._file(event),
            rawtp=self._beside(event),
        )

    def common(self, event: Event) -> dict[str, object]:
        """The process, and the host."""
        pod, more = event["pod_id"], self.more(event)
        return known(
            ecs={"version": _VERSION},
            agent=self._agent,
            host=self._host,
            process=known(
                pid=event["pid"],
                vpid=event["ns_pid"],
                name=text(event["comm"]),
                executable=text(event["exe"]),
                args=words(event["argv"]),
                start=self._clock.iso(event["start_ns"]),
                thread={"id": event["tid"]},
                working_directory=text(more["cwd"]),
                parent=known(
                    pid=event["ppid"],
                    name=text(event["parent_comm"]),
                    args=words(more["parent_argv"]),
                    command_line=command_line(more["parent_argv"]),
                ),
            ),
            user=known(id=str(event["uid"]), name=text(more["user"]), effective={"id": str(event["euid"])}),
            group={"id": str(event["gid"])},
            container=known(id=event["container_id"]),
            orchestrator={} if pod is None else {"resource": {"id": pod, "type": "pod"}},
        )

    def _file(self, event: Event) -> dict[str, object]:
        path = file_path(event)
        directory, name = parts(path, event["filename"])
        file = known(path=path, directory=directory, name=name)
        dev, ino, mode, owner, mtime_ns = event["dev"], event["ino"], event["mode"], event["owner"], event["mtime_ns"]
        if ino is None:
            return file
        return file | known(
            type="dir" if event["file_type"] == "directory" else event["file_type"],
            device=None if dev is None else f"{os.major(dev)}:{os.minor(dev)}",
            inode=str(ino),
            size=event["size"],
            mode=None if mode is None else f"{stat.S_IMODE(mode):04o}",
            uid=None if owner is None else str(owner),
            mtime=None if mtime_ns is None else self._file_clock.iso(mtime_ns),
        )

    def _beside(self, event: Event) -> dict[str, object]:
        more = self.more(event)
        return known(
            cpu=event["cpu"],
            seq=event["seq"],
            lost=event["lost"],
            syscall=event["syscall"],
            abi=event["abi"],
            via=event["via"],
            ret=event["ret"],
            **claims_and_facts(event),
            fsuid=event["fsuid"],
            fsgid=event["fsgid"],
            ancestors=[known(pid=pid, name=text(comm), args=words(argv)) for pid, comm, argv in more["ancestors"] or ()]
            or None,
            auid=event["auid"],
            login=text(more["login"]),
            session_id=event["session_id"],
            unit=event["unit"],
        ) | self.exact_bytes(event)
