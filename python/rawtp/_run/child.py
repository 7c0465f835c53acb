"""A command that does not make its first call before it is released."""

from __future__ import annotations

import io
import marshal
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

from rawtp._core import RawtpError
from rawtp._signals import Blocked

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from typing_extensions import Self

# The kernel filters by the host's number of a process, and its parent knows it by that in the initial namespace alone
# (PROC_PID_INIT_INO, include/linux/proc_ns.h).
_INITIAL_PID_NS = 0xEFFF_FFFC

# The stub becomes the command by exec, and so keeps its pid. The command comes by the pipe, not as arguments, so that
# nothing that this interpreter does to its environment or its signals reaches the command. If the pipe ends before, the
# stub ends, too. It imports built-in modules only: the user it becomes may not be able to read the standard library.
_STUB = """\
import _signal, marshal, posix, sys
if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
# Signals are blocked while it is started.
_signal.pthread_sigmask(_signal.SIG_SETMASK, [int(number) for number in sys.argv[3:]])
told, failed = map(int, sys.argv[1:3])
for fd in (told, failed):
    posix.set_inheritable(fd, False)
with open(told, "rb") as message:
    try:
        programs, words, environment, user = marshal.load(message)
    except (EOFError, ValueError, TypeError):
        posix._exit(1)
def tell(step, error):
    posix.write(failed, f"{step} {error.errno}".encode())
    posix._exit(1)
try:
    if user is not None:
        uid, gid, groups = user
        posix.setgroups(groups)
        posix.setresgid(gid, gid, gid)
        posix.setresuid(uid, uid, uid)
except OSError as error:
    tell("user", error)
for number in (_signal.SIGPIPE, _signal.SIGXFSZ):
    _signal.signal(number, _signal.SIG_DFL)
refused = None
def runs(program):
    try:
        return posix.stat(program).st_mode & 0o170000 == 0o100000 and posix.access(program, posix.X_OK)
    except OSError:
        return False
# The first exec is the first call that is shown, and would be so where it fails.
for program in [program for program in programs if runs(program)] or programs:
    try:
        posix.execve(program, words, environment)
    except (FileNotFoundError, NotADirectoryError) as error:
        missing = error
    except OSError as error:
        refused = refused or error
tell("command", refused or missing)
"""


class User(NamedTuple):
    """The user that a command runs as."""

    uid: int
    gid: int
    groups: list[int]


def words_of(command: Iterable[str | bytes | os.PathLike[str] | os.PathLike[bytes]]) -> list[bytes]:
    """Check and encode the words of a command."""
    if isinstance(command, (str, bytes)):
        kind = type(command).__name__
        raise TypeError(
            f"command must be a sequence of words, not a {kind}: no shell takes it apart (shlex.split does)"
        )
    if not isinstance(command, Iterable):
        raise TypeError(f"command must be a sequence of words, not {type(command).__name__}")
    words = [os.fsencode(word) for word in command]
    if not words or not words[0]:
        raise ValueError("command is empty: its first word is the program")
    for word in words:
        if b"\0" in word:
            raise ValueError(f"no word of a command can have a NUL in it, as {os.fsdecode(word)!r} has")
    return words


def _programs(name: bytes, environment: Mapping[bytes, bytes]) -> list[bytes]:
    """The paths at which to look for the program, in the order of execvp(3)."""
    if b"/" in name:
        return [name]
    path = environment.get(b"PATH", os.fsencode(os.defpath))
    return [directory + b"/" + name if directory else name for directory in path.split(b":")]


_END_MS = 5000
"""The longest wait for the end of a killed process. Signals are blocked meanwhile."""


def _pipe() -> tuple[IO[bytes], IO[bytes]]:
    """Two files that block, also where eventlet has patched os.fdopen: so must the other process find its end."""
    read, write = os.pipe()
    return io.open(read, "rb"), io.open(write, "wb")  # noqa: UP020 - it may have patched the built-in, too


