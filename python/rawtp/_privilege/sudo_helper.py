"""The program that sudo runs as root: it loads, attaches, hands over the descriptors, and ends.

``sudo python -I -S -B sudo_helper.py SOCKET``; :mod:`rawtp._privilege.sudo` starts it. With ``-I -S`` neither the
environment nor the site's directories decide what is imported: the standard library, and five modules of this package.
"""

import os
import sys
from types import ModuleType

_REQUEST_S = 10.0


def _package() -> None:
    """Register the package without its ``__init__``, and without its neighbours in the directory above."""
    package = ModuleType("rawtp")
    package.__path__ = [os.path.dirname(os.path.dirname(os.path.abspath(__file__)))]  # noqa: PTH100, PTH120
    sys.modules["rawtp"] = package


def main(path: str) -> int:
    """Serve the process that listens there; the exit code."""
    _package()
    import socket

    from rawtp._privilege import kinds, protocol

    caller = os.environ.get("SUDO_UID", "")
    if not (caller.isascii() and caller.isdecimal()):
        return _fail("no SUDO_UID: sudo is to start this")
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as peer:
        peer.settimeout(_REQUEST_S)
        try:
            peer.connect(path)
            pid, uid = protocol.peer_of(peer)
            if uid != int(caller):
                return _fail(f"user {uid} listens there, but user {caller} called sudo")
            message, _ = protocol.receive(peer)
            if not message:  # the caller has given up
                return 1
        except OSError as error:
            return _fail(f"cannot reach who called sudo: {error}")
        try:
            request = protocol.parse_request(message)
            loaded = kinds.load(request, pid=pid, owner=None, tell_cgroups=True)
            answer, descriptors = protocol.encode_answer(loaded)
        except Exception as error:
            answer, descriptors = protocol.encode_error(error), []
        try:
            protocol.send(peer, answer, descriptors)
        except OSError:
            return 1
    # This process's descriptors are closed by its exit; the caller has its own.
    return 0


def _fail(reason: str) -> int:
    sys.stderr.write(f"rawtp: {reason}\n")
    return 1


if __name__ == "__main__":
    os.chdir("/")
    sys.exit(main(sys.argv[1]))
