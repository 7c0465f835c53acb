"""The messages between a tracer, or what counts, and the process that loads for it.

Neither trusts the other: each checks everything.
"""

from __future__ import annotations

import array
import json
import os
import select
import socket
import struct
from typing import TYPE_CHECKING, NamedTuple

from rawtp._core import LoadError, RawtpError, UnsupportedKernelError, __version__
from rawtp._errors import reason
from rawtp._signals import block

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, TypeAlias

    Row: TypeAlias = tuple[str, str | None, str | None]

MESSAGE_BYTES = 128 << 10
"""The longest message. The kernel's own limit is near 200 KiB, unless it was lowered."""
_DESCRIPTORS = 80
ANSWER_DESCRIPTORS = 67
_LOG_BYTES = 64 << 10
_CALLS, _NAMES, _VALUES, _TEXT_BYTES = 1024, 128, 32, 4096
_PARTS, _MAPS, _PROGRAMS = 8, 3, 32


class LoadedFds(NamedTuple):
    """The file descriptors a session needs, whether this process, sudo or a broker loaded the programs."""

    slots: int
    """Slots of the counters: one for each possible CPU. Of counts: the possible CPUs."""
    coverage: list[Row]
    """A part's name, the hook that sees it, and why, as :attr:`rawtp.Tracer.coverage` has them."""
    maps: list[int]
    """The ring, the counters and the live configuration. Of counts: those of calls, of errors, and of times if any."""
    links: list[int]
    """The attached programs stay attached for as long as these are open; a broker keeps them."""
    programs: list[int]
    """Descriptors whose fdinfo counts the programs' missed runs."""


class MalformedError(RawtpError):
    """Raised for a message that no rawtp of this version sends."""


def send(peer: socket.socket, message: bytes, descriptors: Sequence[int] = ()) -> None:
    """Send a message in one piece."""
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
    peer.sendmsg([message], rights, socket.MSG_NOSIGNAL)


def receive(peer: socket.socket, *, descriptors: int = 0) -> tuple[bytes, list[int]]:
    """Receive a message, and up to so many descriptors, which are the caller's to close; b"" at the end of file.

    Where none are taken, the kernel closes what comes.
    """
    room = socket.CMSG_SPACE(descriptors * 4) if descriptors else 0
    message, rights, flags, _ = peer.recvmsg(MESSAGE_BYTES + 1, room, socket.MSG_CMSG_CLOEXEC)
    received = array.array("i")
    for level, kind, data in rights:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            received.frombytes(data[: len(data) - len(data) % received.itemsize])
    if flags & socket.MSG_TRUNC or len(message) > MESSAGE_BYTES:
        close(received)
        raise MalformedError(f"a message of more than {MESSAGE_BYTES} bytes")
    if descriptors and (flags & socket.MSG_CTRUNC or len(received) > descriptors):
        close(received)
        raise MalformedError(
            f"not all descriptors of a message came through: there are more than {descriptors}, or this process may "
            "not open that many (ulimit -n), or a security module such as SELinux does not let BPF maps pass"
        )
    return message, list(received)


def receive_descriptors(peer: socket.socket) -> tuple[bytes, list[int]]:
    """Wait for an answer, and receive it with the descriptors that come along.

    From then on signals are blocked in this thread, so that no handler's exception can fall between a descriptor and
    its owner: who has taken them over, or closed them, sets the mask back (``ask`` in ``src/py/handover.rs``).
    """
    ready = select.poll()
    ready.register(peer, select.POLLIN)
    wait_s = peer.gettimeout()
    if not ready.poll(None if wait_s is None else wait_s * 1000):
        raise TimeoutError
    block()
    return receive(peer, descriptors=ANSWER_DESCRIPTORS)


def hear_no_more(peer: socket.socket) -> None:
    """Discard what the peer has sent, before a close: unread, it would reset the connection and lose our last
    message."""
    peer.shutdown(socket.SHUT_RD)
    while peer.recv(1):
        pass


def close(descriptors: Sequence[int]) -> None:
    """Close all of them."""
    for descriptor in descriptors:
        os.close(descriptor)


