"""``python -m scripts.fresh [WAY ...]``: the README's ways to a first event, on Debians just made. Needs root."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.fresh import old_python
from scripts.fresh.machine import machine
from scripts.wheels.build import ROOT, built
from scripts.wheels.targets import native

if TYPE_CHECKING:
    from scripts.fresh.machine import Machine

WATCH = Path(__file__).with_name("watch.py")
# What the README asks for, with git for the clone and make for the rest; the toolchain of Rust comes from this machine.
TO_BUILD = ("gcc", "git", "make", "python3")
TO_RUN = ("python3", "python3-venv")
TO_COMPILE = ("clang", "gcc", "libelf-dev", "make", "pkg-config", "zlib1g-dev")
RELEASES = {"bullseye": old_python.PACKAGES, "bookworm": TO_RUN, "trixie": TO_RUN}


def main() -> int:
    ways = {"wheel": of_wheel, "sdist": of_sdist, "clone": of_clone}
    parser = argparse.ArgumentParser(prog="python -m scripts.fresh", description=__doc__)
    parser.add_argument("ways", nargs="*", metavar="WAY", help=f"{', '.join(ways)} (default: all of them)")
    asked = parser.parse_args().ways or list(ways)
    if unknown := [way for way in asked if way not in ways]:
        parser.error(f"no way {', '.join(unknown)}; there are {', '.join(ways)}")
    cache = Path(os.environ.get("RAWTP_CACHE") or Path.home() / ".cache" / "rawtp") / "fresh"
    cache.mkdir(parents=True, exist_ok=True)
    for way in asked:
        try:
            ways[way](cache)
        except subprocess.CalledProcessError as error:
            print(f"test-fresh: {way} failed: exit {error.returncode}", file=sys.stderr)
            return 1
    print(f"\ntest-fresh: {', '.join(asked)}: passed")
    return 0


def of_clone(cache: Path) -> None:
    """Clone, ``make run`` until an event is shown, ``make test`` with no kernel test left out."""
    with machine(cache, "trixie", TO_BUILD) as fresh:
        say("trixie: git clone; make run; make test")
        # What is committed: as whoever clones it gets it.
        subprocess.run(["git", "clone", "--quiet", ROOT, fresh.written / "root" / "rawtp"], check=True)
        give(fresh)
        watched = "cd /root/rawtp && python3 /opt/watch.py make run"
        fresh.run("sh", "-c", f"{watched} && exec make test", extra={"RAWTP_REQUIRE_KERNEL": "1"})


def of_wheel(cache: Path) -> None:
    """The wheel that make has built, on each release, with nothing but Python there."""
    [wheel] = built(native(), ROOT / "dist")
    for release, packages in RELEASES.items():
        with machine(cache, release, packages) as fresh:
            say(f"{release}: pip install {wheel.name}; rawtp")
            if release == "bullseye":
                old_python.install(cache, fresh)
            give(fresh, wheel)
            install(fresh, f"--no-index /opt/{wheel.name}")


def of_sdist(cache: Path) -> None:
    """What make has packed, with the packages that the README names."""
    [sdist] = (ROOT / "dist").glob("rawtp-*.tar.gz")
    with machine(cache, "bookworm", (*TO_RUN, *TO_COMPILE)) as fresh:
        say(f"bookworm: pip install {sdist.name}; rawtp")
        give(fresh, sdist)
        install(fresh, f"/opt/{sdist.name}")


def install(fresh: Machine, what: str) -> None:
    pip = f"python3 -m venv venv && venv/bin/pip --disable-pip-version-check install --quiet {what}"
    told = "ldd --version | head -1; python3 --version"
    fresh.run("sh", "-ec", f"cd /opt; {told}; {pip}; exec python3 watch.py venv/bin/rawtp")


def give(fresh: Machine, *files: Path) -> None:
    (fresh.written / "opt").mkdir(exist_ok=True)
    for file in (WATCH, *files):
        shutil.copy(file, fresh.written / "opt")


def say(text: str) -> None:
    print(f"\n== {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
