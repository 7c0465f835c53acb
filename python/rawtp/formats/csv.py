"""CSV as RFC 4180 has it: a header, and a record for each event."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from rawtp.formats.base import Format
from rawtp.formats.escape import escape
from rawtp.formats.line_cache import Templates
from rawtp.formats.raw_bytes import each_text, in_base64, visible
from rawtp.formats.timestamp import Clock

if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Sequence
    from typing import Any

    from rawtp.event import Event

# Control characters that a terminal would obey. Tabs and newlines are part of CSV, inside quotes.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_QUOTED = re.compile('[",\r\n]|^[ \t]|[ \t]$')
_encode = json.JSONEncoder(separators=(",", ":")).encode


class Csv(Format):
    r"""CSV with these keys, in this order, and a last column ``bytes``.

    What is not known is an empty field, and an empty text a quoted one. Lists are JSON. Tabs and newlines stay as they
    are, in quotes. Other control characters, and bytes that are not UTF-8, are shown as ``\xNN`` (``\u009b`` beyond
    ASCII); then, and only then, ``bytes`` is a JSON object with the key's exact bytes in base64. A name that a
    spreadsheet would take for a formula is left as it is: it is the name.
    """

    def __init__(self, keys: Sequence[str], clock: Clock | None = None) -> None:
        self._keys = tuple(keys)
        self.fields = (*self._keys, "ts_ns") if clock else self._keys
        self._clock = clock
        self._templates = Templates(self._keys, self._template)

    def header(self) -> str:
        """The names of the columns."""
        return ",".join([*(["time"] if self._clock else []), *self._keys, "bytes"]) + "\r\n"

    def begin(self, session: Mapping[str, object], *, continues: bool = False) -> str:
        """The header, unless these records go on where others end."""
        return "" if continues else self.header()

    def event(self, event: Event) -> str:
        """One record, in which a newline may be."""
        return self.events([event])

    def events(self, events: Sequence[Event]) -> str:
        """Records; losses have no place in CSV."""
        return "".join([self._record(*one) for one in self._templates.each(events)])

    def _record(self, event: Event, template: str, _keys: Sequence[str], values: tuple[Any, ...]) -> str:
        if not template or not all(type(value) is int or value is None or _changed(value) is None for value in values):
            return self.record(event)
        fields = [_field(value) for value in values]
        return template % ((self._clock.iso(event["ts_ns"]), *fields) if self._clock else tuple(fields))

    def _template(self, event: Event, holes: Container[str]) -> str:
        """None, the empty one, if something in it has to come exactly as well."""
        fields = ["%s"] if self._clock else []
        for key in self._keys:
            if key in holes:
                fields.append("%s")
            elif _changed(event[key]) is not None:  # type: ignore[literal-required]
                return ""
            else:
                fields.append(_field(event[key]).replace("%", "%%"))  # type: ignore[literal-required]
        return ",".join(fields) + ",\r\n"

    def record(self, event: Mapping[str, Any]) -> str:
        """One record, also of what is no event: all that it needs is the keys."""
        fields = [self._clock.iso(event["ts_ns"])] if self._clock else []
        exact = {}
        for key in self._keys:
            value = event[key]
            fields.append(_field(value))
            if (changed := _changed(value)) is not None:
                exact[key] = changed
        return ",".join([*fields, quoted(_encode(exact))]) + "\r\n"


def _field(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return quoted(visible_text(value))
    return quoted(_encode(each_text(visible, value))) if isinstance(value, (tuple, dict)) else str(value).lower()


def _changed(value: object) -> object:
    """The exact bytes, in base64, of what is shown otherwise; None of what is not."""
    if isinstance(value, str):
        return None if visible_text(value) == value else in_base64(value)
    if isinstance(value, (tuple, dict)) and each_text(visible, value) != each_text(str, value):
        return each_text(in_base64, value)
    return None


def visible_text(text: str) -> str:
    """Escape what UTF-8 cannot have, and control characters but tabs and newlines."""
    if text.isprintable():
        return text
    return _CONTROL.sub(lambda char: escape(char[0]), visible(text))


def quoted(text: str) -> str:
    """The text as a field: in quotes where it needs them."""
    return text if text and not _QUOTED.search(text) else '"' + text.replace('"', '""') + '"'