def peer_of(peer: socket.socket) -> tuple[int, int]:
    """The peer's process id, as it is numbered here, and its user id; both come from the kernel."""
    pid, uid, _ = struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return pid, uid & 0xFFFFFFFF


def encode_request(request: dict[str, Any]) -> bytes:
    """Encode a request as one message."""
    message = _encode({"rawtp": __version__, **request})
    if len(message) > MESSAGE_BYTES:
        raise ValueError(f"these filters take {len(message)} bytes to be sent; there is room for {MESSAGE_BYTES}")
    return message


def parse_request(message: bytes) -> dict[str, Any]:
    """Decode a request: its kind, and the arguments of what loads that (:func:`rawtp._privilege.kinds.load`), which
    checks their values."""
    content = _decode(message)
    kind = content.get("kind")
    if not isinstance(kind, str) or kind not in _REQUESTS:
        raise MalformedError("a request of a kind that there is none of")
    known = _REQUESTS[kind]
    if content.keys() != known.keys() | {"kind"}:
        raise MalformedError("a request without, or with other, keys than a request's")
    for key, is_right in known.items():
        if not is_right(content[key]):
            raise MalformedError(f"a request whose {key} is of the wrong type, or too long")
    return content


def encode_answer(loaded: LoadedFds) -> tuple[bytes, list[int]]:
    """Encode an answer, and list the descriptors to send with it."""
    content = {
        "slots": loaded.slots,
        "coverage": loaded.coverage,
        "maps": len(loaded.maps),
        "links": len(loaded.links),
        "programs": len(loaded.programs),
    }
    return _encode({"rawtp": __version__, **content}), [*loaded.maps, *loaded.links, *loaded.programs]


def encode_error(error: Exception) -> bytes:
    """Encode the reason why nothing was loaded."""
    kind = next((kind for kind in _ERRORS if isinstance(error, _ERRORS[kind])), "RawtpError")
    # The hint names this process's interpreter, which is not the client's.
    text = reason(error)[:_TEXT_BYTES]
    log = getattr(error, "verifier_log", "").encode("ascii", "replace")[-_LOG_BYTES:].decode()
    content = {"error": kind, "message": text, "errno": getattr(error, "errno", None), "verifier_log": log}
    return _encode({"rawtp": __version__, **content})


def parse_answer(message: bytes, descriptors: Sequence[int]) -> LoadedFds:
    """Decode an answer, with its descriptors in their groups; raise the exception that came instead of one."""
    content = _decode(message)
    if "error" in content:
        raise _error(content)
    values: tuple[Any, ...] = tuple(content.get(key) for key in ("slots", "coverage", "maps", "links", "programs"))
    slots, rows, maps, links, programs = values
    counts = _is_count(maps, _MAPS) and _is_count(links, _PROGRAMS) and _is_count(programs, _PROGRAMS)
    if not (_is_count(slots, 1 << 16) and counts):
        raise MalformedError("an answer with numbers that none has")
    if not (isinstance(rows, list) and len(rows) <= _PARTS and all(map(_is_row, rows))):
        raise MalformedError("an answer with a coverage that none has")
    if len(descriptors) != maps + links + programs:
        raise MalformedError(f"an answer with {len(descriptors)} descriptors in place of {maps + links + programs}")
    coverage = [(name, _printable(hook), _printable(reason)) for name, hook, reason in rows]
    rest = list(descriptors[maps:])
    return LoadedFds(slots, coverage, list(descriptors[:maps]), rest[:links], rest[links:])


def _encode(content: dict[str, Any]) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode("ascii")


def _decode(message: bytes) -> dict[str, Any]:
    try:
        content = json.loads(message.decode("ascii"))
    except (ValueError, RecursionError):
        raise MalformedError("a message that is no JSON") from None
    if not isinstance(content, dict):
        raise MalformedError("a message that is no object")
    version = content.pop("rawtp", None)
    if version != __version__:
        other = version if isinstance(version, str) and len(version) < 32 and version.isprintable() else "another one"
        raise MalformedError(f"the other side is rawtp {other}, and this is {__version__}")
    return content


