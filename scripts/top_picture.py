"""``python -m scripts.top_picture``: draws ``docs/images/top.svg``, ``rawtp top`` at 24 lines of 100 columns.

What it shows is made up, and the same every time. A test compares the texts, so that the picture is not out of date.
"""

from __future__ import annotations

import asyncio
import re
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rawtp._top.app import TopApp
from rawtp._top.model import FIELDS, Model

if TYPE_CHECKING:
    from collections.abc import Mapping

PICTURE = Path(__file__).parents[1] / "docs" / "images" / "top.svg"
SIZE = (100, 24)
_BEGIN_S, _NOW_S = 1000.0, 1042.5
_KIB, _MIB = 1 << 10, 1 << 20

# pid, uid, comm, arguments; where; how many, each of which size, when (in seconds before now), and with which error.
_DONE: tuple[tuple[int, int, str, str, str, int, int | None, float, str | None], ...] = (
    (26661, 0, "rm", "rm -rf /srv/data/old", "/srv/data/old/2025", 2210, 96 * _KIB, 2.0, None),
    (26661, 0, "rm", "rm -rf /srv/data/old", "/srv/data/old/2024", 1840, 64 * _KIB, 8.0, None),
    (1204, 33, "nginx", "nginx: worker process", "/var/cache/nginx/7/3c", 64, 16 * _KIB, 1.0, None),
    (1204, 33, "nginx", "nginx: worker process", "/var/cache/nginx/a/01", 391, 16 * _KIB, 20.0, None),
    (30112, 1000, "node", "node /usr/bin/npm ci", "/home/me/shop/node_modules", 912, None, 3.0, None),
    (30140, 1000, "git", "git gc", "/home/me/shop/.git/objects", 137, 3 * _KIB, 12.0, None),
    (811, 0, "logrotate", "logrotate /etc/logrotate.conf", "/var/log", 9, 2 * _MIB, 30.0, None),
    (977, 998, "postgres", "postgres: checkpointer", "/var/lib/postgresql/16/pg_wal", 4, 16 * _MIB, 4.0, None),
    (30302, 65534, "unlink", "unlink /etc/passwd", "/etc", 3, None, 5.0, "EACCES"),
    (30355, 1000, "rm", "rm evil\x1b[31m [red]x[/]", "/home/me/\u202egpj", 2, 0, 25.0, None),
    (1, 0, "systemd", "/sbin/init", "/run/systemd/units", 21, 0, 9.0, None),
)
_RETURNS = {"EACCES": -13}


class Counted:
    """Counts that were made up, as of one moment."""

    def __init__(self) -> None:
        self.model = Model(_BEGIN_S)
        self.lock = threading.Lock()
        self.has_ended = False
        for done in sorted(_DONE, key=lambda one: -one[7]):
            self.model.add(_events(*done), _NOW_S - done[7])

    def clock(self) -> float:
        """The moment."""
        return _NOW_S

    def counts(self) -> Mapping[str, int | None]:
        """A ledger without losses."""
        none = dict.fromkeys(("lost_ring", "lost_state", "lost_exits", "missed", "unfollowed", "buffered"), 0)
        return {**none, "delivered": self.model.total.events}


def _events(
    pid: int,
    uid: int,
    comm: str,
    command: str,
    directory: str,
    count: int,
    size: int | None,
    _: float,
    errno: str | None,
) -> list[dict[str, Any]]:
    made = []
    for number in range(count):
        path = f"{directory}/{number}"
        values: dict[str, Any] = {
            "ts_ns": 1_795_745_647_000_000_000 + number,
            "pid": pid,
            "uid": uid,
            "comm": comm,
            "argv": tuple(command.split(" ")),
            "start_ns": pid,
            "syscall": "unlinkat",
            "action": "delete",
            "filename": path,
            "path": path,
            "path_kind": "absolute",
            "real_path": path,
            "nlink": None if size is None else 1,
            "size": size,
            "name_status": "ok",
            "ret": _RETURNS.get(errno or "", 0),
            "errno": errno,
        }
        made.append({**dict.fromkeys(FIELDS), **values})
    return made


async def _drawn(*keys: str) -> str:
    counted = Counted()
    app = TopApp(counted, lambda *_: (None, True), clock=counted.clock)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press(*keys)
        await pilot.pause()
        return app.export_screenshot(title="sudo rawtp top", simplify=True)


def svg(*keys: str) -> str:
    """The picture of the screen after these keys. It fetches no font."""
    drawn = asyncio.run(_drawn(*keys))
    own = re.sub(r"\s*@font-face \{.*?\}", "", drawn, flags=re.DOTALL)
    return own.replace("<svg ", '<svg xml:space="preserve" ', 1)


def main() -> None:
    """Write it."""
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(svg() + "\n")


if __name__ == "__main__":
    main()
