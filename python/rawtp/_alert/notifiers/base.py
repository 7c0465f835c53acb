"""The interface of every notifier, and how it reads its table."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from rawtp import _units

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, ClassVar, TypeVar

    from rawtp._alert.alert import Alert

    T = TypeVar("T")

MAX_S = 300.0
"""The longest time that one attempt may take."""


class NotifyError(Exception):
    """Raised when an alert could not be sent; the message is one line."""


class Notifier(ABC):
    """Tells somebody of alerts. ``send`` runs in threads of its own, ``parallel`` at once."""

    KEYS: ClassVar[tuple[str, ...]] = ()
    """The keys of its table, but for ``type``."""

    def __init__(self, name: str, *, parallel: int = 1) -> None:
        self.name = name
        self.parallel = parallel
        self.retried = 0
        """Attempts that were repeated."""

    @classmethod
    @abstractmethod
    def from_table(cls, name: str, table: Mapping[str, Any], environment: Mapping[str, str], at: list[str]) -> Notifier:
        """Make one as the table says. ``at`` gets the key that is read, for the error.

        Raises:
            ValueError: a value is wrong.
            OSError: a file that it names cannot be read.
        """

    @abstractmethod
    def send(self, alert: Alert, host: str, stop: threading.Event) -> None:
        """Send it. ``stop`` is set when no more time is to be lost: then nothing is tried again.

        Raises:
            NotifyError: it was not sent.
        """


class Table:
    """Reads the values of a notifier's table."""

    def __init__(self, table: Mapping[str, Any], at: list[str]) -> None:
        self._table = table
        self._at = at

    def get(self, key: str, kind: type[T], default: T | None = None) -> T:
        """The value of a key, which must be of this type.

        Raises:
            ValueError: it is not, or it is not there and has no default.
        """
        self._at.append(key)
        value = self._table.get(key, default)
        if value is None:
            raise ValueError(f"it needs {key!r}")
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise ValueError(f"{key}: {value!r} is not of the type {kind.__name__}")
        return value

    def optional(self, key: str, kind: type[T]) -> T | None:
        """The value of a key; None where there is none."""
        return self.get(key, kind) if key in self._table else None

    def count(self, key: str, default: int, largest: int) -> int:
        """A whole number from 1 up."""
        value = self.get(key, int, default)
        if not 1 <= value <= largest:
            raise ValueError(f"{key}: {value} is not from 1 to {largest}")
        return value

    def seconds(self, key: str, default: float, largest: float = MAX_S) -> float:
        """A time above 0."""
        self._at.append(key)
        value = self._table.get(key, default)
        if isinstance(value, bool) or not isinstance(value, (int, float, str)):
            raise ValueError(f"{key}: {value!r} is no time, such as '10s' or 5")
        try:
            seconds = _units.seconds(str(value))
        except ValueError as error:
            raise ValueError(f"{key}: {error}") from None
        if seconds > largest:
            raise ValueError(f"{key}: {value!r} is more than {largest:g} s")
        return seconds

    def texts(self, key: str) -> list[str]:
        """A list of texts, of which the first is not empty."""
        values: list[Any] = self.get(key, list)
        if not values or not all(isinstance(value, str) and "\0" not in value for value in values) or not values[0]:
            raise ValueError(f"{key}: it must be a list of texts, such as ['/usr/local/bin/notify', '--now']")
        return values
