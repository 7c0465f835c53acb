"""Events as the Elastic Common Schema, version 9.4, names them: nested objects, one a line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rawtp.formats.schema import (
    Documents,
    command_line,
    known,
    message,
    parts,
    text,
    whole_new_path,
    whole_path,
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
}


class Ecs(Documents):
    """ECS. Unknown values are left out.

    ``file`` is what the call named; a rename's new name, which the schema has no field for, is ``rawtp.new_path``. All
    else that it has none for is in ``rawtp``, too.
    """

    def __init__(self, session: Mapping[str, object], extra: Sequence[str] = ()) -> None:
        super().__init__(extra)
        self._clock = Clock(utc=True)
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
        path = whole_path(event)
        directory, name = parts(path, event["filename"])
        ret = event["ret"]
        return known(
            **{"@timestamp": self._clock.iso(event["ts_ns"])},
            event=known(
                kind="event",
                module="rawtp",
                category=["file"],
                type=[_TYPES[event["action"]]],
                action=event["action"],
                outcome="unknown" if ret is None else "success" if ret >= 0 else "failure",
                duration=event["duration_ns"],
            ),
            error=known(code=event["errno"], message=message(event)),
            file=known(path=path, directory=directory, name=name),
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
            range_start=event["range_start"],
            range_length=event["range_length"],
            filename=text(event["filename"]),
            new_filename=text(event["new_filename"]),
            new_path=whole_new_path(event),
            host_path=text(event["host_path"]),
            path_kind=event["path_kind"],
            name_status=event["name_status"],
            fsuid=event["fsuid"],
            fsgid=event["fsgid"],
            ancestors=[known(pid=pid, name=text(comm), args=words(argv)) for pid, comm, argv in more["ancestors"] or ()]
            or None,
            auid=event["auid"],
            login=text(more["login"]),
            session_id=event["session_id"],
            unit=event["unit"],
        ) | self.exact_bytes(event)
