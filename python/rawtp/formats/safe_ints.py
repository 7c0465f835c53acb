"""Integers that a double cannot hold: jq up to 1.6 and JavaScript round them. Their digits as text are exact."""

from __future__ import annotations

MAX_SAFE = 2**53 - 1
"""JavaScript's ``Number.MAX_SAFE_INTEGER``. Beyond it, two integers can become the same double."""


def digits(value: object) -> object:
    """The digits of an integer beyond :data:`MAX_SAFE`, as text. ``None``: it is none.

    Of a dict those of its values, by their keys; of a tuple or a list a list with ``None`` for what is no such integer.
    """
    if type(value) is int:
        return None if -MAX_SAFE <= value <= MAX_SAFE else str(value)
    if type(value) is dict:
        found = {key: text for key, one in value.items() if (text := digits(one)) is not None}
        return found or None
    if type(value) is tuple or type(value) is list:
        texts = [digits(one) for one in value]
        return None if texts.count(None) == len(texts) else texts
    return None
