"""The parts of an error's message."""

from __future__ import annotations


def reason(error: BaseException) -> str:
    """Give the message without the advice at its end, and without an errno's number."""
    return str(getattr(error, "reason", None) or getattr(error, "strerror", None) or error)
