"""A broker: loads and attaches for others, and detaches when they go. One thread, which waits for nobody."""

from __future__ import annotations

import os
import selectors
import signal
import socket
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rawtp import _core, _grant

if TYPE_CHECKING:
    from collections.abc import Callable

    from rawtp._policy import Policy

REQUEST_S = 10.0
"""How long a client may take to say what it wants."""
MAX_CLIENTS = 512
MAX_CLIENTS_PER_USER = 64


@dataclass(eq=False)
class _Client:
    """Who is connected: first nothing is known, then there is a request, then a tracer."""

    socket: socket.socket
    pid: int
    uid: int
    until: float
    request: bytes | None = None
    tracer: int | None = None
    held: list[int] = field(default_factory=list)
    """Links and programs, which stay here."""

    @property
    def who(self) -> str:
        return f"uid={self.uid} pid={self.pid}"


class Broker:
    """Serves who connects to ``listener`` until :meth:`stop`."""

    def __init__(self, listener: socket.socket, policy: Policy, log: Callable[[str], None]) -> None:
        self._policy, self._log = policy, log
        self._listener = listener
        self._clients: set[_Client] = set()
        self._waiting: list[_Client] = []
        self._served: dict[int, float] = {}
        self._tracers = 0
        self._why: str | None = None
        self._selector = selectors.DefaultSelector()
        listener.setblocking(False)
        self._selector.register(listener, selectors.EVENT_READ)
        self._wake, self._waker = socket.socketpair()
        for end in (self._wake, self._waker):
            end.setblocking(False)
        self._selector.register(self._wake, selectors.EVENT_READ)

    def stop(self, why: str) -> None:
        """Ends :meth:`run`, from a signal's handler or another thread."""
        self._why = why
        with suppress(OSError):
            self._waker.send(b"\0")

    def run(self) -> None:
        """Until the stop. Then every client is told, and detached. For the main thread: it listens for signals, too."""
        # One that comes right before the wait interrupts nothing, and Python runs its handler only after it.
        before = signal.set_wakeup_fd(self._waker.fileno(), warn_on_full_buffer=False)
        try:
            while self._why is None:
                self._turn()
        finally:
            signal.set_wakeup_fd(before)
            for client in list(self._clients):
                with suppress(OSError):
                    client.socket.send((self._why or "the broker failed").encode(), socket.MSG_DONTWAIT)
                self._end(client, self._why or "failure")
            self._selector.close()
            self._wake.close()
            self._waker.close()

    def _turn(self) -> None:
        for key, _ in self._selector.select(self._timeout()):
            if key.fileobj is self._listener:
                self._accept()
            elif isinstance(key.data, _Client):
                self._hear(key.data)
        now = time.monotonic()
        for client in [client for client in self._clients if client.request is None and client.until <= now]:
            self._refuse(client, TimeoutError(f"no request within {REQUEST_S} s"))
        if self._waiting:
            # Who was served longest ago: one user's many requests do not hold up another's first.
            client = min(self._waiting, key=lambda client: self._served.get(client.uid, 0.0))
            self._waiting.remove(client)
            self._served[client.uid] = time.monotonic()
            self._serve(client)

    def _timeout(self) -> float | None:
        if self._waiting:
            return 0.0
        ends = [client.until for client in self._clients if client.request is None]
        return max(0.0, min(ends) - time.monotonic()) if ends else None

    def _accept(self) -> None:
        try:
            peer, _ = self._listener.accept()
        except OSError as error:
            if not isinstance(error, BlockingIOError):
                self._log(f"cannot accept a client: {error.strerror}")
                time.sleep(0.1)  # out of descriptors: it would be tried again at once
            return
        peer.setblocking(False)
        pid, uid = _grant.peer_of(peer)
        client = _Client(peer, pid, uid, time.monotonic() + REQUEST_S)
        of_user = sum(other.uid == uid for other in self._clients)
        self._clients.add(client)
        self._selector.register(peer, selectors.EVENT_READ, client)
        if of_user >= MAX_CLIENTS_PER_USER or len(self._clients) > MAX_CLIENTS:
            self._refuse(client, PermissionError("too many are connected to this broker already"))

    def _hear(self, client: _Client) -> None:
        if client not in self._clients:
            return
        try:
            message, _ = _grant.receive(client.socket)
        except BlockingIOError:
            return
        except (OSError, _core.RawtpError) as error:
            self._refuse(client, error)
            return
        if not message:
            self._end(client, "the client went")
        elif client.request is not None:
            self._end(client, "the client sent more than one request")
        else:
            client.request = message
            self._waiting.append(client)

    def _serve(self, client: _Client) -> None:
        try:
            request = _grant.parse_request(client.request or b"")
            of_user = sum(other.tracer is not None and other.uid == client.uid for other in self._clients)
            tracers = sum(other.tracer is not None for other in self._clients)
            request = self._policy.check(client.uid, request, tracers=tracers, of_user=of_user)
            without = client.pid if request.pop("exclude_self") else None
            # The kernel tells of everybody's cgroups, which the filter by user does not reach.
            tell_cgroups = self._policy.allow == "all"
            loaded = _core._load(**request, without=without, tell_cgroups=tell_cgroups)
            slots, rows, maps, links, programs = loaded
        except Exception as error:
            self._refuse(client, error)
            return
        client.held = [*links, *programs]
        meters = _meters(programs)
        try:
            coverage = [self._policy.explain(client.uid, row) for row in rows]
            answer, descriptors = _grant.encode_answer((slots, coverage, maps, [], meters))
            _grant.send(client.socket, answer, descriptors)
        except OSError as error:
            self._end(client, f"the client does not take the answer: {error.strerror}")
            return
        finally:
            _grant.close([*maps, *meters])
        self._tracers += 1
        client.tracer = self._tracers
        self._log(f"grant {client.who} tracer={client.tracer} ring_bytes={request['ring_bytes']} uids={request['uid']}")

    def _refuse(self, client: _Client, error: Exception) -> None:
        with suppress(OSError):
            _grant.send(client.socket, _grant.encode_error(error))
        self._end(client, str(error), word="refuse")

    def _end(self, client: _Client, why: str, *, word: str = "end") -> None:
        self._clients.discard(client)
        if client in self._waiting:
            self._waiting.remove(client)
        self._selector.unregister(client.socket)
        # Detached when this returns.
        _grant.close(client.held)
        client.held = []
        client.socket.close()
        if client.tracer is not None or word == "refuse":
            which = "" if client.tracer is None else f" tracer={client.tracer}"
            self._log(f"{word} {client.who}{which} why={why!a}")
        if not any(other.uid == client.uid for other in self._clients):
            self._served.pop(client.uid, None)


def _meters(programs: list[int]) -> list[int]:
    """What tells how often programs were skipped. With the programs themselves, a client could attach them again."""
    meters: list[int] = []
    for program in programs:
        try:
            meters.append(os.open(f"/proc/self/fdinfo/{program}", os.O_RDONLY | os.O_CLOEXEC))
        except OSError:  # then the count is not known
            _grant.close(meters)
            return []
    return meters
