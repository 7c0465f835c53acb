"""The README's Python runs, and does what the text around it says."""

from __future__ import annotations

import itertools
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import rawtp
from helpers.support import HANG_S, attached_programs, live_hooks, settle, wait_for

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


CALLED = re.compile(r"^(?:\$ )?(sudo )?\.venv/bin/rawtp(?= |$)(.*)$", re.MULTILINE)
SHELL = [
    line.partition(" #")[0].strip()
    for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
    if not line.startswith("make ")
]


def test_every_command_line_of_it_parses() -> None:
    from rawtp.cli.watch import add_parser, parse

    commands = [
        list(itertools.takewhile(lambda word: word not in ("|", "--"), shlex.split(command, comments=True)))
        for _, command in CALLED.findall(README)
    ]
    commands = [command for command in commands if not {"cost", "check", "broker"}.intersection(command)]
    assert len(commands) >= 10
    assert ["-d", "2m", "-O", "gone.jsonl"] in commands
    for command in commands:
        parse(add_parser(), command)


def test_it_calls_nothing_that_debian_has_not() -> None:
    """No program python, and no rawtp on the PATH that sudo sets."""
    shown = "\n".join(re.findall(r"```(?:sh|text)\n(.*?)```", README, re.DOTALL))
    assert re.findall(r"^(?:\$ |sudo |\$ sudo )(?:python|rawtp)(?: .*)?$", shown, re.MULTILINE) == []
    assert "python -m" not in README
    assert len(SHELL) >= 7
    assert [line for line in SHELL if not CALLED.match(line)] == []


def descendants(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [pid, *(below for child in children for below in descendants(int(child)))]


needs_sudo = pytest.mark.skipif(shutil.which("sudo") is None, reason="there is no sudo here")
# What is there for whoever runs a shell, but no program python, and no rawtp.
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"}


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A directory that has a ``.venv``, and in it the command as pip writes it."""
    script = tmp_path / ".venv" / "bin" / "rawtp"
    script.parent.mkdir(parents=True)
    # This interpreter need not be one that has the package by itself.
    package = Path(rawtp.__file__).parents[1]
    source = f"import sys\nsys.path.insert(0, {str(package)!r})\nfrom rawtp.cli import main\nsys.exit(main())\n"
    script.write_text(f"#!{sys.executable}\n{source}")
    script.chmod(0o755)
    return tmp_path


def ended(line: str, here: Path) -> tuple[int, str]:
    """Run it as it stands, and end it once it watches; the exit code, and what it said."""
    with subprocess.Popen(
        # A socket of this test's alone.
        ["sh", "-c", line.replace("/run/", f"{here}/")],
        cwd=here,
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as shell:

        def watching() -> list[int]:
            # The one that minds signals, and holds what is attached, or the broker's socket.
            minding = filter(minds_signals, descendants(shell.pid))
            return [pid for pid in minding if attached_programs(pid) or list(here.glob("*.sock"))]

        wait_for(lambda: watching() != [] or shell.poll() is not None, "it watches")
        subprocess.run(["rm", "-f", here / "gone"], check=True)
        # With a command the signal would be that one's, which ends by itself.
        for pid in [] if " -- " in line else watching():
            os.kill(pid, signal.SIGTERM)
        _, err = shell.communicate(timeout=HANG_S)
    assert "Traceback" not in err
    return shell.returncode, err


def said_by(line: str) -> str:
    """What is said at its end."""
    if " broker " in line:
        return "rawtp: broker: stopped\n"
    # The rest gives figures, on standard output; -q nothing, where nothing was deleted.
    # A line without a filter has all of the host's deletions, for a pipe that is read at the end: some can be lost.
    return "^$" if re.search(r"rawtp (?:cost|check)\b| -q ", line) else r"rawtp: \d+ events? delivered, \d+ lost\n"


@needs_sudo
@pytest.mark.parametrize("line", SHELL)
def test_its_command_lines_run_as_they_stand(line: str, here: Path) -> None:
    """By sudo, whose PATH is its own."""
    code, err = ended(line, here)
    assert code == 0, err
    assert re.search(said_by(line), err) or "by process:" in err, err
    if "-O" in line:
        assert (here / "gone.jsonl").read_text().startswith('{"type":"session"')


@needs_sudo
@pytest.mark.parametrize("command", ["", "check", "cost", "broker"])
def test_the_examples_of_the_help_run_as_they_stand(command: str, here: Path) -> None:
    (here / "Makefile").write_text("clean:\n\trm -f gone\n")
    helped = subprocess.run(
        ["sudo", ".venv/bin/rawtp", "help", command],
        cwd=here,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=True,
    )
    examples = helped.stdout.partition("examples:\n")[2]
    lines = re.findall(r"^  ((?:sudo )?\.venv/bin/rawtp.*)$", examples, re.MULTILINE)
    assert len(lines) == {"": 10, "check": 2, "cost": 3, "broker": 2}[command]
    for line in lines:
        if " -- make " in line and shutil.which("make") is None:
            continue
        code, err = ended(line, here)
        # grep's code, where nothing was seen.
        assert code == ("grep" in line), (line, err)
        assert re.search(said_by(line), err), (line, err)


def minds_signals(pid: int) -> bool:
    """Whether it has a handler for SIGTERM, which has a shell or sudo before it."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    caught = re.search(r"^Name:\trawtp$.*^SigCgt:\t(\w+)$", status, re.MULTILINE | re.DOTALL)
    return caught is not None and bool(int(caught[1], 16) & 1 << (signal.SIGTERM - 1))
