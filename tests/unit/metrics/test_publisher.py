"""Where metrics are published, and the file of node_exporter."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from helpers.support import wait_for
from rawtp._metrics import textfile
from rawtp._metrics.exposition import Family
from rawtp._metrics.publisher import Publisher, Target, target


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("9750", Target(host="127.0.0.1", port=9750)),
        (":9750", Target(host="127.0.0.1", port=9750)),
        ("localhost:0", Target(host="127.0.0.1", port=0)),
        ("192.0.2.1:9750", Target(host="192.0.2.1", port=9750)),
        ("[::1]:9750", Target(host="::1", port=9750)),
        ("/var/lib/x/rawtp.prom", Target(path="/var/lib/x/rawtp.prom")),
    ],
)
def test_targets(text: str, expected: Target) -> None:
    assert target(text) == expected
    assert target(expected.words) == expected
    assert expected.is_loopback == (expected.host != "192.0.2.1")


def test_a_relative_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert target("./x.prom") == Target(path=f"{tmp_path}/x.prom")


@pytest.mark.parametrize(
    "text", ["", "x", "65536", "-1", "example.org:80", "1.2.3:80", "/tmp/x", "/tmp/.prom", "fe80::1%eth0:1", "\u0661"]
)
def test_targets_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"neither a port|must end in"):
        target(text)


def test_the_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "x.prom"
    textfile.write(str(path), "one\n")
    with path.open() as before:
        textfile.write(str(path), "two\n")
        assert before.read() == "one\n"
    assert path.read_text() == "two\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.prom"]


def test_no_link_is_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    path = tmp_path / "x.prom"
    path.symlink_to(victim)
    (tmp_path / f".x.prom.{os.getpid()}").symlink_to(victim)
    textfile.write(str(path), "metrics\n")
    assert victim.read_text() == "mine"
    assert path.read_text() == "metrics\n"
    assert not path.is_symlink()


def test_a_directory_that_is_not_there_is_told_once(tmp_path: Path) -> None:
    path = tmp_path / "none" / "x.prom"
    publisher = Publisher(Target(path=str(path)), lambda: [Family("rawtp_x", "gauge", "X.").add(1)])
    publisher.start()
    said: list[str] = []

    def is_told() -> bool:
        said.extend(publisher.said())
        return bool(said)

    wait_for(is_told, "it is told")
    assert said == [f"the metrics cannot be written into {path}: No such file or directory"]
    path.parent.mkdir()
    assert publisher.finish() == []
    assert path.read_text() == "# HELP rawtp_x X.\n# TYPE rawtp_x gauge\nrawtp_x 1\n"
