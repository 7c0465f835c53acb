"""XXH64 of short texts: the checksum of a line of the recorder's journal."""

from __future__ import annotations

import struct

P1, P2, P3, P4, P5 = (
    11400714785074694791,
    14029467366897019727,
    1609587929392839161,
    9650029242287828579,
    2870177450012600261,
)
MASK = (1 << 64) - 1


def _rotated(value: int, bits: int) -> int:
    value &= MASK
    return (value << bits | value >> (64 - bits)) & MASK


def _round(lane: int, value: int) -> int:
    return _rotated(lane + value * P2, 31) * P1 & MASK


def xxh64(data: bytes) -> int:
    """The checksum with the seed 0."""
    at = 0
    if len(data) >= 32:
        lanes = [P1 + P2 & MASK, P2, 0, -P1 & MASK]
        while at + 32 <= len(data):
            lanes = [
                _round(lane, value) for lane, value in zip(lanes, struct.unpack_from("<4Q", data, at), strict=True)
            ]
            at += 32
        found = sum(_rotated(lane, bits) for lane, bits in zip(lanes, (1, 7, 12, 18), strict=True)) & MASK
        for lane in lanes:
            found = ((found ^ _round(0, lane)) * P1 + P4) & MASK
    else:
        found = P5
    found = found + len(data) & MASK
    while at + 8 <= len(data):
        found = (_rotated(found ^ _round(0, struct.unpack_from("<Q", data, at)[0]), 27) * P1 + P4) & MASK
        at += 8
    if at + 4 <= len(data):
        found = (_rotated(found ^ struct.unpack_from("<I", data, at)[0] * P1 & MASK, 23) * P2 + P3) & MASK
        at += 4
    for byte in data[at:]:
        found = _rotated(found ^ byte * P5 & MASK, 11) * P1 & MASK
    found = (found ^ found >> 33) * P2 & MASK
    found = (found ^ found >> 29) * P3 & MASK
    return found ^ found >> 32
