"""Completions and manual pages: every option of every subcommand is in them, and real shells complete with them."""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from rawtp.cli import main
from rawtp.cli.completions import SHELLS, script
from rawtp.cli.interface import commands, parsers
from rawtp.cli.invocation import SUBCOMMANDS
from scripts import shell_files


def options() -> list[tuple[str, str]]:
    """Each subcommand with each of its options, from argparse itself."""
    return [
        (name, option)
        for name, parser in parsers()
        for action in parser._actions
        if action.help != argparse.SUPPRESS
        for option in action.option_strings
    ]


def section(shell: str, command: str) -> str:
    """The part of a script that is about a subcommand."""
    text = script(shell)
    if shell == "bash":
        return "\n".join(re.findall(rf'^        "{command}"\).*$', text, re.MULTILINE))
    if shell == "zsh":
        return text.partition(f"\n    {command or '*'})\n")[2].partition("\n      ;;")[0]
    lines = [line for line in text.splitlines() if f"__rawtp_is {command or 'watch'}'" in line]
    return "\n".join(lines)


def test_there_are_many() -> None:
    assert len(options()) > 150
    assert {command for command, _ in options()} == {"", *SUBCOMMANDS}
    assert [command.name for command in commands()] == ["", *SUBCOMMANDS]


@pytest.mark.parametrize("shell", SHELLS)
def test_every_option_of_every_subcommand_is_completed(shell: str) -> None:
    for command, option in options():
        found = section(shell, command)
        if shell == "fish":
            option = f"-l {option[2:]} " if option.startswith("--") else f"-s {option[1:]} "
        elif shell == "zsh":
            option = f"{option}["
            found = found.replace("=[", "[").replace("+[", "[")
        assert option in found, (shell, command, option)


def test_every_option_of_every_subcommand_is_in_the_manual() -> None:
    pages = shell_files.files()
    for command, option in options():
        page = pages[f"man/man1/rawtp{'-' if command else ''}{command}.1"]
        assert f"\\fB{option.replace('-', chr(92) + '-')}\\fR" in page, (command, option)


def test_the_files_of_the_wheel_are_up_to_date() -> None:
    """``python -m scripts.shell_files`` writes them."""
    there = {str(path.relative_to(shell_files.SHARE)): path for path in shell_files.SHARE.rglob("*") if path.is_file()}
    assert {name: path.read_text() for name, path in there.items()} == shell_files.files()


@pytest.mark.parametrize("shell", SHELLS)
def test_it_prints_them(shell: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["completions", shell]) == 0
    printed = capsys.readouterr().out
    assert printed == script(shell)
    if shutil.which(shell):
        (tmp_path / "script").write_text(printed)
        checked = subprocess.run([shell, "-n", tmp_path / "script"], capture_output=True, text=True)
        assert (checked.returncode, checked.stderr) == (0, "")


def test_a_shell_that_is_not_known(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completions", "csh"]) == 2
    assert "invalid choice: 'csh'" in capsys.readouterr().err


LINES = [
    (["re"], {"record"}),
    (["who", "--js"], {"--json"}),
    (["who", "--rep"], set()),
    (["run", "--rep"], {"--report"}),
    (["--color", "a"], {"auto", "always"}),
    (["-o", "cs"], {"csv"}),
    (["completions", "z"], {"zsh"}),
    (["record", "--outcome", "f"], {"failed"}),
]


@pytest.mark.parametrize(("words", "expected"), LINES)
def test_bash_completes(words: list[str], expected: set[str], tmp_path: Path) -> None:
    (tmp_path / "script").write_text(script("bash"))
    act = 'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _rawtp_complete; echo "${COMPREPLY[@]}"'
    command = ["bash", "--norc", "-c", act, "bash", str(tmp_path / "script"), "rawtp", *words]
    assert {*subprocess.check_output(command, text=True).split()} == expected


def test_bash_completes_behind_an_equals_sign(tmp_path: Path) -> None:
    test_bash_completes(["--color", "=", "n"], {"never"}, tmp_path)
    test_bash_completes(["--color", "="], {"auto", "always", "never"}, tmp_path)


@pytest.mark.skipif(shutil.which("fish") is None, reason="no fish")
@pytest.mark.parametrize(("words", "expected"), LINES)
def test_fish_completes(words: list[str], expected: set[str], tmp_path: Path) -> None:
    (tmp_path / "script").write_text(script("fish"))
    act = f"source {tmp_path}/script; complete -C 'rawtp {' '.join(words)}'"
    out = subprocess.check_output(["fish", "--no-config", "-c", act], text=True, cwd=tmp_path)
    assert {line.partition("\t")[0] for line in out.splitlines()} == expected


@pytest.mark.skipif(shutil.which("man") is None, reason="no man")
@pytest.mark.parametrize("page", [name for name in shell_files.files() if name.startswith("man/")])
def test_troff_has_no_objection(page: str) -> None:
    command = ["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", str(shell_files.SHARE / page)]
    done = subprocess.run(command, capture_output=True, text=True, env={"PATH": "/usr/bin:/bin", "MANWIDTH": "80"})
    assert (done.returncode, done.stderr) == (0, "")
    assert "SYNOPSIS" in re.sub(".\b", "", done.stdout)
