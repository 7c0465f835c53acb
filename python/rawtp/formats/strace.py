"""System calls as strace(1) shows them: ``openat(AT_FDCWD, "/etc/passwd", O_RDONLY|O_CLOEXEC) = 3``."""

from __future__ import annotations

import os
import re
from functools import lru_cache
from typing import TYPE_CHECKING

from rawtp.formats import ledger
from rawtp.formats.base import Format
from rawtp.syscalls import arguments

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from rawtp.event import Event
    from rawtp.formats.timestamp import Clock

_AT_FDCWD = -100
_MAX_TEXT = 256  # characters of one text
_MAX_TEXTS = 16
_LARGE = 1 << 16  # from there on an address, or the like, reads better in hexadecimal
# What a call may not use: the mode of an open that makes no file, and the argument of some commands of fcntl(2).
_UNUSED = ("mode", "arg")
# The mode of these is a memory policy, not that of a file.
_POLICIES = ("get_mempolicy", "set_mempolicy", "mbind")
# How many arguments an operation of futex(2) has.
_FUTEXES = ("futex", "futex_time64")
_FUTEX_ARGUMENTS = {
    **dict.fromkeys(("FUTEX_UNLOCK_PI", "FUTEX_TRYLOCK_PI"), 2),
    **dict.fromkeys(("FUTEX_WAKE", "FUTEX_FD"), 3),
    **dict.fromkeys(("FUTEX_WAIT", "FUTEX_LOCK_PI", "FUTEX_LOCK_PI2"), 4),
    **dict.fromkeys(("FUTEX_REQUEUE", "FUTEX_WAIT_REQUEUE_PI"), 5),
}
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


class Strace(Format):
    """A line for each call, in the order in which they ended: its thread, arguments, result and time. It is safe to
    write to a terminal."""

    fields = ("tid", "syscall", "abi", "args", "ret", "errno", "duration_ns", "ts_ns")

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock

    def event(self, event: Event) -> str:
        """One line."""
        moment = f"{self._clock.of_day(event['ts_ns'])} " if self._clock else ""
        name, took = event["syscall"], event["duration_ns"]
        seconds = f" <{took / 1e9:.6f}>" if took is not None else ""
        return f"{moment}{event['tid']} {name}({_shown(event)}) = {_result(event)}{seconds}\n"

    def lost(self, count: int, event: Event | None) -> str:
        """A line that says so."""
        where = f" on CPU {event['cpu']}" if event else ""
        return f"+++ lost {ledger.events(count)} here{where} +++\n"


@lru_cache(maxsize=2048)
def _kinds(syscall: str, abi: str) -> Mapping[str, str]:
    """The kinds of a call's arguments. That of a file's mode is "mode" here."""
    kinds = arguments(syscall, abi) or {}
    modes = {"umask": ("mask",), **dict.fromkeys(_POLICIES, ())}.get(syscall, ("mode", "st_mode", "stx_mode"))
    return {
        name: "mode" if kind == "int" and name.rpartition(".")[2] in modes else kind for name, kind in kinds.items()
    }


def _shown(event: Mapping[str, Any]) -> str:
    args = event["args"]
    if args is None:
        return "?"
    kinds = _kinds(event["syscall"] or "", event["abi"])
    names = list(args)
    if event["syscall"] in _FUTEXES:
        names = names[: _FUTEX_ARGUMENTS.get(next(iter(args["futex_op"] or ()), ""), len(names))]
    # strace leaves these out as well. What else is None is not known.
    if names and names[-1] in _UNUSED and args[names[-1]] is None:
        names.pop()
    # A structure that could not be read is one argument.
    unread = {_argument(name) for name in names} - {_argument(name) for name in names if args[name] is not None}
    parts = {
        _argument(name) if _argument(name) in unread else name: _part(name, kinds.get(name, "register"), args[name])
        for name in names
    }
    return ", ".join("?" if name in unread else part for name, part in parts.items())


def _argument(name: str) -> str:
    """The argument that a part of a structure belongs to."""
    return re.split(r"[.\[]", name, maxsplit=1)[0]


def _part(name: str, kind: str, value: object) -> str:
    """An argument. A part of a structure has its name."""
    text = _value(name, kind, value)
    return f"{name}={text}" if "." in name else text


def _value(name: str, kind: str, value: object) -> str:
    if value is None:
        return "?"
    if isinstance(value, bytes):
        return _quoted(os.fsdecode(value))
    if isinstance(value, str):
        return value if kind in {"word", "seconds", "any"} else _quoted(value)
    if isinstance(value, tuple):
        if kind in {"flags", "any"}:
            return "|".join(value) or "0"
        shown = [_quoted(one) if isinstance(one, str) else str(one) for one in value[:_MAX_TEXTS]]
        return f"[{', '.join([*shown, *(['...'] if len(value) > _MAX_TEXTS else [])])}]"
    if isinstance(value, int):
        if value == _AT_FDCWD and name.endswith("fd"):
            return "AT_FDCWD"
        if kind == "mode":
            return f"0{value:o}" if value else "0"
        is_address = kind in {"address", "register"} or (kind == "any" and value >= _LARGE)
        return hex(value) if is_address and value else str(value)
    return str(value)


def _quoted(text: str) -> str:
    more = "..." if len(text) > _MAX_TEXT else ""
    return f'"{"".join(map(_char, text[:_MAX_TEXT]))}"{more}'


def _char(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    if char.isprintable():
        return char
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is no UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _result(event: Mapping[str, Any]) -> str:
    ret, errno = event["ret"], event["errno"]
    if ret is None:
        return "?"
    if errno is not None:
        return f"-1 {errno} ({os.strerror(-ret)})"
    return hex(ret) if ret >= _LARGE else str(ret)
