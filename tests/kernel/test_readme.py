"""The README's Python runs, and does what the text around it says."""

from __future__ import annotations

import itertools
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import rawtp
from support import HANG_S, attached_programs, live_hooks, settle, wait_for

pytestmark = pytest.mark.kernel

README = (Path(__file__).parents[2] / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_the_endless_example() -> None:
    command = [sys.executable, "-u", "-c", BLOCKS[0]]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        name = f"/nonexistent/rawtp-readme-{process.pid}"
        with rawtp.Tracer() as tracer:
            hooks = live_hooks(tracer)
        wait_for(lambda: attached_programs(process.pid) == hooks, "the example watches")
        subprocess.run(["rm", "-f", name], check=True)
        # The host has other deletions, too.
        line = next(line for line in process.stdout if name in line)
        assert re.fullmatch(rf"\d+ rm {name} ENOENT\n", line)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=HANG_S)
    assert err.endswith("KeyboardInterrupt\n")


def test_the_example_that_reads_afterwards() -> None:
    done = subprocess.run([sys.executable, "-c", BLOCKS[1]], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert len(BLOCKS) == 4


def test_the_example_of_a_batch() -> None:
    """All of it, every time."""
    source = BLOCKS[2] + "print(type(batch).__name__, len(batch), len({row['path'] for row in batch.to_dicts()}))"
    for _ in range(20):
        done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, "Batch 1000 1000\n", "")


@pytest.mark.parametrize("library", ["polars", "pandas", "pyarrow", "duckdb"])
def test_the_line_of_each_library(library: str, own: rawtp.Tracer) -> None:
    """It takes what ``batch`` gives and what ``to_arrow`` does."""
    module = pytest.importorskip(library)
    found = re.search(rf"^\| {library}[^|]* \| `([^`]+)` \|$", README, re.MULTILINE)
    assert found
    for gathers in (False, True):
        for number in range(3):
            Path(f"/nonexistent/{number}").unlink(missing_ok=True)
        settle(own, 3)
        batch = own.to_arrow(duration=0.2) if gathers else own.batch()
        shown: Any = eval(found[1], {library: module, "batch": batch})  # noqa: S307 - the README's own
        assert shown.fetchall() == [("ENOENT", 3)] if library == "duckdb" else len(shown) == 3


def test_the_example_of_asyncio() -> None:
    done = subprocess.run([sys.executable, "-c", BLOCKS[3]], capture_output=True, text=True, check=False)
    comm = Path(sys.executable).name[:15]
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{comm} /tmp/not-there\n", "")


def test_the_keys_are_all_named() -> None:
    text = README[README.index("An event is a `dict`") : README.index("`None` means")]
    named = [key for key in re.findall(r"`(\w+)`", text) if key not in {"dict", "TypedDict"}]
    assert named == list(rawtp.Event.__annotations__)


def test_every_command_line_of_it_parses() -> None:
    from rawtp.options import parser

    commands = [
        list(itertools.takewhile(lambda word: word not in ("|", "--"), shlex.split(command, comments=True)))
        for command in re.findall(r"^(?:\$ )?sudo \S*python -m rawtp( .*)?$", README, re.MULTILINE)
    ]
    commands = [command for command in commands if not {"cost", "check", "broker"}.intersection(command)]
    assert len(commands) >= 10
    assert ["-d", "60", "-O", "gone.jsonl"] in commands
    for command in commands:
        parser().parse_args(command)
