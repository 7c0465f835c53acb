"""JSON lines: a session, its events, each loss in its place, and the ledger; ``type`` tells them apart."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from rawtp.formats.base import Format
from rawtp.formats.line_cache import Templates
from rawtp.formats.raw_bytes import each_text, exact, visible
from rawtp.formats.safe_ints import MAX_SAFE, digits
from rawtp.formats.timestamp import Clock

if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Sequence

    from rawtp.event import Event


def _other(value: object) -> str:
    return os.fsdecode(value) if isinstance(value, bytes) else str(value)


_encode = json.JSONEncoder(separators=(",", ":"), default=_other).encode
_quote = json.encoder.encode_basestring_ascii


def _text(key: str, value: str | int | dict[str, object]) -> str:
    if type(value) is str:
        return _quote(value)
    return _encode(value) if (exact_digits := digits(value)) is None else _with_digits(key, value, exact_digits)


def _with_digits(key: str, value: object, exact_digits: object) -> str:
    return f'{_encode(value)},"{key}_str":{_encode(exact_digits)}'


def line(event: Mapping[str, object], keys: Sequence[str], clock: Clock | None = None) -> str:
    r"""The event as one line of ASCII JSON: these keys, in this order, after ``type`` and, with a clock, ``time``.

    Bytes that are not valid UTF-8 are shown as ``\xNN``. That cannot be told from a name that holds those four
    characters, so a second key, ``filename_bytes`` after ``filename``, has the whole value's bytes in base64. It is
    there only when it is needed. In the same way ``ts_ns_str`` has the digits of a number that a double cannot hold.
    """
    values: dict[str, object] = {"type": "event"}
    if clock:
        values["time"] = clock.iso(event["ts_ns"])  # type: ignore[arg-type]
    for key in keys:
        values[key] = each_text(visible, event[key])
        values |= exact(event, (key,))
        if (exact_digits := digits(event[key])) is not None:
            values[f"{key}_str"] = exact_digits
    return _encode(values) + "\n"


def document(kind: str, values: Mapping[str, object]) -> str:
    """A line that is no event: ``type``, and these values, whose text may have undecoded bytes."""
    shown: dict[str, object] = {"type": kind}
    for key, value in values.items():
        shown[key] = _visible(value)
        if (exact_digits := digits(value)) is not None:
            shown[f"{key}_str"] = exact_digits
    return _encode(shown) + "\n"


def _visible(value: object) -> object:
    return each_text(visible, tuple(value) if isinstance(value, list) else value)


class JsonLines(Format):
    """Each line is ASCII, and an object whose first key is ``type``: session, event, lost or ledger.

    With templates, an event costs a third of what the encoder would take.
    """

    def __init__(self, keys: Sequence[str], clock: Clock | None = None) -> None:
        self._keys = tuple(keys)
        self.fields = (*self._keys, "ts_ns") if clock else self._keys
        self._clock = clock
        self._templates = Templates(self._keys, self._template)

    def begin(self, session: Mapping[str, object], *, continues: bool = False) -> str:
        """The session."""
        return document("session", {**session, "fields": self._keys})

    def event(self, event: Event) -> str:
        """One event: see :func:`line`."""
        return self.events([event])

    def lost(self, count: int, event: Event | None) -> str:
        """A loss. It was just before the event of that ``cpu``, ``via`` and ``seq``; null at the end."""
        place = {key: event and event[key] for key in ("cpu", "via", "seq")}
        return _encode({"type": "lost", "count": count, **place}) + "\n"

    def end(self, counts: Mapping[str, int | None]) -> str:
        """The ledger."""
        return _encode({"type": "ledger", **counts}) + "\n"

    def events(self, events: Sequence[Event]) -> str:
        """Events, and each loss in its place."""
        clock = self._clock
        lines = []
        for event, template, keys, varying in self._templates.each(events):
            values: list[object] = [
                "null"
                if value is None
                else value
                if type(value) is int and -MAX_SAFE <= value <= MAX_SAFE
                else _text(key, value)
                for key, value in zip(keys, varying, strict=True)
            ]
            if clock:
                values.insert(0, clock.iso(event["ts_ns"]))
            text = template % tuple(values)
            if event["lost"]:
                lines.append(self.lost(event["lost"], event))
            # The encoder writes an undecoded byte as \udcNN. Other text may hold that too, and costs only time.
            lines.append(line(event, self._keys, clock) if "\\udc" in text else text)
        return "".join(lines)

    def _template(self, event: Event, holes: Container[str]) -> str:
        parts = ['"type":"event"', '"time":"%s"'] if self._clock else ['"type":"event"']
        for key in self._keys:
            value = "%s" if key in holes else _text(key, event[key]).replace("%", "%%")  # type: ignore[literal-required]
            parts.append(f'"{key}":{value}')
        return "{" + ",".join(parts) + "}\n"
