"""``sudo=True`` on a terminal: sudo asks there, and for nothing when it need not."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from helpers.support import HANG_S
from helpers.unprivileged import PRELUDE, as_user, python

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.skipif(shutil.which("sudo") is None, reason="there is no sudo here"),
]

# crypt(3) of "rawtp".
SHADOW = (
    "nobody:$6$rawtp$pjbL2cfZPMhQknZRNQOUphHox33rVBoaKN8u8mrLln09pDFDWMNte1NVa8odohnxM6VmexnvP3UIcs1vHeLLC0"
    ":20228:0:99999:7:::\n"
)
# The terminal that it is started on becomes its own.
ON_TERMINAL = """
import fcntl, os, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execvp(sys.argv[1], sys.argv[1:])
"""


def conversation(package: Path, place: Path, *words: bytes) -> str:
    """Tries, as nobody on a terminal, and types each of the words at a prompt; all that was shown."""
    for name, content in (("sudoers", "nobody ALL=(root) ALL\n"), ("shadow", SHADOW)):
        (place / name).write_text(content)
        (place / name).chmod(0o440)
    Path("/etc/shadow").touch()  # a machine of the tests' own has none
    mounts = f'mount --bind "{place}/sudoers" /etc/sudoers && mount --bind "{place}/shadow" /etc/shadow && exec "$@"'
    near, far = pty.openpty()
    private = ["unshare", "-m", "sh", "-c", mounts, "sh", *as_user(no_new_privs=False)]
    process = subprocess.Popen(
        [python(), "-c", ON_TERMINAL, *private, python(), "-c", PRELUDE + "tell(attempt(sudo=True))"],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(package), "PYTHONDONTWRITEBYTECODE": "1"},
        stdin=far,
        stdout=far,
        stderr=far,
        cwd="/",
    )
    os.close(far)
    shown, waiting = "", [*words]
    deadline = time.monotonic() + HANG_S
    try:
        while time.monotonic() < deadline:
            if not select.select([near], [], [], 0.1)[0]:
                continue
            try:
                shown += os.read(near, 4096).decode(errors="replace")
            except OSError:  # its last process has closed it
                return shown.replace("\r\n", "\n")
            if waiting and shown.count("password for nobody:") > len(words) - len(waiting):
                os.write(near, waiting.pop(0))
        raise AssertionError(f"no end within {HANG_S} s: {shown}")
    finally:
        os.close(near)
        process.kill()
        process.wait()


def test_the_right_password(package: Path, place: Path) -> None:
    shown = conversation(package, place, b"rawtp\n")
    assert "password for nobody:" in shown
    assert shown.splitlines()[-1] == "null"


@pytest.mark.slow
def test_wrong_ones(package: Path, place: Path) -> None:
    shown = conversation(package, place, b"wrong\n", b"wrong\n", b"wrong\n")
    last = shown.splitlines()[-1]
    assert '"PermissionError", "sudo does not run the helper: exit code 1; ' in last
    assert "3 incorrect password attempts" in last


@pytest.mark.slow
def test_ctrl_c_at_the_prompt(package: Path, place: Path) -> None:
    shown = conversation(package, place, b"\x03")
    assert '["KeyboardInterrupt", ""]' in shown
