"""Programs that run as nobody, without capabilities, and what they need around them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rawtp
from helpers.support import HANG_S

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

NOBODY = 65534

PRELUDE = """
import gc, json, os, sys, time, warnings
import rawtp

# Python from 3.12 on warns of it where there are threads, and a tracer has one.
warnings.filterwarnings("ignore", ".* use of fork", DeprecationWarning)

def fds():
    listed = os.listdir("/proc/self/fd")
    return sorted(os.readlink(f"/proc/self/fd/{fd}") for fd in listed if os.path.exists(f"/proc/self/fd/{fd}"))

def links():
    found = 0
    for fd in os.listdir("/proc/self/fdinfo"):
        try:
            with open(f"/proc/self/fdinfo/{fd}") as info:
                found += "link_type" in info.read()
        except FileNotFoundError:  # the listing's own
            pass
    return found

def delete(name):
    try:
        os.unlink(name)
    except OSError:
        pass

def attempt(**options):
    try:
        rawtp.Tracer(**options).close()
    except BaseException as error:
        return [type(error).__name__, str(error)]
    return None

def adds_up(stats):
    there = stats.filtered + stats.lost_ring + stats.lost_state + stats.pending + stats.buffered
    return stats.matched == there + stats.delivered + stats.discarded

def tell(value):
    print(json.dumps(value), flush=True)
"""

_WATCH = """
before = fds()
tracer = rawtp.Tracer(HOW pid=os.getpid(), ring_bytes=1 << 20)
for number in range(1000):
    delete(f"/nonexistent/{number}")
events = []
while len(events) < 1000:
    events += tracer.get_many(timeout=30)
live = tracer.stats()
held = links()
delete("/nonexistent/last")
tracer.close()
delete("/nonexistent/after")
rest = list(tracer)
final = tracer.stats()
coverage = tracer.coverage
del tracer
gc.collect()
tell({
    "names": [event["filename"] for event in events] == [f"/nonexistent/{number}" for number in range(1000)],
    "results": {event["errno"] for event in events} == {"ENOENT"},
    "own": {(event["pid"], event["uid"]) for event in events} == {(os.getpid(), os.getuid())},
    "rest": [event["filename"] for event in rest],
    "live": [live.matched - live.filtered, live.delivered, adds_up(live)],
    "final": [final.matched - final.filtered, final.delivered, final.discarded, final.unpaired, adds_up(final)],
    "missed": [live.missed, final.missed],
    "coverage": {name: part["hook"] for name, part in coverage.items()},
    "reason": coverage["syscalls"]["reason"],
    "links": held,
    "leaked": fds() != before,
})
"""


def watch(how: str) -> str:
    """A program that deletes, reads that, and tells what it saw, with a tracer that it has in this way."""
    return _WATCH.replace("HOW ", how)


def python() -> str:
    """An interpreter that every user may run: the tests' own may lie where others cannot go."""
    return "/usr/bin/python3" if Path("/usr/bin/python3").exists() else sys.executable


@contextmanager
def for_everybody() -> Iterator[Path]:
    """A directory that every user may go to. Not pytest's, which the next session of it closes to others."""
    with tempfile.TemporaryDirectory(prefix="rawtp-test-") as made:
        Path(made).chmod(0o755)
        yield Path(made)


@contextmanager
def copy_of_package() -> Iterator[Path]:
    """A copy of rawtp that every user may read: a directory for ``PYTHONPATH``."""
    with for_everybody() as top:
        shutil.copytree(Path(rawtp.__file__).parent, top / "rawtp", ignore=shutil.ignore_patterns("__pycache__"))
        yield top


def as_user(uid: int = NOBODY, *, no_new_privs: bool = True) -> list[str]:
    """What runs a command as this user, with no capability and, as a rule, no way to any."""
    user = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--inh-caps=-all"]
    return [*user, "--bounding-set=-all", "--no-new-privs"] if no_new_privs else user


def start(
    package: Path,
    program: str,
    *prefix: str,
    arguments: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> subprocess.Popen[str]:
    """Starts the program behind :data:`PRELUDE`, under ``prefix``."""
    return subprocess.Popen(
        [*prefix, python(), "-X", "dev", "-c", PRELUDE + program, *arguments],
        env={
            **{name: value for name, value in os.environ.items() if not name.startswith("PYTHON")},
            "PYTHONPATH": str(package),
            "PYTHONDONTWRITEBYTECODE": "1",
            **(environment or {}),
        },
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd="/",
    )


def told(package: Path, program: str, *prefix: str, **options: Any) -> Any:
    """What the program tells, in its one line; it must end well and say nothing else."""
    with start(package, program, *prefix, **options) as process:
        out, error = process.communicate(timeout=HANG_S)
    assert (process.returncode, error) == (0, ""), error
    return json.loads(out)


def processes_with(text: str) -> list[Path]:
    """The processes that have this text in their command lines."""

    def has(process: Path) -> bool:
        try:
            return text.encode() in (process / "cmdline").read_bytes().replace(b"\0", b" ")
        except OSError:
            return False

    return [process for process in Path("/proc").glob("[0-9]*") if has(process)]


def names_with(text: str) -> list[str]:
    """The names of the same."""
    names = []
    for process in processes_with(text):
        with suppress(OSError):
            names.append((process / "comm").read_text().rstrip("\n"))
    return names
