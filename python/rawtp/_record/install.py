"""Installs the unit, as root."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

from rawtp._privilege.ownership import replaceable
from rawtp._record.unit import GROUP, NAME

if TYPE_CHECKING:
    from collections.abc import Iterator

UNITS = "/etc/systemd/system"
_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
_TIMEOUT_S = 90.0


def install(text: str, directory: str) -> Iterator[str]:
    """Make the group, write the unit, enable and start it; yield a line for each step.

    A unit of that name that says something else is left as it is.

    Raises:
        OSError: a step failed; those before it stand.
    """
    if os.geteuid():
        raise PermissionError(errno.EPERM, "only root can install a unit: run it with sudo")
    # sd_booted(3) looks for the same.
    if not os.path.isdir("/run/systemd/system"):  # noqa: PTH112
        raise OSError(errno.ENOSYS, "systemd does not run here: --install without --now prints the unit")
    for path in (sys.executable, __file__):
        if why := replaceable(path):
            yield f"others than root can replace what the unit runs as root: {why}"
    if not _has_group():
        yield f"making the group {GROUP}"
        _run("groupadd", "--system", GROUP)
    if not os.path.isdir(directory) and directory.count("/") > 1:  # noqa: PTH112
        # ReadWritePaths= must exist; StateDirectory= makes the default one by itself.
        os.makedirs(directory, mode=0o750, exist_ok=True)  # noqa: PTH103
    path = os.path.join(UNITS, NAME)  # noqa: PTH118
    yield f"writing {path}"
    _write(path, text)
    _run("systemctl", "daemon-reload")
    _run("systemctl", "enable", "--now", NAME)
    yield f"{NAME} is enabled, and runs"


def _has_group() -> bool:
    from grp import getgrnam

    try:
        getgrnam(GROUP)
    except KeyError:
        return False
    return True


def _write(path: str, text: str) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        fd = os.open(path, flags, 0o644)
    except FileExistsError:
        with open(path, encoding="utf-8", errors="replace") as file:  # noqa: PTH123
            if file.read() == text:
                return
        raise FileExistsError(
            errno.EEXIST, "there is one already, which says something else: remove it, or change it by hand", path
        ) from None
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        file.write(text)


def _run(*command: str) -> None:
    program = shutil.which(command[0], path=_PATH)
    if program is None:
        raise FileNotFoundError(errno.ENOENT, "there is no such program", command[0])
    done = subprocess.run(  # noqa: S603 - the arguments are ours
        [program, *command[1:]],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=_TIMEOUT_S,
        check=False,
    )
    if done.returncode:
        said = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
        raise OSError(errno.EIO, f"failed: {said}", " ".join(command))
