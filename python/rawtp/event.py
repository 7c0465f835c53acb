"""The shape of an event: the dict that a :class:`rawtp.Tracer` yields."""

from __future__ import annotations

from typing import Literal, TypedDict


class Event(TypedDict):
    """One system call that deletes, or tried to delete, a name.

    Every key is always there. ``None`` means *not known*; it never stands for zero or for an empty name.
    ``str`` values made of the kernel's bytes use :func:`os.fsdecode`, so that ``filename`` works in any ``os`` call.
    """

    ts_ns: int
    """Unix time of the call's entry, in nanoseconds (``CLOCK_REALTIME``)."""
    duration_ns: int | None
    """Nanoseconds from the call's entry to its return; ``None`` when the return was not seen."""
    cpu: int
    """The CPU that ran the call's entry."""
    seq: int
    """Position among this CPU's events, from 1, without gaps; an event that is lost keeps its number."""
    lost: int
    """Events lost on this CPU just before this one."""
    pid: int
    """Process id (the kernel's thread group id) in the host's pid namespace."""
    tid: int
    """Thread id in the host's pid namespace."""
    ppid: int
    """Process id of the parent at the time of the call; 0 for init and the kernel's own."""
    uid: int
    """Real user id, in the host's user namespace."""
    gid: int
    """Real group id, in the host's user namespace."""
    comm: str
    """The thread's command name, at most 15 bytes (``prctl(2)``, ``PR_SET_NAME``)."""
    syscall: str
    """The system call's name: ``"unlink"``, ``"unlinkat"`` or ``"rmdir"``."""
    abi: str
    """The system call table that the number belongs to: ``"x86_64"`` or ``"aarch64"``."""
    via: Literal["syscall"]
    """How the call reached the kernel."""
    action: Literal["delete", "rmdir"]
    """What was asked for: ``"rmdir"`` for rmdir(2) and for unlinkat(2) with ``AT_REMOVEDIR``."""
    dfd: int | None
    """The directory descriptor as passed (``AT_FDCWD`` is -100); ``None`` for calls that have none."""
    flags: int | None
    """The flags as passed; ``None`` for calls that have none."""
    filename: str | None
    """The name as passed; ``None`` when ``name_status`` is ``"fault"``."""
    name_status: Literal["ok", "truncated", "fault"]
    """``"ok"``: the whole name; ``"truncated"``: the first 4,096 bytes of a longer one, which the kernel refuses with
    ENAMETOOLONG; ``"fault"``: the pointer could not be read."""
    ret: int | None
    """What the call returned: 0, or a negative errno; ``None`` when the return was not seen."""
    errno: str | None
    """The errno's name, ``"ENOENT"``, when ``ret`` is negative; otherwise ``None``."""
