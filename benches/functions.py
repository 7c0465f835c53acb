"""What the hooks on the kernel's functions cost: ratios out of a virtual machine.

The machines that these figures are for, such as those of CI, may have a kernel without such hooks. A kernel of Debian's
has them, and an emulated machine runs it anywhere. It has no nanoseconds to compare.
"""

from __future__ import annotations

import json
import os
import platform
import pwd
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from typing import TYPE_CHECKING, Any, NamedTuple

from benches.build import ROOT
from benches.measure import Row, ratios

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

THEME = "functions"
BARE = "nothing attached"
UNIT = "× bare"
WHERE = "in a virtual machine: ratios only"

MACHINES = {"x86_64": ("newest", "qemu-system-x86_64"), "aarch64": ("newest-arm64", "qemu-system-aarch64")}
"""The machine with the newest kernel of this architecture, and the program that emulates it."""

REACHED = "unlinkat of a file"
FILE = "basic fields, `ino`, `size`"
VFS, ALL_VFS = 'basic fields, `hook="vfs"`', 'all fields, `hook="vfs"`'
SHOWN = {
    "basic": ("basic fields", REACHED),
    "file": (FILE, REACHED),
    "freed": (f"{FILE}, `freed`", REACHED),
    "all": ("all fields", REACHED),
    "vfs": (VFS, REACHED),
    "vfs_getppid": (VFS, "getppid"),
    "vfs_openat": (VFS, "openat"),
    "vfs_all": (ALL_VFS, REACHED),
    "vfs_all_getppid": (ALL_VFS, "getppid"),
    "vfs_all_openat": (ALL_VFS, "openat"),
}
"""By the key of a row: a tracer and a call of tests/vm/test_costs.py. Other themes have the other calls."""


class Costs(NamedTuple):
    """What the machine measured."""

    release: str
    """Of its kernel."""
    times: Mapping[tuple[str, str], tuple[float, ...]]
    """By tracer and call: nanoseconds, one figure a round."""


def functions() -> Iterator[Row]:
    """The rows, or one that says why there are none."""
    name, qemu = MACHINES[platform.machine()]
    if shutil.which(qemu) is None:
        return iter([absent(f"there is no {qemu}")])
    done = subprocess.run(
        [sys.executable, "-m", "scripts.vm", name, "--arguments", "tests/vm/test_costs.py"],
        cwd=ROOT,
        stdout=sys.stderr,
        check=False,
        **_as_caller(),
    )
    if done.returncode:
        return iter([absent("the machine failed; what it said is above")])
    return rows(costs(ROOT / "target" / "vm" / f"{name}.xml"))


def absent(reason: str) -> Row:
    """The row of what was not measured."""
    return Row(THEME, THEME, "hooks on the kernel's functions", UNIT, note=f"{reason}; {WHERE}")


def costs(junit: Path) -> Costs:
    """Reads what the test recorded."""
    recorded = ElementTree.parse(junit).getroot().find(".//property[@name='costs']")  # noqa: S314 # from our own machine
    if recorded is None:
        raise ValueError(f"{junit} has no costs")
    release, times = json.loads(recorded.get("value", ""))
    return Costs(release, {(tracer, call): tuple(ns) for tracer, call, ns in times})


def rows(found: Costs) -> Iterator[Row]:
    """One for each of :data:`SHOWN`, as ratios to the same call with nothing attached."""
    for key, (tracer, call) in SHOWN.items():
        values = ratios(found.times[tracer, call], found.times[BARE, call])
        name = f"{call}, {tracer.replace('`', '')}"
        yield Row(f"{THEME}_{key}", THEME, name, UNIT, values, note=f"{WHERE}, Linux {found.release}")


def _as_caller() -> dict[str, Any]:
    """How to run a program as the one who used sudo: the machine needs no root, and its files are the caller's."""
    if "SUDO_UID" not in os.environ:
        return {}
    user, group = int(os.environ["SUDO_UID"]), int(os.environ["SUDO_GID"])
    home = {"HOME": pwd.getpwuid(user).pw_dir}
    return {"user": user, "group": group, "extra_groups": [], "env": {**os.environ, **home}}
