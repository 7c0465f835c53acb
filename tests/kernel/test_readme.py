"""The examples of README.md and of the pages in docs/ run, and do what the text around them says."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import rawtp
from helpers.pages import PAGES, PYTHON, SHELL, called, section
from helpers.recorders import recording
from helpers.support import HANG_S, attached_programs, live_hooks, settle, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from helpers.pages import Block

pytestmark = pytest.mark.kernel

DATAFRAMES = "docs/how-to/dataframes.md"
ENDLESS = [
    block for block in PYTHON if re.search(r"^with rawtp\.Tracer\(.*\n    for event in tracer:", block.source, re.M)
]
ENDING = [block for block in PYTHON if block not in ENDLESS]


def remove_missing(target: Path) -> None:
    subprocess.run(["rm", "-f", target], check=True)


def remove(target: Path) -> None:
    target.touch()
    subprocess.run(["rm", target], check=True)


def empty(target: Path) -> None:
    target.write_text("content")
    subprocess.run(["sh", "-c", f": > {target}"], check=True)


# The path that an example watches, what is done there, and the line that it prints of that.
WATCHED: dict[str | None, tuple[str, Callable[[Path], None], str]] = {
    None: ("/nonexistent/{}", remove_missing, r"\d+ rm {} ENOENT\n"),
    "docs/how-to/file-vanished.md": ("/srv/data/{}", remove, r"rm \('rm', '{}'\) {} None\n"),
    "docs/how-to/emptied-log.md": ("/var/log/app.log", empty, r"sh truncate {} \['O_WRONLY', .*'O_TRUNC'.*\]\n"),
    "docs/how-to/alerts.md": ("/srv/data/{}", remove, r"deleted: {} by rm uid 0\n"),
}


def told(block: Block, source: str, command: Callable[[Path], None], target: Path) -> str:
    """The first line that an endless example prints of that file. It is ended then, as by Ctrl-C."""
    with subprocess.Popen(
        [sys.executable, "-u", "-c", source], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        with rawtp.Tracer() as tracer:
            hooks = live_hooks(tracer)
        wait_for(lambda: attached_programs(process.pid) == hooks, f"{block} watches")
        command(target)
        # The host has other deletions, too.
        line = next(line for line in process.stdout if str(target) in line)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=HANG_S)
    assert err.endswith("KeyboardInterrupt\n")
    return line


@pytest.mark.parametrize("block", ENDLESS, ids=str)
def test_the_endless_examples(block: Block, tmp_path: Path) -> None:
    place, command, expected = WATCHED[block.page if "path=" in block.source else None]
    # Directories of this test's alone, for those of an example.
    source = re.sub(r'path="(/[^"]+)"', rf'path="{tmp_path}\1"', block.source)
    target = Path((str(tmp_path) if source != block.source else "") + place.format(f"rawtp-readme-{os.getpid()}"))
    if source != block.source:
        target.parent.mkdir(parents=True)
    assert re.fullmatch(expected.replace("{}", re.escape(str(target))), told(block, source, command, target))


@pytest.mark.parametrize("block", ENDING, ids=str)
def test_the_examples_that_end(block: Block, tmp_path: Path) -> None:
    """They print what the page says, and nothing where it says nothing."""
    with ExitStack() as stack:
        source = block.source
        if "rawtp.History()" in source:
            history = tmp_path / "history"
            stack.enter_context(recording(history, "-p", os.getpid()))
            source = source.replace("rawtp.History()", f"rawtp.History({str(history)!r})")
        done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    if "coverage" in block.source:
        assert [line.split()[0] for line in done.stdout.splitlines()] == list(rawtp_coverage())
        return
    comm = Path(sys.executable).name[:15]
    assert done.stdout == (block.output or "").replace("python3 ", f"{comm} ")


def rawtp_coverage() -> dict[str, rawtp.Hook]:
    with rawtp.Tracer() as tracer:
        return tracer.coverage


def test_there_are_such_examples() -> None:
    assert [block.page for block in PYTHON if block.page == "README.md"] == ["README.md"]
    assert {block.page for block in ENDLESS if "path=" in block.source} == {page for page in WATCHED if page}
    assert len(ENDLESS) >= 6
    assert len(ENDING) >= 9


def test_the_example_of_a_batch() -> None:
    """All of it, every time."""
    [block] = [block for block in PYTHON if block.page == DATAFRAMES]
    source = block.source + "print(type(batch).__name__, len(batch), len({row['path'] for row in batch.to_dicts()}))"
    for _ in range(20):
        done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, "Batch 1000 1000\n", "")


@pytest.mark.parametrize("library", ["polars", "pandas", "pyarrow", "duckdb"])
def test_the_line_of_each_library(library: str, own: rawtp.Tracer) -> None:
    """It takes what ``batch`` gives and what ``to_arrow`` does."""
    module = pytest.importorskip(library)
    found = re.search(rf"^\| {library}[^|]* \| `([^`]+)` \|$", PAGES[DATAFRAMES], re.MULTILINE)
    assert found
    for gathers in (False, True):
        for number in range(3):
            Path(f"/nonexistent/{number}").unlink(missing_ok=True)
        settle(own, 3)
        batch = own.to_arrow(duration=0.2) if gathers else own.batch()
        shown: Any = eval(found[1], {library: module, "batch": batch})  # noqa: S307 - the page's own
        assert shown.fetchall() == [("ENOENT", 3)] if library == "duckdb" else len(shown) == 3


def test_the_keys_are_all_named() -> None:
    text = section("docs/reference/events.md", "## Keys by theme", "`fields=`")
    assert re.findall(r"`(\w+)`", text) == list(rawtp.Event.__annotations__)


def test_every_command_line_parses() -> None:
    from rawtp.cli import counts, history, record, top, who
    from rawtp.cli.watch import add_parser, parse

    commands = [command for command in called() if not {"cost", "check", "broker"}.intersection(command)]
    modules = {"record": record, "who": who, "history": history, "counts": counts, "top": top}
    recorded = [command for command in commands if command[:1] and command[0] in modules]
    assert {command[0] for command in recorded} == {*modules}
    for command in recorded:
        modules[command[0]].add_parser().parse_args(command)
        commands.remove(command)
    assert len(commands) >= 10
    assert ["-d", "2m", "-O", "gone.jsonl"] in commands
    for command in commands:
        parse(add_parser(), command)


INSTALLS = re.compile(r"python3 -m venv \.venv|\.venv/bin/pip install .+")
# rawtp top needs a terminal: tests/kernel/top runs it.
LINES = list(dict.fromkeys(line for _, line in SHELL if ".venv/bin/rawtp" in line and "rawtp top" not in line))


def test_they_call_nothing_that_debian_has_not() -> None:
    """No program python, and no rawtp on the PATH that sudo sets."""
    for page, text in PAGES.items():
        shown = "\n".join(re.findall(r"```(?:sh|text)\n(.*?)```", text, re.DOTALL))
        assert re.findall(r"^(?:\$ |sudo |\$ sudo )(?:python|rawtp)(?: .*)?$", shown, re.MULTILINE) == [], page
        assert "python -m" not in text, page
    assert len(LINES) >= 10
    others = [line for _, line in SHELL if not re.match(r"(sudo )?\.venv/bin/rawtp( |$)", line)]
    assert [line for line in others if not INSTALLS.fullmatch(line) and not line.startswith("make ")] == []


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
    (tmp_path / "rules.toml").write_text(
        '[notify.n]\ntype = "command"\nargv = ["/bin/true"]\n[[rules]]\nname = "r"\nnotify = "n"\npath = "/srv"\n'
    )
    return tmp_path


def ended(line: str, here: Path) -> tuple[int, str]:
    """Run it as it stands, and end it once it watches; the exit code, and what it said."""
    # Rules of this test's alone.
    line = line.replace("/etc/rawtp/", f"{here}/")
    # A socket and a history of this test's alone.
    own = re.sub(r"rawtp (record|who|history)\b", rf"rawtp \1 --directory {here}/history", line)
    if own != line and not records(line) and "--install" not in line:
        with recording(here / "history", "-p", os.getpid()):
            done = subprocess.run(
                ["sh", "-c", own], cwd=here, env=ENVIRONMENT, capture_output=True, text=True, check=False
            )
        # Nothing was deleted by the names of the examples.
        assert done.returncode == (4 if "rawtp who" in line else 0), done.stderr
        return 0, done.stderr
    with subprocess.Popen(
        ["sh", "-c", own.replace("/run/", f"{here}/")],
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


def records(line: str) -> bool:
    """Whether it is a recorder."""
    return "rawtp record" in line and not re.search(r"--(status|install)\b", line)


def said_by(line: str) -> str:
    """What is said at its end."""
    if records(line):
        return r"rawtp: recorded \d+ events?, \d+ lost\n"
    if re.search(r"rawtp (record|who)\b", line):
        return "^$"
    if "rawtp history" in line:
        return r"^(rawtp: \d+ events?\n(not watched:\n(  .*\n)+)?)?$"
    if " broker " in line:
        return "rawtp: broker: stopped\n"
    # The rest gives figures, on standard output; -q nothing, where nothing was deleted.
    # A line without a filter has all of the host's deletions, for a pipe that is read at the end: some can be lost.
    return (
        "^$" if re.search(r"rawtp (?:cost|check|counts)\b| -q ", line) else r"rawtp: \d+ events? delivered, \d+ lost\n"
    )


@needs_sudo
@pytest.mark.parametrize("line", LINES)
@pytest.mark.slow
def test_the_command_lines_run_as_they_stand(line: str, here: Path) -> None:
    """By sudo, whose PATH is its own."""
    code, err = ended(line, here)
    assert code == 0, err
    assert re.search(said_by(line), err) or "by process:" in err or "% time" in err, err
    if "-O" in line:
        assert (here / "gone.jsonl").read_text().startswith('{"type":"session"')


@needs_sudo
@pytest.mark.parametrize("command", ["", "check", "cost", "broker", "record", "who", "history", "counts"])
@pytest.mark.slow
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
    numbers = {"": 17, "check": 2, "cost": 3, "broker": 2, "record": 4, "who": 4, "history": 6, "counts": 4, "ship": 4}
    assert len(lines) == numbers[command]
    for line in lines:
        if " -- make " in line and shutil.which("make") is None:
            continue
        # It wants a terminal: tests/kernel/top has one.
        if line.endswith("rawtp top"):
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
    caught = re.search(r"^Name:\trawtp(?:-record)?$.*^SigCgt:\t(\w+)$", status, re.MULTILINE | re.DOTALL)
    return caught is not None and bool(int(caught[1], 16) & 1 << (signal.SIGTERM - 1))