def _is_count(value: object, most: int) -> bool:
    return type(value) is int and 0 <= value <= most


def _is_text(value: object, most: int = _TEXT_BYTES) -> bool:
    if not isinstance(value, str) or len(value) > most:
        return False
    try:
        return b"\0" not in os.fsencode(value)
    except UnicodeEncodeError:  # a lone surrogate that stands for no byte
        return False


def _is_row(row: object) -> bool:
    if not isinstance(row, list) or len(row) != 3 or not _is_text(row[0], 64):
        return False
    return all(text is None or _is_text(text, _TEXT_BYTES * 2) for text in row[1:])


def _listed(of: Callable[[object], bool], most: int) -> Callable[[object], bool]:
    return lambda value: isinstance(value, list) and 0 < len(value) <= most and all(map(of, value))


def _or_none(is_right: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: value is None or is_right(value)


def _is_bool(value: object) -> bool:
    return isinstance(value, bool)


def _is_id(value: object) -> bool:
    return _is_count(value, (1 << 63) - 1)


def _fields(value: object) -> bool:
    return isinstance(value, list) and len(value) <= _NAMES and all(map(_is_text, value))


_FILTERS: dict[str, Callable[[object], bool]] = {
    "pid": _or_none(_listed(_is_id, _VALUES)),
    "follow": _is_bool,
    "from_exec": _is_bool,
    "uid": _or_none(_listed(_is_id, _VALUES)),
    "comm": _or_none(_listed(_is_text, _VALUES)),
    "cgroup": _or_none(_listed(_is_id, _VALUES)),
    "exclude_self": _is_bool,
}

_REQUESTS: dict[str, dict[str, Callable[[object], bool]]] = {
    "tracer": {
        "syscalls": _listed(_is_text, _CALLS),
        "are_all": _is_bool,
        "when": _is_text,
        "buffers": _is_id,
        "results": _is_bool,
        "fields": _listed(_is_text, _NAMES),
        **_FILTERS,
        "path": _or_none(_listed(_is_text, _VALUES)),
        "hook": _is_text,
        "ring_bytes": _is_id,
    },
    "counts": {
        "syscalls": _listed(_is_text, _CALLS),
        "are_all": _is_bool,
        "latency": _is_bool,
        **_FILTERS,
    },
    "raw_tracepoint": {
        "name": _is_text,
        "fields": _or_none(_fields),
        "pid": _or_none(_listed(_is_id, _VALUES)),
        "pointers": _is_bool,
        "text_bytes": _is_id,
        "ring_bytes": _is_id,
    },
}

_ERRORS: dict[str, type[Exception]] = {
    "LoadError": LoadError,
    "UnsupportedKernelError": UnsupportedKernelError,
    "RawtpError": RawtpError,
    "PermissionError": PermissionError,
    "OSError": OSError,
    "ValueError": ValueError,
    "TypeError": TypeError,
}


def _printable(text: str | None) -> str | None:
    """Replace control characters: an exception that is printed must not move the cursor."""
    # By number: for its name the compiler imports unicodedata, and makes a SyntaxError of a Ctrl-C meanwhile.
    return text and "".join(char if char.isprintable() or char in "\n\t" else "\ufffd" for char in text)


def _error(content: dict[str, Any]) -> Exception:
    kind, text, number = content["error"], content.get("message"), content.get("errno")
    log = content.get("verifier_log")
    if not (_is_text(kind) and kind in _ERRORS and _is_text(text) and _is_text(log, _LOG_BYTES)):
        return MalformedError("an answer with an error that there is none of")
    message = _printable(text)
    if number is not None and issubclass(_ERRORS[kind], OSError):
        return OSError(number if _is_count(number, 4095) else 0, message)
    if not issubclass(_ERRORS[kind], LoadError):
        return _ERRORS[kind](message)
    error = LoadError(f"{message}; see verifier_log" if log else message)
    error.reason, error.verifier_log = message, _printable(log) or ""
    return error
