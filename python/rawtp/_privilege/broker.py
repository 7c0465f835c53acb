"""A broker loads and attaches for clients, and detaches when they go. Its main thread waits for none of them."""

from __future__ import annotations

import selectors
import signal
import socket
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from rawtp._core import RawtpError, _map_id, _meters
from rawtp._privilege import kinds, protocol
from rawtp._privilege.broker_log import WINDOW_S, UserLog
from rawtp._privilege.held_rings import HeldRings
from rawtp._privilege.limits import PENDING, PENDING_OF_USER
from rawtp._privilege.loads import Loads
from rawtp._privilege.policy import BusyError
from rawtp._privilege.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from rawtp._privilege.policy import Policy

REQUEST_S = 10.0
"""The time that a client has for its request."""
ROOM_S = 5.0
"""The time that a request waits for room when others have all of it."""
_LOOK_S = 0.05
_ACCEPT_S = 0.02
"""The time for which newcomers are accepted before a request is served."""
_STARVED_S = 1.0
_STOP_S = 2.0
"""The time that the end waits for a load."""


@dataclass(eq=False)
class _Client:
    """A connection: at first without a request, then with one, then with a tracer, or another of the kinds."""

    socket: socket.socket
    pid: int
    uid: int
    until: float
    """The deadline for its request; after that, for the room for it."""
    message: bytes | None = None
    request: dict[str, Any] | None = None
    granted: str = ""
    tracer: int | None = None
    maps: frozenset[int] = frozenset()
    held: list[int] = field(default_factory=list)
    """Links, and what ends the reading of the programs' fdinfo."""

    @property
    def who(self) -> str:
        return f"uid={self.uid} pid={self.pid}"


