"""Adds names to the events that are shipped: of containers, as the recorder has written them down, and of users.

A receiver cannot ask the host for them later: the container is gone by then, and so may be the user.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from rawtp import _root
from rawtp._containers import table
from rawtp._containers.runtimes import Names
from rawtp._core import HistoryReader
from rawtp._errors import reason

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from rawtp._ship.stop import Stop
    from rawtp.sinks.base import Delivery, Origin

_WAIT_NS = 3_000_000_000
"""The age up to which an event waits for the names of its container: the recorder looks them up beside the log."""
_LOOK_S = 0.25
_AGAIN_S = 300.0
_MAX_KEPT = 4096
_UNNAMED = Names()._asdict()


class Naming:
    """Adds ``container_name``, ``pod``, ``namespace`` and ``image`` to the events of a directory; and ``user`` and
    ``login``, as the host of the recording has them now, where that is this host and they were not recorded.

    An event whose container has no names yet waits for them until it is three seconds old, once for each container.
    Where the file of names cannot be read, ``say`` writes a line for people, and events go without.
    """

    def __init__(
        self,
        directory: str,
        stop: Stop,
        say: Callable[[str], None],
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._directory = directory
        self._stop = stop
        self._say = say
        self._clock_ns = clock_ns
        self._state: tuple[int, ...] | None = None
        self._looked_s = float("-inf")
        self._trouble: str | None = None
        self._known: set[table.Ids] = set()
        self._waited: set[table.Ids] = set()
        self._find: Callable[[Mapping[str, Any]], Names] = table.finder(())
        self._roots: dict[int, str | None] = {}
        self._users: dict[tuple[str, int], tuple[str | None, float]] = {}

    def add(self, delivery: Delivery) -> None:
        """Add the names to the events of a delivery. The end that is asked for ends the wait.

        Raises:
            OSError: the directory cannot be read.
        """
        events = delivery.records
        if not events or events[0]["type"] != "event":
            return
        inside = [event for event in events if event["container_id"] is not None or event["pod_id"] is not None]
        if inside:
            self._look_up(inside)
        root = self._root_of(delivery.origin)
        for event in events:
            event.update(_UNNAMED)
            if root is not None:
                if event["user"] is None and event["uid"] is not None:
                    event["user"] = self._user(root, event["uid"])
                if event["login"] is None and event["auid"] is not None:
                    event["login"] = self._user(root, event["auid"])
        for event in inside:
            event.update(self._find(event)._asdict())

    def _look_up(self, inside: list[dict[str, Any]]) -> None:
        """Read the names of these events' containers, which may come in a moment."""
        latest: dict[table.Ids, int] = {}
        for event in inside:
            latest[event["container_id"], event["pod_id"]] = event["ts_ns"]
        self._look()
        while not self._stop.asked:
            unknown = latest.keys() - self._known - self._waited
            now_ns = self._clock_ns()
            # A clock that was set back makes nobody wait.
            if not any(0 <= now_ns - latest[ids] < _WAIT_NS for ids in unknown):
                break
            self._stop.wait(_LOOK_S)
            self._look()
        if len(self._waited) > _MAX_KEPT:
            self._waited.clear()
        self._waited |= latest.keys() - self._known

    def _look(self) -> None:
        """Read the file of names, if it is another one than before."""
        now_s = time.monotonic()
        if now_s < self._looked_s + _LOOK_S:
            return
        self._looked_s = now_s
        try:
            found = os.stat(os.path.join(self._directory, table.NAME))  # noqa: PTH116, PTH118
            state = (found.st_ino, found.st_size, found.st_mtime_ns)
            if state == self._state:
                return
            names = table.read(self._directory)
        except FileNotFoundError:
            return
        except OSError as error:
            if self._trouble != (text := reason(error)):
                self._say(f"{table.NAME}, the names of containers, cannot be read: {text}")
            self._trouble = text
            return
        self._known = {(one["container_id"], one["pod_id"]) for one in names}
        self._find, self._state, self._trouble = table.finder(names), state, None

    def _root_of(self, origin: Origin) -> str | None:
        """Where the root of the host that recorded is mounted; None where that is not this host."""
        if origin.session not in self._roots:
            if len(self._roots) >= _MAX_KEPT:
                self._roots.clear()
            sessions = {one["session"]: one for one in HistoryReader(self._directory).sessions()}
            root = _root.of_session(sessions.get(origin.session, {}))
            own = _root.machine_id(root)
            is_own = own == origin.machine_id if own and origin.machine_id else origin.host == os.uname().nodename
            self._roots[origin.session] = root if is_own else None
        return self._roots[origin.session]

    def _user(self, root: str, uid: int) -> str | None:
        now_s = time.monotonic()
        name, until_s = self._users.get((root, uid), (None, 0.0))
        if now_s >= until_s:
            if len(self._users) >= _MAX_KEPT:
                self._users.clear()
            name = None
            with suppress(OSError):
                name = _root.user_name(uid, root)
            self._users[root, uid] = name, now_s + _AGAIN_S
        return name
