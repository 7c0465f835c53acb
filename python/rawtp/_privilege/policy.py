"""The rules by which a broker grants or refuses a request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rawtp._core import _counts_bytes

if TYPE_CHECKING:
    from typing import Any, Literal

UNPATCHED = (
    "this kernel has CVE-2024-41009: who reads a ring could reach memory of others through it. It is fixed in Linux "
    "5.10.223, 5.15.164, 6.1.97, 6.6.37, 6.9.8"
)


class BusyError(PermissionError):
    """A refusal whose reason may pass within moments."""


@dataclass(frozen=True)
class Policy:
    """The limits. Each refusal is a PermissionError that says which of them."""

    own_uid: int
    """The user that runs the broker. That user, and root, could do all of it without a broker."""
    allow: Literal["own", "all"] = "own"
    max_tracers: int = 64
    max_tracers_per_user: int = 8
    max_ring_bytes: int = 16 << 20
    allow_raw_tracepoints: bool = False
    """Whether a client may attach to raw tracepoints: with any fields, which lead to most of the kernel's memory."""
    state_bytes: int = 0
    """What the limits reckon for a tracer besides its ring."""
    unsafe: str | None = None
    """The reason why no ring may go to another user on this kernel; ``None`` where it may."""

    def check(
        self,
        uid: int,
        request: dict[str, Any],
        *,
        tracers: int,
        of_user: int,
        held: int = 0,
        held_of_user: int = 0,
    ) -> dict[str, Any]:
        """Give the request as it is granted.

        ``tracers`` and ``of_user`` count the tracers, of all and of this user. ``held`` and ``held_of_user`` count the
        rings of ended tracers whose memory is not free, likewise.
        """
        if self.unsafe is not None and uid not in (0, self.own_uid):
            raise PermissionError(f"{self.unsafe}; who runs the broker can accept that: --accept-unpatched-kernel")
        if of_user >= self.max_tracers_per_user:
            raise PermissionError(f"user {uid} has {of_user} tracers already, as many as this broker gives to one user")
        is_raw = request["kind"] == "raw_tracepoint"
        if is_raw and not (self.allow_raw_tracepoints and self.allow == "all"):
            raise PermissionError(
                "this broker attaches to no raw tracepoints: they show what all users do, and the kernel's memory "
                "(--allow all --allow-raw-tracepoints)"
            )
        self._check_memory(request)
        if self.allow == "own":
            others = sorted(set(request["uid"] or ()) - {uid})
            if others:
                raise PermissionError(
                    f"this broker shows user {uid} their own calls only, not those of user {others[0]}"
                )
            # By any of a process's user ids. The load limits it to processes all of whose ids are this one.
            request = {**request, "uid": [uid]}
        if of_user + held_of_user >= self.max_tracers_per_user:
            raise BusyError(
                f"user {uid} has {of_user} tracers, and holds the rings of {held_of_user} that have ended: together as "
                "many as this broker gives to one user"
            )
        if tracers + held >= self.max_tracers:
            kept = f", and rings of {held} that have ended are still held: together" if held else " already,"
            raise BusyError(f"this broker has {tracers} tracers{kept} as many as it gives")
        return request

    def _check_memory(self, request: dict[str, Any]) -> None:
        """Counts have no ring. They may take as much memory as a tracer does with the largest ring."""
        if request["kind"] != "counts":
            size, most = request["ring_bytes"], self.max_ring_bytes
            if size > most:
                raise PermissionError(f"a ring has at most {most} bytes here, not {size}")
            return
        size, most = _counts_bytes(request["latency"]), self.max_ring_bytes + self.state_bytes
        if size > most:
            raise PermissionError(
                f"counts take {size} bytes here, and this broker gives {most} to one tracer (--max-ring-bytes)"
                f"{': without latency they take less' if request['latency'] else ''}"
            )

    def explain(self, uid: int, row: tuple[str, str | None, str | None]) -> tuple[str, str | None, str | None]:
        """Add to a row of the coverage what the policy leaves of it."""
        name, hook, reason = row
        if hook is None or self.allow == "all":
            return row
        limit = f"the broker shows the calls of user {uid} only"
        return name, hook, f"{limit}; {reason}" if reason else limit
