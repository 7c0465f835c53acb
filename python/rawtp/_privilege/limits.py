"""The limits that follow from a broker's options, checked against the memory of this machine."""

from __future__ import annotations

import os
import resource
from dataclasses import dataclass
from pathlib import Path

PENDING = 512
"""The most connections that have no tracer yet."""
PENDING_OF_USER = 64

MAX_RING_BYTES = 16 << 20
MIN_RING_BYTES = os.sysconf("SC_PAGE_SIZE")
_DESCRIPTORS_OF_TRACER = 20
"""The connection, up to eighteen links of programs, and what ends the reading of their fdinfo."""
_DESCRIPTORS_OF_BROKER = 128
"""Its own, and those of a load."""
_STATE_BYTES, _STATE_BYTES_OF_CPU = 5 << 20, 64 << 10
"""The maps of a tracer besides the ring, and its programs. With ``follow=True`` these are 3.5 MiB and 40 KiB for each
CPU (``test_a_tracer_takes_no_more_than_is_reckoned_for_it``); it is rounded up."""


@dataclass(frozen=True)
class Limits:
    """The number and the size of the tracers that a broker gives."""

    max_tracers: int
    max_tracers_per_user: int
    max_ring_bytes: int

    @property
    def memory_bytes(self) -> int:
        """The kernel memory of all tracers, when all have the largest ring."""
        return self.max_tracers * (self.max_ring_bytes + state_bytes())

    @property
    def descriptors(self) -> int:
        """The number of descriptors that the broker must be able to open."""
        return PENDING + _DESCRIPTORS_OF_BROKER + self.max_tracers * _DESCRIPTORS_OF_TRACER


def limits(*, tracers: int, per_user: int | None, ring_bytes: int | None) -> Limits:
    """Work out the limits. Options that were not given follow from the others.

    Raises:
        ValueError: they contradict one another.
        OSError: this machine has less.
    """
    if per_user is not None and per_user > tracers:
        raise ValueError(f"--max-tracers-per-user {per_user} is more than --max-tracers {tracers}, which is all users'")
    if ring_bytes is not None and ring_bytes < MIN_RING_BYTES:
        raise ValueError(f"--max-ring-bytes {ring_bytes} is less than the smallest ring, {MIN_RING_BYTES}")
    there, whose = memory()
    made = Limits(tracers, per_user or min(8, tracers), ring_bytes or _default_ring_bytes(tracers, there // 2))
    if made.memory_bytes > there:
        raise OSError(
            f"--max-tracers {tracers} × (--max-ring-bytes {made.max_ring_bytes} + {state_bytes()} for the rest each) "
            f"are {made.memory_bytes >> 20} MiB, and {whose} has {there >> 20} MiB: lower one of them"
        )
    return made


def state_bytes() -> int:
    """The most bytes that a tracer takes in the kernel besides its ring."""
    return _STATE_BYTES + _STATE_BYTES_OF_CPU * os.sysconf("SC_NPROCESSORS_CONF")


def _default_ring_bytes(tracers: int, most: int) -> int:
    size = MAX_RING_BYTES
    while size > MIN_RING_BYTES and tracers * (size + state_bytes()) > most:
        size //= 2
    return size


def memory(root: str = "") -> tuple[int, str]:
    """The bytes that this process's kernel memory may take, and whose limit that is."""
    there = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    whose = "this machine"
    try:
        lines = Path(f"{root}/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return there, whose
    for line in lines:
        if not line.startswith("0::/"):
            continue
        path = Path(line[4:])
        for directory in (path, *path.parents):
            try:
                limit = Path(f"{root}/sys/fs/cgroup", directory, "memory.max").read_text().strip()
            except OSError:
                continue
            if limit.isdecimal() and int(limit) < there:
                there, whose = int(limit), f"the cgroup /{directory}"
    return there, whose


def allow_descriptors(needed: int) -> None:
    """Raise the limit of this process.

    Raises:
        OSError: it may not open that many.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < needed:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (needed, max(needed, hard) if hard >= 0 else hard))
        except (OSError, ValueError):
            raise OSError(
                f"that many tracers take {needed} descriptors, and this process may open {hard}: lower --max-tracers, "
                "or raise the limit (ulimit -Hn; LimitNOFILE= in a unit)"
            ) from None
