"""A cgroup that is named as that of a pod's container."""

from __future__ import annotations

import subprocess
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

POD = "12345678-1234-1234-1234-123456789012"


@contextmanager
def of_container() -> Iterator[Path]:
    """A cgroup as containerd names that of a pod's container. What can be made nowhere is skipped."""
    mounts = [line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    # Only the hierarchy of version 2 takes new ones without more.
    unified = [Path(fields[4]) for fields in mounts if fields[fields.index("-") + 1] == "cgroup2"]
    if not unified:
        pytest.skip("no cgroup v2 is mounted here")
    slice_ = f"kubepods-besteffort-pod{POD.replace('-', '_')}.slice"
    made = unified[0] / slice_ / f"cri-containerd-{uuid.uuid4().hex * 2}.scope"
    try:
        made.mkdir(parents=True)
    except OSError as error:
        pytest.skip(f"no cgroup can be made here: {error}")
    yield made
    if made.exists():
        made.rmdir()
    made.parent.rmdir()


def container_id(group: Path) -> str:
    """The id of the container."""
    return group.name.removeprefix("cri-containerd-").removesuffix(".scope")


def unlink_in(group: Path, name: str) -> None:
    """Removes a name from within the cgroup, if it is there."""
    script = 'echo $$ > "$0/cgroup.procs" && exec unlink "$1"'
    subprocess.run(["sh", "-c", script, group, name], stderr=subprocess.DEVNULL, timeout=60, check=False)
