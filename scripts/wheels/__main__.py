"""``python -m scripts.wheels [TARGET ...]``: builds wheels, prints what is in them, refuses what should not be."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from scripts.wheels.again import again
from scripts.wheels.build import ROOT, build
from scripts.wheels.contents import contents
from scripts.wheels.targets import TARGETS, native, of


def main() -> int:
    options = parser().parse_args()
    try:
        targets = [of(name) for name in options.targets] or [native()]
    except ValueError as error:
        print(f"wheels: {error}", file=sys.stderr)
        return 2
    faults = []
    for target in targets:
        looked_into = contents(build(target, options.out), (ROOT, Path.home()))
        print(f"\n{looked_into}\n", flush=True)
        faults += [f"{looked_into.wheel.name}: {fault}" for fault in looked_into.faults(target)]
        if options.again:
            faults += again(target, looked_into.wheel)
    for fault in faults:
        print(f"wheels: {fault}", file=sys.stderr)
    return 1 if faults else 0


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m scripts.wheels", description=__doc__)
    names = ", ".join(target.name for target in TARGETS)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"{names} (default: this machine's)")
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="where to (default: dist)")
    parser.add_argument("--again", action="store_true", help="builds each again elsewhere and compares the bytes")
    return parser


if __name__ == "__main__":
    sys.exit(main())
