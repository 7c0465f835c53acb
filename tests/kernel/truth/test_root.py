"""``root=`` with hooks on the kernel's functions: the file that they show has the host's path."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from helpers import pods
from helpers.support import HANG_S

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.kernel

TRACE = """
import rawtp
tracer = rawtp.Tracer(rawtp.DELETE + rawtp.RENAME + rawtp.TRUNCATE, root="/host", **options)
"""
EVENTS = """
import time
found, deadline_s = [], time.monotonic() + patience_s
while end not in (paths := [event["path"] for event in found]):
    assert time.monotonic() < deadline_s, (paths, tracer.stats(), tracer.coverage)
    found += tracer.get_many(timeout=1)
keys = ("path", "real_path", "new_real_path", "real_path_by", "ino")
result = [{key: event[key] for key in keys} for event in found[: paths.index(end)] if event["ino"] is not None]
"""
MAKE = """
import os
from pathlib import Path
for path in paths:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text("content")
result = [os.stat(path).st_ino for path in paths]
"""
CHANGE = """
os.unlink(f"{at}/link/a")
os.rename(f"{at}/link/b", f"{at}/link/c")
os.truncate(f"{at}/link/c", 1)
"""


@pytest.mark.parametrize("sees_first", [True, False])
@pytest.mark.parametrize("path", [None, pods.DATA])
def test_what_the_kernel_shows(sees_first: bool, path: str | None, tmp_path: Path) -> None:
    """Through a symbolic link of the node's, to a file system that only the node has by that name; by node and pod."""
    end = f"{pods.DATA}/end"
    with pods.node_and_pod(tmp_path, sees_first=sees_first) as (node, pod):
        numbers = node(MAKE, paths=[f"{pods.DATA}/sub/{name}" for name in "ab"])
        node("os.symlink('sub', path)", path=f"{pods.DATA}/link")
        pod(TRACE, options={} if path is None else {"path": path})
        node(CHANGE, at=pods.DATA)
        more = node(MAKE, paths=[f"{pods.DATA}/sub/{name}" for name in "ab"])
        pod("import os\n" + CHANGE, at=f"/host{pods.DATA}")
        # Of the pod's own, the host has no path, and the filter wants none.
        pod(MAKE, paths=[f"{pods.OWN}/a"])
        pod("os.unlink(path)", path=f"{pods.OWN}/a")
        node(MAKE + "os.unlink(paths[0])\n", paths=[end])
        found: list[dict[str, Any]] = pod(EVENTS, end=end, patience_s=HANG_S)
    below = [event for event in found if (event["path"] or "").startswith((pods.DATA, f"/host{pods.DATA}"))]
    sub = f"{pods.DATA}/sub"
    expected = [(f"{sub}/a", None), (f"{sub}/b", f"{sub}/c"), (f"{sub}/c", None)] * 2
    assert [(event["real_path"], event["new_real_path"]) for event in below] == expected
    assert {event["real_path_by"] for event in below} == {"kernel"}
    assert [event["ino"] for event in below] == [numbers[0], numbers[1], numbers[1], more[0], more[1], more[1]]
    own = [event for event in found if event["path"] == f"{pods.OWN}/a"]
    assert [(event["real_path"], event["real_path_by"]) for event in own] == ([(None, None)] if path is None else [])
