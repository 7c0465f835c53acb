"""Errors as the extension makes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

E = TypeVar("E", bound=Exception)


def advised(make: Callable[[str], E], reason: str, hint: str) -> E:
    """Make an error whose message ends with advice."""
    error = make(f"{reason}. {hint}")
    vars(error).update(reason=reason, hint=hint, command=hint.rpartition(": ")[2])
    return error
