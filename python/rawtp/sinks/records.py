r"""Records as JSON: text is UTF-8, with ``\xNN`` for bytes that are not, and ``KEY_bytes`` has those in base64."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from rawtp.formats.raw_bytes import each_text, exact, visible

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

_FIRST = ("type", "key")
_encode = json.JSONEncoder(separators=(",", ":")).encode


def document(record: Mapping[str, Any]) -> dict[str, Any]:
    """The values that are known, ``type`` and ``key`` first."""
    made = {key: record[key] for key in _FIRST}
    texts = []
    for key, value in record.items():
        if value is None or key in made:
            continue
        if type(value) is str:
            if not value.isascii():
                texts.append(key)
                value = visible(value)
        elif type(value) is tuple:
            texts.append(key)
            value = each_text(visible, value)
        made[key] = value
    return made | exact(record, texts) if texts else made


def to_json(record: Mapping[str, Any], leave_out: Collection[str] = ()) -> bytes:
    """The record as one line of ASCII, without a newline, and without these keys."""
    values = document(record)
    for key in leave_out:
        values.pop(key, None)
        values.pop(f"{key}_bytes", None)
    return _encode(values).encode("ascii")


def shortened(record: Mapping[str, Any], most: int) -> bytes:
    """The record as JSON of at most so many bytes, as far as leaving out what is long makes it so. ``left_out`` names
    what that was."""
    text = to_json(record)
    gone: list[str] = []
    for key in ("ancestors", "parent_argv", "argv", "cwd", "exe", "host_path", "filename", "new_filename"):
        if len(text) <= most:
            break
        if record.get(key) is not None:
            gone.append(key)
            text = to_json({**record, "left_out": tuple(gone)}, gone)
    return text


def sentence(record: Mapping[str, Any]) -> str:
    """The record in a few words, safe to write to a terminal."""
    from rawtp.formats.escape import printable

    kind = record["type"]
    if kind == "event":
        path = record.get("real_path") or record.get("path") or record.get("filename") or "?"
        new = record.get("new_real_path") or record.get("new_path")
        names = f"{path} -> {new}" if new else path
        failed = f" failed: {record['errno']}" if record.get("errno") else ""
        return printable(f"{record.get('comm')} {record.get('action')} {names}{failed}")
    count = f" {record['count']} events" if record.get("count") is not None else ""
    why = record.get("reason") or record.get("kind")
    return printable(f"{kind}{count}{f': {why}' if why else ''}")
