"""Records as OTLP's log records, with the attributes of OpenTelemetry's semantic conventions where these have one.

``log.record.uid`` is the key: by the conventions, records that have the same are duplicates of one another. What has no
name there is ``rawtp.KEY``. A name that is not UTF-8 has its bytes beside it, as ``rawtp.KEY_bytes``.
"""

from __future__ import annotations

import os
import posixpath
import stat
from operator import itemgetter
from typing import TYPE_CHECKING

from rawtp.formats.raw_bytes import visible
from rawtp.formats.timestamp import Clock
from rawtp.sinks.protobuf import field, fixed64, integer, tag, varint
from rawtp.sinks.records import sentence

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from rawtp.sinks.base import Delivery, Origin

SCHEMA_URL = "https://opentelemetry.io/schemas/1.38.0"

_INFO, _WARN = 9, 13
_MAX_KEPT = 1024  # processes, of at most some 20 KB each

_OF_PROCESS = {
    "pid": "process.pid",
    "tid": "thread.id",
    "comm": "thread.name",
    "ppid": "process.parent_pid",
    "exe": "process.executable.path",
    "argv": "process.command_args",
    "uid": "process.real_user.id",
    "user": "process.real_user.name",
    "euid": "process.user.id",
    "cwd": "process.working_directory",
    "ns_pid": "process.vpid",
    "start_ns": "process.creation.time",
    "container_id": "container.id",
    "pod_id": "k8s.pod.uid",
    **{
        key: f"rawtp.{key}"
        for key in (
            *("gid", "fsuid", "fsgid", "auid", "login", "session_id", "pid_ns", "mnt_ns", "cgroup_id", "unit"),
            *("parent_comm", "parent_argv", "argv_truncated", "ancestors", "syscall", "abi", "via", "action"),
        )
    },
}
"""The keys that stay the same while a process does the same thing. Their attributes are encoded once."""

_NAMES = ("container_name", "pod", "namespace", "image")
_names_of = itemgetter(*_NAMES)
_TOLD_OTHERWISE = {*_NAMES, "ts_ns", "type", "key", "session", "host", "machine_id", "boot_id"}
_OF_FILE = {"errno": "error.type", "size": "file.size"}
_process_of = itemgetter(*_OF_PROCESS)


def request(deliveries_origin: Origin, scope: bytes, records: Sequence[bytes]) -> bytes:
    """An ExportLogsServiceRequest of encoded records of one recording."""
    origin = deliveries_origin
    resource = [
        attribute("service.name", "rawtp"),
        attribute("host.name", visible(origin.host)),
        attribute("host.id", origin.machine_id),
        attribute("os.type", "linux"),
        attribute("rawtp.boot_id", origin.boot_id),
        attribute("rawtp.session", origin.session),
    ]
    of_scope = field(1, scope) + b"".join(field(2, record) for record in records) + field(3, SCHEMA_URL.encode())
    of_resource = field(1, b"".join(field(1, one) for one in resource)) + field(2, of_scope)
    return field(1, of_resource + field(3, SCHEMA_URL.encode()))


def scope(version: str) -> bytes:
    """An InstrumentationScope."""
    return field(1, b"rawtp") + field(2, version.encode())


def attribute(name: str, value: object) -> bytes:
    """A KeyValue."""
    return field(1, name.encode()) + field(2, _value(value))


def _value(value: object) -> bytes:
    """An AnyValue."""
    if isinstance(value, str):
        return field(1, visible(value).encode("utf-8", "replace"))
    if isinstance(value, bool):
        return integer(2, value)
    if isinstance(value, int):
        # Device and inode numbers of some file systems use the highest bit, which the type lacks.
        return integer(3, value) if value < 1 << 63 else field(1, str(value).encode())
    if isinstance(value, bytes):
        return field(7, value)
    if isinstance(value, (tuple, list)):
        return field(5, b"".join(field(1, _value(one)) for one in value))
    if isinstance(value, dict):
        return field(6, b"".join(field(1, attribute(key, one)) for key, one in value.items() if one is not None))
    return b""


