"""Options from config files, and what is said of wrong ones."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rawtp.cli import config, record, run, watch, who
from rawtp.cli.config import ConfigError


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(config, "SYSTEM", str(tmp_path / "system.toml"))
    (tmp_path / ".config").mkdir()
    return tmp_path / ".config" / "rawtp.toml"


def test_what_it_reads() -> None:
    text = 'a = "x\\u00e9\\"\\t"  # a comment\n\nb-c=[ 1_000, \'#\', # in a list\n "y",]\r\n'
    text += "[who]\nd = true\ne = -1.5\nf = []\n"
    found = [(one.table, one.key, one.values, one.line) for one in config.parse(text, "f")]
    assert found == [
        ("", "a", ['x\u00e9"\t'], 1),
        ("", "b-c", ["1000", "#", "y"], 3),
        ("who", "d", [True], 6),
        ("who", "e", ["-1.5"], 7),
        ("who", "f", [], 8),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = 1\nb\n", "f:2: this is neither"),
        ("\n\na = x", "f:3: this is no value"),
        ("a = 1 2", "f:1: there is something behind the value"),
        ("a = [1\n2]", "f:1: the list has no end, or no comma"),
        ("a = [1,\n", "f:1: this is no value"),
        ("a = 1\n\na = 2", "f:3: a stands in line 1 already"),
        ('a = "\\x"', "f:1: \\\\x is no escape"),
        ('a = "\\ud800"', "f:1: .* is no character"),
        ("[a.b]", "f:1: this is neither"),
        ('a = "x\n"', "f:1: this is no value"),
    ],
)
def test_what_it_refuses(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{message}"):
        config.parse(text, "f")


def test_options_of_the_command_line_win(file: Path) -> None:
    Path(config.SYSTEM).write_text('output = "csv"\nduration = "2m"\nquiet = true\n')
    file.write_text(
        'output = "ecs"\npath = ["/a", "/b"]\nfollow = false\n[who]\nlimit = 3\n[run]\nreport = ["md", "json=x"]\n'
    )
    args = watch.add_parser().parse_args(["-P", "/c", "-d", "1"])
    assert (args.output, args.duration, args.path, args.quiet, args.follow) == (
        "ecs",
        1,
        ["/a", "/b", "/c"],
        True,
        False,
    )
    assert who.add_parser().parse_args(["who", "/x"]).limit == 3
    assert run.add_parser().parse_args(["run"]).report == [("md", None), ("json", "x")]
    assert record.add_parser().parse_args(["record"]).path is None
    other = file.parent / "other"
    other.write_text('duration = "3s"')
    for words in (["--config", str(other)], [f"--config={other}"]):
        args = watch.add_parser().parse_args(words)
        assert (args.output, args.duration, args.path) == (None, 3, None)
    assert watch.add_parser().parse_args(["--config", os.devnull]).output is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\noutpt = 'csv'", ":2: there is no option 'outpt' (did you mean output?)"),
        ("output = 'xml'", ":1: argument -o/--output: invalid choice: 'xml'"),
        ("duration = 'long'", ":1: argument -d/--duration: 'long' is not a time"),
        ("quiet = 1", ":1: quiet is true or false"),
        ("output = ['csv', 'ecs']", ":1: output takes one value"),
        ("output = true", ":1: output takes a value, not true or false"),
        ("config = 'x'", ":1: there is no option 'config'"),
        ("[whoo]\nlimit = 1", ":2: there is no subcommand 'whoo' (did you mean who?)"),
        ("a =", ":1: this is no value"),
    ],
)
def test_errors_name_the_line(text: str, message: str, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(text)
    with pytest.raises(SystemExit) as end:
        watch.add_parser().parse_args([])
    assert end.value.code == 2
    assert f"rawtp: error: {file}{message}" in capsys.readouterr().err
    with pytest.raises(SystemExit) as end:  # help works all the same
        watch.add_parser().parse_args(["--help"])
    assert end.value.code == 0


def test_a_directory_is_no_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        watch.add_parser().parse_args(["--config", str(tmp_path)])
    assert f"rawtp: error: {tmp_path}: Is a directory" in capsys.readouterr().err


def test_a_file_that_others_write_is_not_read(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text("quiet = true")
    file.chmod(0o666)
    with pytest.raises(SystemExit):
        watch.add_parser().parse_args([])
    assert f"{file}: another user can write it, so it is not read" in capsys.readouterr().err
    file.chmod(0o644)
    if os.geteuid() == 0:
        os.chown(file, 65534, 65534)
        with pytest.raises(SystemExit):
            watch.add_parser().parse_args([])


def test_a_file_that_is_not_there(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert watch.add_parser().parse_args([]).quiet is False
    with pytest.raises(SystemExit):
        watch.add_parser().parse_args(["--config", str(file)])
    assert f"rawtp: error: {file}: No such file or directory\n" in capsys.readouterr().err
