"""A broker's client. The broker keeps the programs attached for as long as the two are connected."""

from __future__ import annotations

import errno
import os
import socket
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from rawtp._core import RawtpError
from rawtp._privilege import protocol

if TYPE_CHECKING:
    from typing import Any

_ANSWER_S = 300.0  # enough behind all other users' requests on a slow machine
_CONNECT_S = 60.0
_FIRST_PAUSE_S, _PAUSE_S = 0.001, 0.025
_ADDRESS_BYTES = 107


def obtain(path: str, request: dict[str, Any]) -> tuple[protocol.LoadedFds, int]:
    """Ask the broker at ``path``; give the descriptors, and the connection to keep for as long as events are wanted."""
    address = os.fsencode(path)
    if not address or b"\0" in address or len(address) > _ADDRESS_BYTES:
        raise ValueError(f"broker must be the path of a socket, of 1 to {_ADDRESS_BYTES} bytes, not {path!r}")
    message = protocol.encode_request(request)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as broker:
        broker.settimeout(_ANSWER_S)
        _connect(broker, address, path)
        with suppress(BrokenPipeError, ConnectionResetError):  # the broker's refusal, to be read below, says why
            protocol.send(broker, message)
        answer, descriptors = _answer(broker, path)
        try:
            loaded = protocol.parse_answer(answer, descriptors)
            if loaded.links:
                raise protocol.MalformedError("an answer with links, which a broker keeps")
            return loaded, broker.detach()
        except BaseException:
            protocol.close(descriptors)
            raise


def _connect(broker: socket.socket, address: bytes, path: str) -> None:
    """Connects, behind all others who would: where the backlog is full, the kernel does not wait but says EAGAIN."""
    end = time.monotonic() + _CONNECT_S
    pause = _FIRST_PAUSE_S
    while True:
        try:
            broker.connect(address)
        except BlockingIOError:
            if time.monotonic() >= end:
                text = f"cannot ask the broker at {path}: its backlog was full for {_CONNECT_S:g} s"
                raise TimeoutError(errno.ETIMEDOUT, text) from None
            time.sleep(pause)
            pause = min(pause * 2, _PAUSE_S)
        except OSError as error:
            raise _explained(error, path) from None
        else:
            return


def _answer(broker: socket.socket, path: str) -> tuple[bytes, list[int]]:
    try:
        try:
            answer, descriptors = protocol.receive_descriptors(broker)
        except ConnectionResetError:
            # The broker has closed without reading the request. Its answer can be read after this error.
            answer, descriptors = protocol.receive(broker, descriptors=protocol.ANSWER_DESCRIPTORS)
    except TimeoutError:
        raise TimeoutError(f"the broker at {path} has not answered within {_ANSWER_S} s") from None
    if not answer:
        protocol.close(descriptors)
        raise RawtpError(f"the broker at {path} ended without an answer")
    return answer, descriptors


def _explained(error: OSError, path: str) -> OSError:
    reason = error.strerror
    if error.errno in (errno.EACCES, errno.EPERM):
        reason = f"its socket is not open to this user{_group_of(path)}"
    elif error.errno == errno.ENOENT:
        reason = "there is no such socket: nobody runs a broker there (rawtp broker --socket PATH does)"
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
