"""Writes and reads Protocol Buffers' wire format, as far as OTLP needs it.

The format is a dozen lines, and OTLP's messages have been stable since 1.0. Protobuf's own package would be a
dependency, with a range of versions that every other package with generated code narrows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_SMALL = [bytes((value,)) for value in range(128)]


def varint(value: int) -> bytes:
    """A number, negative ones as 64 bits in two's complement."""
    if 0 <= value < 128:
        return _SMALL[value]
    value &= (1 << 64) - 1
    made = bytearray()
    while value > 127:
        made.append(value & 127 | 128)
        value >>= 7
    made.append(value)
    return bytes(made)


def tag(number: int, kind: int) -> bytes:
    """What stands before a field."""
    return varint(number << 3 | kind)


def integer(number: int, value: int) -> bytes:
    """A field of a varint."""
    return tag(number, _VARINT) + varint(value)


def fixed64(number: int, value: int) -> bytes:
    """A field of eight bytes, unsigned."""
    return tag(number, _FIXED64) + (value & (1 << 64) - 1).to_bytes(8, "little")


def field(number: int, content: bytes) -> bytes:
    """A field of bytes, of text or of a message."""
    return tag(number, _BYTES) + varint(len(content)) + content


def fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The numbers and values of a message's fields.

    Raises:
        ValueError: it is no message.
    """
    at = 0
    while at < len(message):
        key, at = _read_varint(message, at)
        kind = key & 7
        value: int | bytes
        if kind == _VARINT:
            value, at = _read_varint(message, at)
        else:
            size = {_FIXED64: 8, _FIXED32: 4}.get(kind)
            if kind == _BYTES:
                size, at = _read_varint(message, at)
            if size is None or at + size > len(message):
                raise ValueError("not a message of Protocol Buffers")
            value, at = message[at : at + size], at + size
        yield key >> 3, value


def _read_varint(message: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(message):
            break
        byte = message[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise ValueError("not a message of Protocol Buffers")
