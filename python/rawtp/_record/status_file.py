"""The recorder's own account, in a file that other processes read: the heartbeat, and what it does right now.

The file has one size, and is overwritten in its place: so a full disk does not hide how the recorder is doing.
"""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

NAME = "status.json"
_SIZE = 8192
_TRIES = 5


class StatusFile:
    """The file in a recorder's directory. Where it cannot be made, no account is kept.

    Args:
        directory: an open descriptor of the directory, which it takes over. Not a name: whatever takes the place of the
            directory, at any moment, the account stays where the recorder is.
    """

    def __init__(self, directory: int) -> None:
        self._fd: int | None = None
        self._directory: int | None = directory

    def write(self, account: Mapping[str, Any]) -> None:
        """Write the account. What fails is not told: the journal and the log have all that matters."""
        text = json.dumps(account, separators=(",", ":")).encode("ascii")
        if len(text) >= _SIZE or self._directory is None:
            return
        try:
            if self._fd is None:
                flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
                self._fd = os.open(NAME, flags, 0o640, dir_fd=self._directory)
            # One write(2): a reader takes the old or the new one, or finds that it is neither.
            os.pwrite(self._fd, text.ljust(_SIZE - 1) + b"\n", 0)
        except OSError:
            self._close_file()

    def close(self) -> None:
        """Close it. The last account stays."""
        self._close_file()
        if self._directory is not None:
            os.close(self._directory)
            self._directory = None

    def _close_file(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def read(directory: str) -> dict[str, Any] | None:
    """The last account; None where there is none, or it cannot be read."""
    for _ in range(_TRIES):
        try:
            with open(os.path.join(directory, NAME), "rb") as file:  # noqa: PTH118, PTH123
                account = json.loads(file.read(_SIZE))
        except OSError:
            return None
        except ValueError:  # half written
            time.sleep(0.01)
            continue
        return account if isinstance(account, dict) else None
    return None
