"""A tracer without privilege, by a broker: it loads and attaches, and keeps it so for as long as both are connected."""

from __future__ import annotations

import errno
import os
import socket
from contextlib import suppress
from typing import TYPE_CHECKING

from rawtp import _core, _grant

if TYPE_CHECKING:
    from typing import Any

_ANSWER_S = 300.0  # behind everybody else's requests, on a slow machine
_ADDRESS_BYTES = 107


def obtain(path: str, request: dict[str, Any]) -> tuple[_grant.Given, int]:
    """What a tracer needs, for its own descriptors, and the connection, which it keeps as long as it wants events."""
    address = os.fsencode(path)
    if not address or b"\0" in address or len(address) > _ADDRESS_BYTES:
        raise ValueError(f"broker must be the path of a socket, of 1 to {_ADDRESS_BYTES} bytes, not {path!r}")
    message = _grant.encode_request(request)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as broker:
        broker.settimeout(_ANSWER_S)
        try:
            broker.connect(address)
        except OSError as error:
            raise _explained(error, path) from None
        with suppress(BrokenPipeError, ConnectionResetError):  # it has said why
            _grant.send(broker, message)
        answer, descriptors = _answer(broker, path)
        try:
            given = _grant.parse_answer(answer, descriptors)
            if given[3]:
                raise _grant.MalformedError("an answer with links, which a broker keeps")
            return given, broker.detach()
        except BaseException:
            _grant.close(descriptors)
            raise


def _answer(broker: socket.socket, path: str) -> tuple[bytes, list[int]]:
    try:
        answer, descriptors = _grant.receive_descriptors(broker)
    except TimeoutError:
        raise TimeoutError(f"the broker at {path} has not answered within {_ANSWER_S} s") from None
    except ConnectionResetError:
        answer, descriptors = b"", []
    if not answer:
        _grant.close(descriptors)
        raise _core.RawtpError(f"the broker at {path} ended without an answer")
    return answer, descriptors


def _explained(error: OSError, path: str) -> OSError:
    reason = error.strerror
    if error.errno in (errno.EACCES, errno.EPERM):
        reason = f"its socket is not open to this user{_group_of(path)}"
    elif error.errno == errno.ENOENT:
        reason = "there is no such socket. One is made by: python3 -m rawtp broker --socket PATH"
    elif error.errno == errno.ECONNREFUSED:
        reason = "nobody listens there any more"
    elif error.errno == errno.EPROTOTYPE:
        reason = "that is a socket of something else"
    return OSError(error.errno, f"cannot ask the broker at {path}: {reason}")


def _group_of(path: str) -> str:
    import grp

    try:
        return f", but to the group {grp.getgrgid(os.stat(path).st_gid).gr_name}"  # noqa: PTH116
    except (OSError, KeyError):
        return ""
