"""``--root``: what it makes of the other options, and what is no root."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from rawtp.cli import main, options, record, top, watch

if TYPE_CHECKING:
    import argparse
    from pathlib import Path


def parsed(*words: str) -> tuple[argparse.Namespace, dict[str, object]]:
    parser = watch.add_parser()
    args = parser.parse_args(words)
    return args, options.filters(parser, args)


def test_a_root_makes_paths_and_users_the_host_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text("+nis::0:0\n\nann:x:1234:1::/:/bin/sh\nroot:x:0:0::/:/bin/sh\n")
    (tmp_path / "srv/[x]").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "srv/[x]")
    args, filters = parsed("--root", str(tmp_path), "-u", "ann,7,root", "-P", ".", "-P", "*.log", "-P", "/abs")
    expected = [r"/srv/\[x\]/.", r"/srv/\[x\]/*.log", "/abs"]
    assert filters == {"uid": [1234, 7, 0], "path": expected, "root": str(tmp_path)}
    # What else looks at these has the same.
    assert (args.uid, args.path) == ([1234, 7, 0], expected)


def test_without_a_root_they_are_as_they_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert parsed("-u", "root", "-P", ".")[1] == {"uid": [0], "path": [f"{tmp_path}/."]}
    assert parsed("--root", "/", "-P", ".")[1] == {"path": [f"{tmp_path}/."], "root": "/"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--root", "host"], "argument --root: 'host' is not an absolute path"),
        (["--root", ""], "argument --root: '' is not an absolute path"),
        (["--root", "/nonexistent"], "argument --root: '/nonexistent': No such file or directory"),
        (["--root", "{}/file"], "argument --root: '{}/file': Not a directory"),
        (["--root", "{}", "-u", "root"], "argument -u/--user: there is no user 'root'"),
        (
            ["--root", "{}/sub", "-P", "x"],
            "argument -P/--path: 'x' is relative, and the working directory '{}' is not below --root '{}/sub'",
        ),
    ],
)
def test_a_wrong_root(
    words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path)
    assert main([word.replace("{}", str(tmp_path)) for word in words]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == f"rawtp: error: {said}".replace("{}", str(tmp_path))


@pytest.mark.parametrize("of", [watch, record, top])
def test_who_has_a_root(of: Any) -> None:
    first = [] if of is watch else [of.__name__.rpartition(".")[2]]
    assert of.add_parser().parse_args([*first, "--root", "/host"]).root == "/host"
    assert of.add_parser().parse_args(first).root is None
