"""The interfaces of every sink: of one that shows what is watched, and of one that ships what is recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from rawtp._core import HistoryBatch
    from rawtp.event import Event

MAX_WAIT_S = 3600.0
"""The longest wait. 1e300 seconds is a fair wish, but no clock can count it."""


class Sink:
    """Takes the events of a session. This one drops them.

    The calls come in this order: ``begin`` once, ``events`` any number of times, ``lost`` if events were lost after the
    last one, and ``end`` once. Each raises OSError when the sink cannot take what it is given.
    """

    fields: tuple[str, ...] = ()
    """The keys of an event that the sink needs: the tracer must be asked for them."""

    @property
    def wait_s(self) -> float:
        """The longest time in seconds until the next call of ``events``, which may be one with no events."""
        return MAX_WAIT_S

    def begin(self, session: Mapping[str, object]) -> None:
        """Start. ``session`` describes the host and the tracer."""

    def events(self, events: Sequence[Event]) -> None:
        """Take events, in their order; none when no event came for a while."""

    def text(self, data: bytes) -> None:
        """Take events as text, in place of a call of ``events``."""

    def lost(self, count: int) -> None:
        """Note that this many events were lost after the last one."""

    def end(self, counts: Mapping[str, int | None]) -> None:
        """Finish. ``counts`` is the ledger, final."""


class NotTakenError(OSError):
    """The receiver did not acknowledge. What was sent is sent again.

    ``retry_after_s`` is the time that the receiver asked for, if it did.
    """

    def __init__(self, text: str, retry_after_s: float | None = None) -> None:
        super().__init__(text)
        self.retry_after_s = retry_after_s


class Origin(NamedTuple):
    """The recording that records are of."""

    machine_id: str
    boot_id: str
    session: int
    host: str

    def event_key(self, event: Mapping[str, Any]) -> str:
        """The key that tells one event from every other one of any host."""
        return f"{self.machine_id}:{self.boot_id}:{self.session}:{event['via']}:{event['cpu']}:{event['seq']}"

    def line_key(self, line: object) -> str:
        """The key of a line of the recorder's journal."""
        return f"{self.machine_id}:{self.boot_id}:{self.session}:journal:{line}"


class Delivery:
    """Records of one recording, in their order: events, or lines of the journal such as gaps and losses.

    ``records`` are dicts, each with ``type`` (``"event"``, ``"gap"``, ``"loss"`` …) and ``key``. Those of events have
    the names of their containers and users, too. ``batch`` has the events as columns, without names; it can have events
    more that were acknowledged already.
    """

    def __init__(self, origin: Origin, records: Sequence[dict[str, Any]], batch: HistoryBatch | None = None) -> None:
        self.origin = origin
        self.records = records
        self.batch = batch


class File(NamedTuple):
    """A sealed file: its name relative to the recorder's directory, and its content."""

    origin: Origin
    name: str
    content: bytes


class Receiver:
    """Takes recorded events for good, on this host or another one. This one drops them.

    A call that returns means that the receiver has acknowledged. :class:`NotTakenError`, or any other OSError, means
    that it has not, and the same call comes again later. Only one thread calls.
    """

    name = "none"
    """The sink's kind, which is the name of its position's file unless another one is chosen."""
    target = ""
    """Where to, without secrets: for messages, and to know the position by."""
    takes_files = False
    """Whether it takes sealed files in place of events."""
    max_records = 1000
    """The most records of one :meth:`send`."""
    settle_s = 0.0
    """For protocols that acknowledge nothing: the seconds after which what was sent is taken to have arrived. After a
    failure everything younger is sent again."""

    def open(self) -> None:
        """Connect, unless there is a connection."""

    def send(self, delivery: Delivery) -> int:
        """Deliver records. Returns the number of those that the receiver has refused for good."""
        return 0

    def put(self, file: File) -> None:
        """Deliver a sealed file."""

    def close(self) -> None:
        """Close the connection."""
