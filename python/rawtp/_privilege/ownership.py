"""A check that only root can replace what is run as root."""

from __future__ import annotations

import os
import stat
from pathlib import Path


def replaceable(path: str) -> str | None:
    """The reason why users other than root can decide what is found at this path; ``None`` when they cannot.

    Looks at each directory from the root on, through symbolic links. Access control lists are not looked at.
    """
    real = Path(os.path.realpath(path))
    for directory in (*reversed(real.parents), real):
        try:
            found = os.lstat(directory)
        except OSError as error:
            return f"cannot look at {directory}: {error.strerror}"
        if reason := _weakness(found):
            return f"{directory} {reason}"
    return None


def _weakness(found: os.stat_result) -> str | None:
    if found.st_uid != 0:
        return f"belongs to user {found.st_uid}"
    if stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_ISVTX:
        return None  # only its owner can replace an entry, and the owner of the next one is looked at
    if found.st_mode & stat.S_IWOTH:
        return "can be written by everybody"
    if found.st_mode & stat.S_IWGRP and found.st_gid != 0:
        return f"can be written by group {found.st_gid}"
    return None