class Encoder:
    """Encodes records. Those of a process share the attributes that are encoded for the first."""

    def __init__(self) -> None:
        self._kept: dict[object, bytes] = {}
        self._clock = Clock(utc=True)
        self._attribute = field(6, b"")[:1]
        self._prefixes: dict[str, bytes] = {}

    def records(self, delivery: Delivery, now_ns: int) -> list[bytes]:
        """The records as LogRecords."""
        return [
            self._event(one, now_ns) if one["type"] == "event" else self._other(one, now_ns) for one in delivery.records
        ]

    def _event(self, event: Mapping[str, Any], now_ns: int) -> bytes:
        process = _process_of(event)
        if (common := self._kept.get(process)) is None:
            if len(self._kept) >= _MAX_KEPT:
                self._kept.clear()
            common = self._kept[process] = self._process(event)
        name = f"rawtp.{event['action'] or 'event'}"
        own = [
            *_head(event["ts_ns"], now_ns, _INFO, b"INFO", sentence(event), name),
            self._one("log.record.uid", event["key"]),
            common,
            self._names(event),
        ]
        path = event["real_path"] or event["path"]
        if path is not None:
            directory, base = posixpath.split(path)
            own += [
                self._one("file.path", path),
                self._one("file.directory", directory),
                self._one("file.name", base),
            ]
        if event["ino"] is not None:
            own.append(self._one("file.inode", str(event["ino"])))
        if event["mode"] is not None:
            own.append(self._one("file.mode", f"{stat.S_IMODE(event['mode']):04o}"))
        if event["owner"] is not None:
            own.append(self._one("file.owner.id", str(event["owner"])))
        for key, value in event.items():
            if value is None or key in _OF_PROCESS or key in _TOLD_OTHERWISE:
                continue
            own.append(self._one(_OF_FILE.get(key) or f"rawtp.{key}", value))
            if type(value) is str and not value.isascii() and visible(value) != value:
                own.append(self._one(f"rawtp.{key}_bytes", os.fsencode(value)))
        return b"".join(own)

    def _process(self, event: Mapping[str, Any]) -> bytes:
        made = []
        for key, name in _OF_PROCESS.items():
            value = event[key]
            if value is None:
                continue
            if key == "start_ns":
                value = self._clock.iso(value)
            elif key == "ancestors":
                value = [{"pid": pid, "comm": comm, "argv": argv} for pid, comm, argv in value]
            made.append(self._one(name, value))
            if (raw := _undecoded(value)) is not None:
                made.append(self._one(f"rawtp.{key}_bytes", raw))
        return b"".join(made)

    def _names(self, event: Mapping[str, Any]) -> bytes:
        """The names of the event's container, as the conventions have them."""
        # Only what is shipped has any.
        if "image" not in event or not any(names := _names_of(event)):
            return b""
        if (made := self._kept.get(names)) is None:
            if len(self._kept) >= _MAX_KEPT:
                self._kept.clear()
            container, pod, namespace, image = names
            is_id = image is not None and image.startswith("sha256:")
            repository, tag_ = image_parts(image) if image and not is_id else (None, None)
            attributes = {
                # That of a pod's specification; else that of the container's runtime.
                "k8s.container.name" if pod else "container.name": container,
                "k8s.pod.name": pod,
                "k8s.namespace.name": namespace,
                "container.image.id": image if is_id else None,
                "container.image.name": repository,
                "container.image.tags": (tag_,) if tag_ else None,
                "rawtp.image": image,
            }
            made = b"".join(self._one(name, value) for name, value in attributes.items() if value is not None)
            self._kept[names] = made
        return made

    def _other(self, record: Mapping[str, Any], now_ns: int) -> bytes:
        """A line of the journal, at the time when it ended."""
        times = (record.get(key) for key in ("to_ns", "through_ns", "start_ns", "after_ns"))
        ts_ns = next((time for time in times if time is not None), now_ns)
        is_bad = record["type"] in {"gap", "loss", "unshipped", "quarantined"}
        head = _head(
            ts_ns,
            now_ns,
            _WARN if is_bad else _INFO,
            b"WARN" if is_bad else b"INFO",
            sentence(record),
            f"rawtp.{record['type']}",
        )
        told = {
            key: value for key, value in record.items() if key not in {*_TOLD_OTHERWISE, "info"} and value is not None
        }
        return b"".join(
            [*head, self._one("log.record.uid", record["key"]), *(self._one(f"rawtp.{key}", told[key]) for key in told)]
        )

    def _one(self, name: str, value: object) -> bytes:
        """An attribute as a field of a LogRecord."""
        prefix = self._prefixes.get(name)
        if prefix is None:
            prefix = self._prefixes[name] = field(1, name.encode()) + tag(2, 2)
        encoded = _value(value)
        content = prefix + varint(len(encoded)) + encoded
        return self._attribute + varint(len(content)) + content


def image_parts(image: str) -> tuple[str, str | None]:
    """The repository of an image, with its registry, and the tag. A digest behind ``@`` is neither."""
    name = image.partition("@")[0]
    repository, colon, found = name.rpartition(":")
    # A colon before a slash is that of a registry's port.
    return (repository, found) if colon and "/" not in found else (name, None)


def _head(ts_ns: int, now_ns: int, severity: int, text: bytes, body: str, name: str) -> list[bytes]:
    return [
        fixed64(1, ts_ns),
        fixed64(11, now_ns),
        integer(2, severity),
        field(3, text),
        field(5, field(1, body.encode("utf-8", "replace"))),
        field(12, name.encode()),
    ]


def _undecoded(value: object) -> bytes | list[bytes] | None:
    """The bytes of text that is not UTF-8."""
    if isinstance(value, str):
        return None if value.isascii() or visible(value) == value else os.fsencode(value)
    if isinstance(value, tuple) and any(isinstance(one, str) and _undecoded(one) is not None for one in value):
        return [os.fsencode(one) for one in value]
    return None
