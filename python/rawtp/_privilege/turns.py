"""A queue of requests in which users take turns."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Container


class _OfUser(Protocol):
    @property
    def uid(self) -> int: ...


_Request = TypeVar("_Request", bound=_OfUser)


class Turns(Generic[_Request]):
    """Requests that wait: one of each user, then the next of each. Those of one user are served in their order.

    A user who was served goes behind all who wait, also one who has just come back: no number of connections, of
    one or one after another, brings anybody forward.
    """

    def __init__(self) -> None:
        self._of_users: dict[int, deque[_Request]] = {}

    def add(self, request: _Request) -> None:
        """Add a request behind the user's others; a user who has none waiting comes last."""
        self._of_users.setdefault(request.uid, deque()).append(request)

    def who(self, without: Container[int] = ()) -> int | None:
        """The user whose turn it is, of all but these; ``None`` where nobody waits."""
        return next((uid for uid in self._of_users if uid not in without), None)

    def take(self, uid: int) -> _Request:
        """Take this user's first request; there must be one. The user goes behind all others."""
        waiting = self._of_users.pop(uid)
        request = waiting.popleft()
        if waiting:
            self._of_users[uid] = waiting
        return request

    def discard(self, request: _Request) -> None:
        """Forget it, if it is there."""
        waiting = self._of_users.get(request.uid)
        if waiting and request in waiting:
            waiting.remove(request)
            if not waiting:
                del self._of_users[request.uid]
