"""What people type: misplaced words, lists, sizes, durations, paths; and what is said of what means nothing."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rawtp import __version__
from rawtp.cli import (
    broker,
    check,
    completions,
    cost,
    counts,
    history,
    main,
    record,
    run,
    ship,
    stderr,
    top,
    types,
    watch,
    who,
)
from rawtp.cli.invocation import SUBCOMMANDS

HOSTILE = "ma\x1b[2J\x07\u202eke"
SEEN = "ma\\x1b[2J\\x07\\u202eke"


@pytest.fixture(autouse=True)
def as_a_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr("sys.argv", ["/opt/my tools/.venv/bin/pytest"])


PROGRAM = f"{shlex.quote(sys.executable)} -m rawtp"


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    last = err.splitlines()[-1]
    assert last.startswith("rawtp: error: ")
    assert last.isprintable()
    return last.removeprefix("rawtp: error: ")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["make", "clean"], "rawtp has no command 'make'; to watch a program, put -- before it: sudo {} -- make clean"),
        # What follows is the program's, though rawtp has options of these names.
        (
            ["-d", "5", "rm", "-f", "a b", "-p"],
            "rawtp has no command 'rm'; to watch a program, put -- before it: sudo {} -d 5 -- rm -f 'a b' -p",
        ),
        (
            ["chekc"],
            "rawtp has no command 'chekc': did you mean check? Or, to watch a program, put -- before it: "
            "sudo {} -- chekc",
        ),
        (
            ["brokr", "--socket", "/x"],
            "rawtp has no command 'brokr': did you mean broker? Or, to watch a program, put -- before it: "
            "sudo {} -- brokr --socket /x",
        ),
        (["-q", "check", "--json"], "check comes first: {} check --json"),
        (
            ["run", "make", "clean"],
            "unrecognized arguments: make clean; a command comes behind --, as in rawtp run -- make clean",
        ),
        (
            ["counts", "-d", "1", "find"],
            "unrecognized arguments: find; a command comes behind --, as in rawtp counts -- make",
        ),
        (["run", "-Z"], "unrecognized arguments: -Z"),
        (
            ["who", "--since", "-1h", "/x"],
            "argument --since: expected one argument; a value that begins with a dash is joined by =,"
            " as in --since=-1h",
        ),
        (["who", "/x", "--since"], "argument --since: expected one argument"),
        (["--outcom=ok"], "unrecognized arguments: --outcom=ok (did you mean --outcome?)"),
        (["-Z"], "unrecognized arguments: -Z"),
    ],
)
def test_a_word_in_the_wrong_place(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert refusal(capsys, *arguments) == said.format(PROGRAM)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([HOSTILE], f"rawtp has no command '{SEEN}'; to watch a program, put -- before it: "),
        ([f"--{HOSTILE}"], f"unrecognized arguments: --{SEEN}"),
        (["-o", HOSTILE], f"argument -o/--output: invalid choice: '{SEEN}'"),
        (["-p", HOSTILE], f"argument -p/--pid: '{SEEN}' is not a process id"),
        (["-u", HOSTILE], f"argument -u/--user: there is no user '{SEEN}'"),
        (["-s", HOSTILE], "no system call of this machine is named"),
        (["-f", HOSTILE], "unknown field"),
        (["--cgroup", "/" + HOSTILE], ""),
        (["-O", f"/nonexistent/{HOSTILE}"], f"/nonexistent/{SEEN}: No such file or directory"),
        (["--broker", f"/nonexistent/{HOSTILE}"], f"/nonexistent/{SEEN}: there is no such socket"),
        (["check", f"--{HOSTILE}"], f"unrecognized arguments: --{SEEN}"),
        (["cost", HOSTILE], f"unrecognized arguments: {SEEN}"),
        (["broker", f"--{HOSTILE}"], f"unrecognized arguments: --{SEEN}"),
        (["--caf\udce9"], "unrecognized arguments: --caf\\xe9"),
    ],
)
def test_no_argument_acts_on_the_terminal(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    code = main(arguments)
    assert code in {1, 2}
    err = capsys.readouterr().err
    assert said in err
    assert all(line.isprintable() for line in err.splitlines())


def test_messages_have_no_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    stderr.message(f"/tmp/{HOSTILE}\n: gone, as C:\\x is")
    assert capsys.readouterr().err == f"rawtp: /tmp/{SEEN}\\x0a: gone, as C:\\x is\n"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(28, "No space left on device", "/var/x"), "/var/x: No space left on device"),
        (OSError(18, "Cross-device link", b"/a\xff", 0, b"/b"), "/a\udcff -> /b: Cross-device link"),
        (OSError(12, "Cannot allocate\nmemory"), "Cannot allocate memory"),
        (OSError("odd"), "odd"),
        (ValueError("two\n  lines"), "two lines"),
        (OSError(9, "Bad file descriptor", 7), "Bad file descriptor"),
    ],
)
def test_an_error_names_its_files(error: Exception, said: str) -> None:
    assert stderr.reason(error) == said


@pytest.mark.parametrize(
    ("arguments", "key", "values"),
    [
        (["-s", "delete", "-s", "rename,creat"], "syscalls", ["delete", "rename", "creat"]),
        (["-f", "pid", "--fields", "comm,path"], "fields", ["pid", "comm", "path"]),
        (["-p", "1", "-p", "2,3"], "pid", [1, 2, 3]),
        (["-u", "root", "--user", "7,8"], "uid", ["root", 7, 8]),
        (["--comm", "a", "--comm", "b*"], "comm", ["a", "b*"]),
        (["--cgroup", "/a", "--cgroup", "7"], "cgroup", ["/a", 7]),
        (["-P", "/a", "--path", "/b"], "path", ["/a", "/b"]),
    ],
)
def test_lists_add_up(arguments: list[str], key: str, values: list[Any]) -> None:
    assert getattr(watch.add_parser().parse_args(arguments), key) == values
    assert getattr(cost.add_parser().parse_args(["cost", *arguments]), key) == values


def test_a_default_is_no_part_of_a_list() -> None:
    assert watch.add_parser().parse_args([]).syscalls is watch.add_parser().parse_args([]).fields is None
    assert watch.add_parser().parse_args(["-s", "rename"]).syscalls == ["rename"]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2m", 120),
        ("90", 90),
        ("1.5", 1.5),
        ("500ms", 0.5),
        ("1h30m", 5400),
        ("90d", 7_776_000),
        ("2w", 1_209_600),
        ("2min", 120),
        ("1d", 86400),
        ("1e3", 1000),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert types.seconds(text) == seconds
    chosen = watch.add_parser().parse_args(["-d", text, "--stats", text])
    assert (chosen.duration, chosen.stats) == (seconds, seconds)
    assert cost.add_parser().parse_args(["cost", "--seconds", text]).seconds == seconds


@pytest.mark.parametrize(
    ("text", "size"),
    [("4MiB", 4 << 20), ("4M", 4 << 20), ("64k", 65536), ("64KiB", 65536), ("1gib", 1 << 30), ("4096", 4096)],
)
def test_sizes(text: str, size: int) -> None:
    chosen = watch.add_parser().parse_args(["--ring-bytes", text, "--queue-bytes", text])
    assert (chosen.ring_bytes, chosen.queue_bytes) == (size, size)
    assert broker.add_parser().parse_args(["broker", "--max-ring-bytes", text]).max_ring_bytes == size


def test_paths_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    chosen = watch.add_parser().parse_args(["-P", ".", "-P", "a/../b", "-P", "*.log", "-P", "/abs/*"])
    assert chosen.path == [f"{tmp_path}/.", f"{tmp_path}/a/../b", f"{tmp_path}/*.log", "/abs/*"]
    odd = tmp_path / "[x] {y} \\"
    odd.mkdir()
    monkeypatch.chdir(odd)
    literally = f"{tmp_path}/\\[x\\] \\{{y\\}} \\\\"
    assert watch.add_parser().parse_args(["-P", "."]).path == [f"{literally}/."]
    assert watch.add_parser().parse_args(["-P", "?{a,b}"]).path == [f"{literally}/?{{a,b}}"]
    assert watch.add_parser().parse_args(["-P", "{a}"]).path == [f"{literally}/\\{{a\\}}"]


@pytest.mark.parametrize("path", ["/a/b", "/a{b,c}\\d", "/"])
def test_a_plain_path_is_a_name(path: str) -> None:
    assert types.literal(path) == path


@pytest.mark.parametrize("path", ["/*.log", "/a?", "/[a]b", "/\\[{a,b}", "/\\\\*", "/a\\[/**"])
def test_a_glob_is_no_name(path: str) -> None:
    assert types.literal(path) is None


def test_an_escaped_name_is_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = tmp_path / "[x] {y} \\\n"
    odd.mkdir()
    monkeypatch.chdir(odd)
    assert types.literal(types.path("{a}")) == f"{odd}/{{a}}"
    assert types.literal(types.path("*")) is None


def test_no_path_from_where_nothing_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    here = Path.cwd()
    gone = tmp_path / "gone"
    gone.mkdir()
    os.chdir(gone)
    try:
        gone.rmdir()
        said = refusal(capsys, "-P", "x")
    finally:
        os.chdir(here)
    assert said == ("argument -P/--path: 'x' is relative, and the working directory: No such file or directory")


def test_a_home_that_no_shell_has_put_in(capsys: pytest.CaptureFixture[str]) -> None:
    said = refusal(capsys, "-P", "~/x")
    assert said == "argument -P/--path: '~/x': the shell puts a home in place of ~ only outside of quotes"


@pytest.mark.parametrize(
    "arguments", [["help"], ["--help"], ["-h"], ["help", ""], ["help", "watch"], ["watch", "--help"]]
)
def test_help(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 0
    out, err = capsys.readouterr()
    assert out.startswith(
        "usage: rawtp [OPTION]... [-- COMMAND [ARG]...]\n       rawtp run|record|who|history [OPTION]...\n"
        "       rawtp check|cost|counts|top [OPTION]...\n       rawtp ship|broker [OPTION]...\n"
        "       rawtp completions SHELL\n"
    )
    assert f"\n  sudo {PROGRAM} -p 1234\n" in out
    assert err == ""


@pytest.mark.parametrize("command", SUBCOMMANDS)
def test_help_on_a_command(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["help", command]) == 0
    helped = capsys.readouterr()
    assert main([command, "--help"]) == 0
    assert helped == capsys.readouterr()
    assert helped.out.startswith(f"usage: rawtp {command} [")
    assert ("positional" in helped.out) == (command in {"completions", "who"})
    assert f"\n  {'' if command in {'check', 'completions'} else 'sudo '}{PROGRAM} {command}" in helped.out
    assert "python -m" not in helped.out.replace(PROGRAM, "")


@pytest.mark.parametrize("words", [["nonsense"], ["check", "extra"], ["\x1b[2J"]])
def test_no_help(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["help", *words]) == 2
    shown = repr(" ".join(words))
    assert capsys.readouterr() == ("", f"rawtp: there is no help on {shown}, only on {', '.join(SUBCOMMANDS)}\n")


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["version"], ["--version"], ["-V"]):
        assert main(arguments) == 0
        assert capsys.readouterr() == (f"rawtp {__version__}\n", "")


def test_every_example_parses(capsys: pytest.CaptureFixture[str]) -> None:
    """What stands behind the program in each example of each help."""
    modules = {"check": check, "cost": cost, "broker": broker, "record": record, "who": who, "history": history}
    modules["counts"] = counts
    modules |= {"ship": ship, "top": top}
    modules |= {"run": run, "completions": completions}
    parsers = {name: module.add_parser for name, module in modules.items()}
    seen = []
    for command in ("", *SUBCOMMANDS):
        assert main(["help", command]) == 0
        for line in capsys.readouterr().out.partition("examples:\n")[2].splitlines():
            if PROGRAM not in line:
                continue
            words = shlex.split(line.partition(PROGRAM)[2].partition("|")[0].partition(">")[0])
            seen.append(words)
            made = parsers.get(words[0] if words else "", watch.add_parser)()
            made.parse_args(words[: words.index("--")] if "--" in words else words)
    assert len(seen) >= 15
    assert ["-d", "2m", "-O", "deleted.jsonl"] in seen


@pytest.mark.parametrize(
    ("script", "sudoer", "uid", "said"),
    [
        ("{}/rawtp", None, 1000, "  sudo '{}/rawtp' -p 1234\n"),
        ("{}/rawtp", None, 0, "  '{}/rawtp' -p 1234\n"),
        # With sudo, root is what one gets by it.
        ("{}/rawtp", "1000", 0, "  sudo '{}/rawtp' -p 1234\n"),
        ("{}/not-there/rawtp", None, 1000, f"  sudo {PROGRAM} -p 1234\n"),
        ("{}/__main__.py", None, 1000, f"  sudo {PROGRAM} -p 1234\n"),
    ],
)
def test_examples_are_called_as_this_was(
    script: str,
    sudoer: str | None,
    uid: int,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    directory = tmp_path / "a b"
    directory.mkdir()
    (directory / "rawtp").touch()
    monkeypatch.setattr("sys.argv", [script.format(directory)])
    monkeypatch.setattr("os.geteuid", lambda: uid)
    monkeypatch.delenv("SUDO_UID", raising=False)
    if sudoer is not None:
        monkeypatch.setenv("SUDO_UID", sudoer)
    assert main(["--help"]) == 0
    assert said.format(directory) in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments", ["--help", "-V", "-f help", "help cost", "check --help", "broker --help", "check"]
)
@pytest.mark.parametrize(
    ("output", "said"),
    [
        (">&-", "rawtp: standard output is closed"),
        (">/dev/full", "rawtp: standard output: No space left on device"),
        ("| true", "rawtp: standard output: Broken pipe"),
    ],
)
def test_a_text_that_cannot_be_written_is_a_failure(arguments: str, output: str, said: str) -> None:
    # With a pipe, its reader is gone before anything is written.
    wait = "sleep 0.5;" if output.startswith("|") else ""
    script = f'{{ {wait} "$0" -m rawtp {arguments}; echo "exit $?" >&2; }} {output}'
    done = subprocess.run(["sh", "-c", script, sys.executable], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr.splitlines()) == ("", [said, "exit 1"])
