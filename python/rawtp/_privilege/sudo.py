"""The caller of sudo's helper, which loads, attaches, hands over the descriptors, and ends."""

from __future__ import annotations

import io
import os
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import warnings
from contextlib import suppress
from typing import TYPE_CHECKING

from rawtp._core import RawtpError
from rawtp._core import __file__ as _core_file
from rawtp._privilege import protocol
from rawtp._privilege.ownership import replaceable
from rawtp._signals import Blocked

if TYPE_CHECKING:
    from typing import IO, Any

_CONNECT_S = 60.0
_ANSWER_S = 120.0
_END_S = 10.0
_ADDRESS_BYTES = 107
_HELPER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "sudo_helper.py")  # noqa: PTH100, PTH118, PTH120
# The messages of sudo, and of sudo-rs.
_WANTS_PASSWORD = ("a password is required", "authentication is required")


class ReplaceableWarning(RuntimeWarning):
    """Warns that sudo is about to run files that users other than root can replace."""


def obtain(request: dict[str, Any]) -> tuple[protocol.LoadedFds, None]:
    """Run the helper; give the descriptors. The helper ends, and so there is no connection to keep."""
    message = protocol.encode_request(request)
    command = _command()
    _warn(command[0])
    try:
        return _attempt(["-n"], command, message), None
    except _PasswordWantedError:
        if not _has_terminal():
            raise PermissionError(
                "sudo asks for a password, and there is no terminal to type it on. Where sudo's rules (visudo) have "
                f"this one, it does not: {_user()} ALL=(root) NOPASSWD: {' '.join(command)} *  (whoever can write one "
                "of these files is root then). Or have a broker run: python3 -m rawtp broker --help"
            ) from None
    try:
        return _attempt([], command, message), None
    except _PasswordWantedError as refused:
        raise PermissionError(str(refused)) from None


class _PasswordWantedError(Exception):
    pass


def _command() -> list[str]:
    if not sys.executable:
        raise PermissionError("sudo=True needs to know which interpreter runs, and sys.executable is empty")
    # -I: no environment; -S: no site-packages, no .pth files; -B: no bytecode of root's in the caller's directories.
    return [os.path.realpath(sys.executable), "-I", "-S", "-B", _HELPER]


def _warn(python: str) -> None:
    paths = [python, os.__file__, _core_file, _HELPER]
    reasons = sorted({reason for path in paths if (reason := replaceable(path))})
    if reasons:
        warnings.warn(
            f"sudo=True runs {python} and {_HELPER} as root, which others can replace: {'; '.join(reasons)}. Whoever "
            "can, is root the next time: install Python and rawtp where only root can write",
            ReplaceableWarning,
            stacklevel=3,
        )


def _user() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"#{os.getuid()}"


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_CLOEXEC))
    except OSError:
        return False
    return True


class _SocketDir:
    """A directory of the caller's alone, and in it the address to listen at."""

    def __init__(self) -> None:
        self._directory = tempfile.mkdtemp(prefix="rawtp-")  # 0700
        if len(os.fsencode(self.address)) > _ADDRESS_BYTES:
            os.rmdir(self._directory)  # noqa: PTH106
            self._directory = tempfile.mkdtemp(prefix="rawtp-", dir="/tmp")
        self._is_there = True

    @property
    def address(self) -> str:
        return f"{self._directory}/socket"

    def remove(self) -> None:
        """Remove both, once: these are deletions, too."""
        if not self._is_there:
            return
        self._is_there = False
        with suppress(OSError):
            os.unlink(self.address)  # noqa: PTH108
        with suppress(OSError):
            os.rmdir(self._directory)  # noqa: PTH106


def _attempt(options: list[str], command: list[str], message: bytes) -> protocol.LoadedFds:
    sudo = shutil.which("sudo")
    if sudo is None:
        raise PermissionError("sudo=True needs sudo, and there is none on the PATH: run this as root, or see broker=")
    socket_dir = _SocketDir()
    try:
        with (
            socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener,
            tempfile.TemporaryFile() as errors,
        ):
            listener.bind(socket_dir.address)
            listener.listen(1)
            process = subprocess.Popen(  # noqa: S603
                [sudo, *options, "--", *command, socket_dir.address],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                env={**os.environ, "LC_ALL": "C"},
            )
            try:
                with _connection(listener, process, errors, wait_s=_CONNECT_S if options else None) as peer:
                    # Before there is a tracer that would see these deletions.
                    socket_dir.remove()
                    return _answer(peer, message, process, errors)
            finally:
                listener.close()
                _reap(process)
    finally:
        socket_dir.remove()


def _connection(
    listener: socket.socket, process: subprocess.Popen[bytes], errors: IO[bytes], *, wait_s: float | None
) -> socket.socket:
    """The helper's; while a password is being typed, there is no hurry."""
    with Blocked():
        # A file, not a descriptor number: it is closed even if a signal's handler raises from here on.
        pidfd = io.FileIO(os.pidfd_open(process.pid))
    with pidfd:
        ready = select.poll()
        ready.register(listener, select.POLLIN)
        ready.register(pidfd, select.POLLIN)
        found = dict(ready.poll(None if wait_s is None else wait_s * 1000))
    if not found:
        raise TimeoutError(f"sudo has not started the helper within {wait_s} s")
    if listener.fileno() not in found:
        process.wait()
        raise _refusal(process, errors)
    peer, _ = listener.accept()
    _, uid = protocol.peer_of(peer)
    if uid != 0:
        peer.close()
        raise PermissionError(f"user {uid} came in root's place: sudo is to run the helper as root")
    peer.settimeout(_ANSWER_S)
    return peer


def _answer(
    peer: socket.socket, message: bytes, process: subprocess.Popen[bytes], errors: IO[bytes]
) -> protocol.LoadedFds:
    try:
        protocol.send(peer, message)
        answer, descriptors = protocol.receive_descriptors(peer)
    except TimeoutError:
        raise TimeoutError(f"the helper that sudo runs has not answered within {_ANSWER_S} s") from None
    except (BrokenPipeError, ConnectionResetError):
        answer, descriptors = b"", []
    try:
        if not answer:
            _reap(process)
            raise RawtpError(f"the helper that sudo runs ended without an answer ({_ending(process, errors)})")
        return protocol.parse_answer(answer, descriptors)
    except BaseException:
        protocol.close(descriptors)
        raise


def _ending(process: subprocess.Popen[bytes], errors: IO[bytes]) -> str:
    errors.seek(0)
    said = errors.read(4096).decode(errors="replace").strip().splitlines()
    return "; ".join([f"exit code {process.returncode}", *said[-3:]])


def _refusal(process: subprocess.Popen[bytes], errors: IO[bytes]) -> Exception:
    text = _ending(process, errors)
    if any(words in text for words in _WANTS_PASSWORD):
        return _PasswordWantedError(f"sudo does not run the helper: {text}")
    return PermissionError(f"sudo does not run the helper: {text}")


def _reap(process: subprocess.Popen[bytes]) -> None:
    """Waits for its end, which the closed socket brings about; where it lingers, not here."""
    with suppress(PermissionError):  # sudo runs as root by now
        if sys.exc_info()[0] is not None:
            process.terminate()
    try:
        process.wait(_END_S)
    except subprocess.TimeoutExpired:
        threading.Thread(target=process.wait, daemon=True).start()
