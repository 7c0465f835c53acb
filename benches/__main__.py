"""``python -m benches``: as root, on a machine with nothing else to do."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import rawtp
from benches import hooks, report
from benches.arguments import arguments
from benches.build import ROOT, Programs
from benches.burst import bursts
from benches.calls import loss, matched, tax
from benches.counts import counted
from benches.filters import filtered
from benches.functions import functions
from benches.growth import Curve, curves
from benches.latency import latency
from benches.peers import Peer, peers
from benches.reader import dicts
from benches.record import record
from benches.scale import FULL, QUICK
from benches.ship import ship
from benches.speed import at_the_targets_speed, slowness
from benches.start import starts
from benches.text import texts
from benches.truth import truth
from benches.who import who
from benches.witness import WITNESS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benches.measure import Row
    from benches.scale import Scale

THEMES: dict[str, Callable[[Programs, Scale], Iterator[Row]]] = {
    "tax": tax,
    "loss": loss,
    "matched": matched,
    "counts": counted,
    "args": arguments,
    "filters": filtered,
    "burst": bursts,
    "dicts": dicts,
    "text": texts,
    "truth": truth,
    "latency": latency,
    "start": starts,
    "record": record,
    "ship": ship,
    "who": who,
}
GROWTH, PEERS = "growth", "peers"
FUNCTIONS = "functions"
"""It boots a virtual machine, which fetches a kernel: only when it is asked for, or when BENCHMARKS.md is written."""
NAMES = [*THEMES, FUNCTIONS, GROWTH, PEERS]


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 up")
    return int(text)


def _calls(text: str) -> int:
    # A case is timed in slices, and many processes share the calls of one.
    if (calls := _positive(text)) < 1_000:
        raise argparse.ArgumentTypeError(f"{calls} calls are too few to time: 1,000 or more")
    return calls


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(prog="python -m benches", description=__doc__, allow_abbrev=False)
    option = made.add_argument
    option("--quick", action="store_true", help="about a minute instead of about ten, and less to be trusted")
    option(
        "--only",
        action="append",
        choices=NAMES,
        metavar="NAME",
        help=f"of {', '.join(NAMES)}; without it, all but {FUNCTIONS}, which boots a virtual machine",
    )
    option("--force", action="store_true", help="measure although others hook system calls, too")
    option("--write", action="store_true", help="write BENCHMARKS.md and its plots")
    option("--rounds", type=_positive, help="how often each case runs")
    option("--events", type=_positive, help="in the directory that who is asked of: 100000000 needs 4 GB of disk")
    option("--calls", type=_calls, help="of a case in a round")
    option(
        "--output",
        type=Path,
        default=ROOT / "benches" / "results",
        metavar="DIRECTORY",
        help="for the JSON (default: %(default)s)",
    )
    return made


def machine(slower: float) -> dict[str, object]:
    """Where these figures are from. ``slower``: how many times the getppid of the targets' machine one takes here."""
    model = next(
        (line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")), ""
    )
    memory_kib = next(int(line.split()[1]) for line in _lines("/proc/meminfo") if line.startswith("MemTotal"))
    return {
        "command": f"make bench ARGS={shlex.quote(shlex.join(sys.argv[1:]))}" if sys.argv[1:] else "make bench",
        "date": time.strftime("%Y-%m-%d"),
        "rawtp": rawtp.__version__,
        "kernel": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cpu": f"{os.cpu_count()} × {model or platform.machine()}",
        "memory": f"{memory_kib / (1 << 20):.0f} GiB",
        "python": platform.python_version(),
        "jit": "on" if _text("/proc/sys/net/core/bpf_jit_enable") == "1" else "off",
        "spectre_v2": _text("/sys/devices/system/cpu/vulnerabilities/spectre_v2"),
        "retbleed": _text("/sys/devices/system/cpu/vulnerabilities/retbleed"),
        "undisturbed": str(WITNESS),
        "speed": f"a getppid takes {slower:.2f} times as long as where the targets were set",
    }


def _text(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return "unknown"


def _lines(path: str) -> list[str]:
    return _text(path).splitlines()


def scale_of(options: argparse.Namespace) -> Scale:
    """What was asked for."""
    scale = QUICK if options.quick else FULL
    if options.rounds:
        scale = scale._replace(rounds=options.rounds)
    if options.events:
        scale = scale._replace(who_events=options.events)
    if options.calls:
        scale = scale._replace(calls=options.calls)
    return scale


def names_of(options: argparse.Namespace) -> list[str]:
    """The themes that were asked for."""
    return options.only or [name for name in NAMES if name != FUNCTIONS or options.write]


def _progress(what: str) -> None:
    print(f"bench: {time.strftime('%H:%M:%S')} {what}", file=sys.stderr, flush=True)


class Measured(NamedTuple):
    """All that was asked for."""

    rows: list[Row]
    peers: list[Peer]
    growth: list[Curve]
    slower: float
    """How many times the getppid of the targets' machine one takes here."""


def measure(names: list[str], scale: Scale) -> Measured:
    """The themes by these names, in this order."""
    rows: list[Row] = []
    compared: list[Peer] = []
    grown: list[Curve] = []
    with tempfile.TemporaryDirectory() as directory:
        programs = Programs(Path(directory))
        slower = slowness(programs, scale.calls)
        for name in names:
            _progress(name)
            if name == GROWTH:
                grown = list(curves(programs, scale))
                rows += [curve.row() for curve in grown]
            elif name == PEERS:
                compared = peers(programs, scale)
            elif name == FUNCTIONS:
                rows += functions()
            else:
                rows += THEMES[name](programs, scale)
    return Measured([at_the_targets_speed(row, slower) for row in rows], compared, grown, slower)


def write(measured: Measured) -> None:
    """BENCHMARKS.md and its plots."""
    from benches.plot import draw_growth, draw_peers

    path = ROOT / "BENCHMARKS.md"
    findings = report.findings_of(path.read_text()) if path.exists() else ""
    plots = ROOT / "benches" / "peers.svg", ROOT / "benches" / "growth.svg"
    path.write_text(report.page(machine(measured.slower), measured.rows, measured.peers, findings))
    draw_peers(measured.peers, plots[0])
    draw_growth(measured.growth, plots[1])
    for written in (path, *plots):
        give_back(written)


def give_back(path: Path) -> None:
    """What root wrote into the tree, to the one who asked for it through sudo."""
    if "SUDO_UID" in os.environ:
        os.chown(path, int(os.environ["SUDO_UID"]), int(os.environ["SUDO_GID"]))


def main() -> None:
    """Measures and prints."""
    options = parser().parse_args()
    if options.write and options.only:
        raise SystemExit("--write needs all figures: leave out --only")
    if options.write:
        # That it is missing is better said now than in ten minutes.
        from benches import plot

        plot.library()
    if (found := hooks.others()) and not options.force:
        raise SystemExit(
            "\n".join(["others hook system calls here; stop them, or measure anyway with --force:", *found])
        )
    measured = measure(names_of(options), scale_of(options))
    options.output.mkdir(parents=True, exist_ok=True)
    path = options.output / f"{time.strftime('%Y-%m-%d-%H%M%S')}.json"
    whole = report.as_json(machine(measured.slower), measured.rows, measured.peers, measured.growth)
    path.write_text(json.dumps(whole, indent=1) + "\n")
    give_back(options.output)
    give_back(path)
    for table in report.tables(measured.rows, measured.peers):
        print(report.aligned(table), end="\n\n")
    print(f"speed: {machine(measured.slower)['speed']}")
    _progress(f"all of it in {path}")
    if options.write:
        write(measured)


if __name__ == "__main__":
    main()
