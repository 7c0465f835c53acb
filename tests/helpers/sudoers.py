"""Real sudo, with rules of a test's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from helpers.unprivileged import NOBODY, as_user

if TYPE_CHECKING:
    from pathlib import Path

PERMITTED = "nobody ALL=(root) NOPASSWD: ALL\n"


def sudoer(directory: Path, rules: str, *, uid: int = NOBODY, also: str = "true") -> list[str]:
    """What runs a command as nobody, in a mount namespace where sudo has these rules."""
    sudoers = directory / "sudoers"
    sudoers.write_text(rules)
    sudoers.chmod(0o440)
    mounted = f'mount --bind "{sudoers}" /etc/sudoers && {also} && exec "$@"'
    # A session of its own has no terminal to ask on.
    return ["setsid", "--wait", "unshare", "-m", "sh", "-c", mounted, "sh", *as_user(uid, no_new_privs=False)]