class Broker:
    """Serves the clients of ``listener`` until :meth:`stop`.

    ``list_maps`` gives the ids of the host's BPF maps; without it, what clients keep of ended tracers is not counted.
    """

    def __init__(
        self,
        listener: socket.socket,
        policy: Policy,
        log: Callable[[str], None],
        list_maps: Callable[[], Iterable[int]] | None = None,
    ) -> None:
        self._policy, self._say, self._log = policy, log, UserLog(log)
        self._listener, self._is_listening = listener, False
        self._clients: set[_Client] = set()
        # In the order in which they came, which is the order of their deadlines.
        self._silent: dict[_Client, None] = {}
        self._turns: Turns[_Client] = Turns()
        self._parked: list[_Client] = []
        self._pending: Counter[int] = Counter()
        self._tracers: Counter[int] = Counter()
        self._held = HeldRings(list_maps)
        self._loads: Loads[_Client, protocol.LoadedFds] = Loads(self._poke)
        self._look_at = 0.0
        self._count = 0
        self._starved_until, self._is_starved, self._told_until = 0.0, False, 0.0
        self._why: str | None = None
        self._selector = selectors.DefaultSelector()
        listener.setblocking(False)
        self._wake, self._waker = socket.socketpair()
        for end in (self._wake, self._waker):
            end.setblocking(False)
        self._selector.register(self._wake, selectors.EVENT_READ)

    def stop(self, why: str) -> None:
        """End :meth:`run`, from a signal's handler or another thread."""
        self._why = why
        self._poke()

    def _poke(self) -> None:
        with suppress(OSError):  # a full buffer: it is awake; a closed socket: it has ended
            self._waker.send(b"\0")

    def run(self) -> bool:
        """Serve until the stop; then tell every client, and detach it. Call it from the main thread: it heeds signals.

        Gives whether all loads have ended. One that has not ends with the process.
        """
        # A signal right before the wait would not interrupt it, and Python would run the handler only after it. So the
        # signal must write to a descriptor that is waited for.
        before = signal.set_wakeup_fd(self._waker.fileno(), warn_on_full_buffer=False)
        try:
            while self._why is None:
                self._turn()
        finally:
            signal.set_wakeup_fd(before)
            why = self._why or "the broker failed"
            for client in list(self._clients):
                if client.tracer is None:
                    self._refuse(client, RawtpError(why))
                    continue
                with suppress(OSError):
                    client.socket.send(why.encode(), socket.MSG_DONTWAIT)
                self._end(client, why)
            for client, loaded in self._loads.rest(_STOP_S):
                self._loaded(client, loaded)
            self._log.close()
            self._selector.close()
            self._wake.close()
            self._waker.close()
        return not self._loads.running

    def _turn(self) -> None:
        now = time.monotonic()
        self._listen(now >= self._starved_until and (len(self._silent) > 0 or self._pending.total() < PENDING))
        for key, _ in self._selector.select(self._timeout(now)):
            if key.fileobj is self._listener:
                self._accept()
            elif key.fileobj is self._wake:
                self._wake.recv(4096)
            else:
                self._hear(key.data)
        for client, loaded in self._loads.take():
            self._loaded(client, loaded)
        now = time.monotonic()
        self._log.tell(now)
        while self._silent and (client := next(iter(self._silent))).until <= now:
            self._refuse(client, TimeoutError(f"no request within {REQUEST_S} s"))
        if self._parked and now >= self._look_at:
            for client in self._parked:
                self._turns.add(client)
            self._parked.clear()
            self._look_at = now + _LOOK_S
        uid = self._next()
        if uid is not None:
            self._serve(self._turns.take(uid))

    def _next(self) -> int | None:
        """The user whose turn it is, if one waits and a thread is free for the load."""
        return self._turns.who({client.uid for client in self._loads.running}) if self._loads.is_free else None

    def _listen(self, should: bool) -> None:
        if should != self._is_listening:
            self._is_listening = should
            if should:
                self._selector.register(self._listener, selectors.EVENT_READ)
            else:
                self._selector.unregister(self._listener)

    def _timeout(self, now: float) -> float | None:
        if self._next() is not None:
            return 0.0
        ends = [next(iter(self._silent)).until] if self._silent else []
        ends += [self._look_at] if self._parked else []
        ends += [self._starved_until] if now < self._starved_until else []
        told = self._log.until()
        ends += [] if told is None else [told]
        return max(0.0, min(ends) - now) if ends else None

    def _accept(self) -> None:
        """Takes who is there, but not for long. Where there is no room, the rest waits before the accept."""
        end = time.monotonic() + _ACCEPT_S
        while self._silent or self._pending.total() < PENDING:
            try:
                peer, _ = self._listener.accept()
                self._welcome(peer)
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as error:
                self._starve(error)
                return
            self._is_starved = False
            if time.monotonic() >= end:
                return

    def _starve(self, error: OSError) -> None:
        """Out of descriptors or memory: tries again a little later, and says so once."""
        now = time.monotonic()
        self._starved_until = now + _STARVED_S
        if not self._is_starved and now >= self._told_until:
            self._told_until = now + WINDOW_S
            self._say(f"cannot accept clients: {error.strerror}; it is tried again every {_STARVED_S:.0f} s")
        self._is_starved = True

    def _welcome(self, peer: socket.socket) -> None:
        peer.setblocking(False)
        pid, uid = protocol.peer_of(peer)
        now = time.monotonic()
        client = _Client(peer, pid, uid, now + REQUEST_S)
        try:
            self._selector.register(peer, selectors.EVENT_READ, client)
        except OSError:
            peer.close()
            raise
        self._clients.add(client)
        self._silent[client] = None
        self._pending[uid] += 1
        if self._pending[uid] > PENDING_OF_USER:
            text = (
                f"user {uid} has {PENDING_OF_USER} connections that wait at this broker, as many as one user may have"
            )
            self._refuse(client, PermissionError(text))
            return
        # An honest client has sent its request by now, and is no longer among those that make room for others.
        self._hear(client)
        if self._pending.total() > PENDING and self._silent:
            # The oldest connection of the user with the most.
            first = max(self._silent, key=lambda client: self._pending[client.uid])
            self._refuse(first, TimeoutError("no request came, and others needed the room"))

    def _hear(self, client: _Client) -> None:
        if client not in self._clients:
            return
        try:
            message, _ = protocol.receive(client.socket)
        except BlockingIOError:
            return
        except (OSError, RawtpError) as error:
            self._refuse(client, error)
            return
        if not message:
            self._end(client, "the client went")
        elif client not in self._silent:
            self._end(client, "the client sent more than one request")
        else:
            del self._silent[client]
            client.message = message
            self._turns.add(client)

    def _serve(self, client: _Client) -> None:
        try:
            if client.request is None:
                client.request = protocol.parse_request(client.message or b"")
                client.message, client.until = None, time.monotonic() + ROOM_S
            request = self._check(client)
        except BusyError as error:
            if time.monotonic() < client.until:
                self._parked.append(client)
            else:
                self._refuse(client, error)
        except Exception as error:
            self._refuse(client, error)
        else:
            client.granted = _granted(request)
            # The kernel reports all users' cgroups, and the filter by user does not apply to them.
            tell_cgroups = self._policy.allow == "all"
            owner = None if tell_cgroups else client.uid
            self._loads.start(
                client, partial(kinds.load, request, pid=client.pid, owner=owner, tell_cgroups=tell_cgroups)
            )

    def _check(self, client: _Client) -> dict[str, Any]:
        held, held_of_user = self._held.count(client.uid)
        return self._policy.check(
            client.uid,
            dict(client.request or {}),
            tracers=self._tracers.total() + len(self._loads.running),
            of_user=self._tracers[client.uid],
            held=held,
            held_of_user=held_of_user,
        )

    def _loaded(self, client: _Client, loaded: protocol.LoadedFds | Exception) -> None:
        if isinstance(loaded, Exception):
            if client in self._clients:
                self._refuse(client, loaded)
            return
        client.held = loaded.links
        meters: list[int] = []
        try:
            client.maps = frozenset(map(_map_id, loaded.maps))
            if client not in self._clients:
                self._let_go(client)
                return
            # The programs' own descriptors would let a client attach them again.
            with suppress(OSError):  # then the client's `missed` is None
                meters, keeper = _meters(loaded.programs)
                client.held.append(keeper)
            coverage = [self._policy.explain(client.uid, row) for row in loaded.coverage]
            given = loaded._replace(coverage=coverage, links=[], programs=meters)
            answer, descriptors = protocol.encode_answer(given)
            protocol.send(client.socket, answer, descriptors)
        except OSError as error:
            self._end(client, f"the client does not take the answer: {error.strerror}")
            return
        finally:
            protocol.close([*loaded.maps, *meters, *loaded.programs])
        self._leave(client)
        self._count += 1
        client.tracer = self._count
        self._tracers[client.uid] += 1
        self._tell("grant", client, client.granted)

    def _refuse(self, client: _Client, error: Exception) -> None:
        with suppress(OSError):
            protocol.send(client.socket, protocol.encode_error(error))
            protocol.hear_no_more(client.socket)
        self._end(client, str(error), word="refuse")

    def _leave(self, client: _Client) -> None:
        """Take the client out of those who wait."""
        self._silent.pop(client, None)
        self._turns.discard(client)
        if client in self._parked:
            self._parked.remove(client)
        _count_down(self._pending, client.uid)

    def _end(self, client: _Client, why: str, *, word: str = "end") -> None:
        self._clients.discard(client)
        self._selector.unregister(client.socket)
        self._let_go(client)
        client.socket.close()
        self._starved_until = 0.0
        if client.tracer is None:
            self._leave(client)
        else:
            _count_down(self._tracers, client.uid)
        if client.tracer is not None or word == "refuse":
            self._tell(word, client, f"why={why!a}")

    def _let_go(self, client: _Client) -> None:
        """Detached when this returns. What the client keeps counts on."""
        protocol.close(client.held)
        client.held = []
        self._held.add(client.maps, client.uid)

    def _tell(self, word: str, client: _Client, text: str) -> None:
        which = "" if client.tracer is None else f" tracer={client.tracer}"
        self._log.line(time.monotonic(), client.uid, word, f"{client.who}{which} {text}")


def _granted(request: dict[str, Any]) -> str:
    """What the log says of a request."""
    if request["kind"] == "counts":
        return f"counts latency={request['latency']} uids={request['uid']}"
    if request["kind"] == "raw_tracepoint":
        return f"raw_tracepoint={request['name']!a} ring_bytes={request['ring_bytes']}"
    return f"ring_bytes={request['ring_bytes']} uids={request['uid']}"


def _count_down(counts: Counter[int], uid: int) -> None:
    counts[uid] -= 1
    if not counts[uid]:
        del counts[uid]