def readable(*fds: int, timeout_ms: int | None = None) -> list[int]:
    """Wait for a descriptor that can be read, and give those that can; ``[]`` when the time is over first.

    eventlet's monkey-patching takes poll(2) away, and makes a wait of its own of select(2), for any descriptor.
    """
    if not hasattr(select, "poll"):
        return select.select(fds, (), (), None if timeout_ms is None else timeout_ms / 1000)[0]
    ready = select.poll()
    for fd in fds:
        ready.register(fd, select.POLLIN)
    return [fd for fd, _ in ready.poll(timeout_ms)]


class Child:
    """The command, from its start to its end, which is the end of the ``with``.

    One that was never released ends there without having run. Otherwise it is waited for; a KeyboardInterrupt is the
    command's own, too, from the terminal, and so it is waited for then as well, but killed at the next. Any other
    exception kills it.
    """

    def __init__(self, words: list[bytes], environment: Mapping[bytes, bytes], user: User | None = None) -> None:
        if Path("/proc/self/ns/pid").stat().st_ino != _INITIAL_PID_NS:
            raise RawtpError(
                "a command can be followed from the host's pid namespace only, and this process is in another "
                "(a container's: start it with --pid=host)"
            )
        if not sys.executable:
            raise RawtpError("a command is started by a Python interpreter, and sys.executable names none")
        self._words = words
        self._user = user
        self._message = marshal.dumps(
            (_programs(words[0], environment), words, dict(environment), user and tuple(user))
        )
        self.is_released = False
        try:
            with Blocked() as blocked:
                self._start(blocked)
        except BaseException:
            # The traceback would keep this object, and with it the child, alive.
            self._end()
            raise

    def _start(self, blocked: Blocked) -> None:
        # Files, not descriptor numbers: they are closed whatever fails from here on.
        told, self._tell = _pipe()
        self._failure, failed = _pipe()
        fds = told.fileno(), failed.fileno()
        arguments = map(str, (*fds, *map(int, blocked.before)))
        with told, failed:
            self._process = subprocess.Popen([sys.executable, "-I", "-S", "-B", "-c", _STUB, *arguments], pass_fds=fds)  # noqa: S603
        self.pid = self._process.pid
        try:
            self.pidfd = os.pidfd_open(self.pid)
        except OSError:
            self._process.kill()
            self._process.wait()
            raise

    def _end(self) -> None:
        """Leaves nothing behind, wherever it was interrupted; may be called again."""
        with Blocked():
            if not hasattr(self, "pidfd"):
                return
            with suppress(BrokenPipeError):
                self._tell.close()
            self._process.kill()
            readable(self.pidfd, timeout_ms=_END_MS)
            self._process.poll()
            self._failure.close()
            os.close(self.pidfd)
            del self.pidfd

    def __del__(self) -> None:
        """End a command whose ``with`` has not begun, or was interrupted while it ended."""
        # Python drops an exception that a signal's handler raises in __del__, so keep it short.
        if hasattr(self, "pidfd"):
            self._end()

    def release(self) -> None:
        """Let it run.

        Raises:
            OSError: it cannot be run, of the class that says why; ``filename`` is the program.
            RawtpError: it cannot run as this user.
        """
        self.is_released = True
        # A signal may have ended it already, which its exit code tells.
        with suppress(BrokenPipeError), self._tell:
            self._tell.write(self._message)
        if not (failure := self._failure.read()):
            return
        self._process.wait()
        step, number = failure.split()
        reason = os.strerror(int(number))
        if step == b"user" and self._user:
            raise RawtpError(f"cannot run the command as user {self._user.uid}: {reason}")
        raise OSError(int(number), reason, os.fsdecode(self._words[0]))

    def is_running(self) -> bool:
        """Tell whether it has not ended."""
        return self._process.poll() is None

    def wait(self) -> int:
        """Wait for its end. The exit code; 128 + n when signal n ended it, as shells have it."""
        code = self._process.wait()
        return 128 - code if code < 0 else code

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.pidfd, number)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with suppress(BrokenPipeError):
            self._tell.close()
        if not self.is_released or (kind is not None and not issubclass(kind, KeyboardInterrupt)):
            self._process.kill()
        try:
            self._process.wait()
        finally:
            self._end()
