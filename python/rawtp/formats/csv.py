"""CSV as RFC 4180 has it: a header, and a record for each event."""

from __future__ import annotations

import json
import re

from rawtp.formats.clock import Clock
from rawtp.formats.format import Format
from rawtp.formats.text import escape
from rawtp.formats.undecoded import each_text, in_base64, visible

TYPE_CHECKING = False  # as checkers know it, without the import of typing
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rawtp.event import Event

# Control characters that would act on whoever looks at the file. Tabs and newlines are part of CSV, inside quotes.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_QUOTED = re.compile('[",\r\n]|^[ \t]|[ \t]$')
_encode = json.JSONEncoder(separators=(",", ":")).encode


class Csv(Format):
    r"""These keys, in this order, and a last column ``bytes``.

    What is not known is an empty field, and an empty text a quoted one. Lists are JSON. Tabs and newlines stay as they
    are, in quotes. Other control characters, and bytes that are not UTF-8, are shown as ``\xNN`` (``\u009b`` beyond
    ASCII); then, and only then, ``bytes`` is a JSON object with the key's exact bytes in base64. A name that a
    spreadsheet would take for a formula is left as it is: it is the name.
    """

    def __init__(self, keys: Sequence[str], clock: Clock | None = None) -> None:
        self._keys = tuple(keys)
        self.fields = (*self._keys, "ts_ns") if clock else self._keys
        self._clock = clock

    def header(self) -> str:
        """The names of the columns."""
        return ",".join([*(["time"] if self._clock else []), *self._keys, "bytes"]) + "\r\n"

    def begin(self, session: Mapping[str, object], *, continues: bool = False) -> str:
        """The header, unless these records go on where others end."""
        return "" if continues else self.header()

    def event(self, event: Event) -> str:
        """One record, in which a newline may be."""
        fields = [self._clock.iso(event["ts_ns"])] if self._clock else []
        changed: dict[str, object] = {}
        for key in self._keys:
            value = event[key]  # type: ignore[literal-required]
            if value is None:
                fields.append("")
            elif isinstance(value, str):
                if (text := shown(value)) != value:
                    changed[key] = in_base64(value)
                fields.append(quoted(text))
            elif isinstance(value, tuple):
                if (texts := each_text(visible, value)) != each_text(str, value):
                    changed[key] = each_text(in_base64, value)
                fields.append(quoted(_encode(texts)))
            else:
                fields.append(str(value).lower())
        fields.append(quoted(_encode(changed)) if changed else "")
        return ",".join(fields) + "\r\n"


def shown(text: str) -> str:
    """The text without what UTF-8 cannot have, and without control characters but tabs and newlines."""
    if text.isprintable():
        return text
    return _CONTROL.sub(lambda char: escape(char[0]), visible(text))


def quoted(text: str) -> str:
    """The text as a field: in quotes where it needs them."""
    return text if text and not _QUOTED.search(text) else '"' + text.replace('"', '""') + '"'
