"""scripts/lock.txt, and ``make lock``, which writes it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scripts import lock

GROUPS = (lock.ROOT / "pyproject.toml").read_text().partition("[dependency-groups]\n")[2].partition("\n[")[0]


def distribution(directory: Path, name: str, version: str, requires: str | None) -> None:
    info = directory / f"{name}-{version}.dist-info"
    info.mkdir()
    needs = f"Requires-Python: {requires}\n" if requires else ""
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}")


def test_a_version_for_newer_pythons_has_a_marker(tmp_path: Path) -> None:
    for name, version, requires in (
        ("Zope.Name_x", "1.0", None),
        ("newer", "2.0", ">=3.12"),
        ("older", "3.0", ">=3.9"),
        ("same", "4.0", "!=3.10.1,>=3.10"),
        ("pip", "26.0", None),
    ):
        distribution(tmp_path, name, version, requires)
    assert lock.lines([str(tmp_path)], "3.10") == [
        'newer==2.0 ; python_version >= "3.12"',
        "older==3.0",
        "same==4.0",
        "zope-name-x==1.0",
    ]


def test_the_oldest_python_is_the_projects() -> None:
    assert re.fullmatch(r"3\.\d+", lock.oldest_python())


@pytest.mark.parametrize("name", sorted(set(re.findall(r'"([a-z][\w-]*)[><=]', GROUPS))))
def test_every_tool_of_the_groups_is_locked(name: str) -> None:
    assert re.search(rf"^{name}==\S+", lock.LOCK.read_text(), re.MULTILINE)


def test_every_group_is_locked() -> None:
    """By itself, or as a part of another one."""
    included = set(re.findall(r'include-group = "(\w+)"', GROUPS))
    assert set(re.findall(r"^(\w+) = \[", GROUPS, re.MULTILINE)) - included == set(lock.GROUPS)


def test_the_makefile_installs_by_it() -> None:
    makefile = (lock.ROOT / "Makefile").read_text()
    assert f"--constraint {lock.LOCK.relative_to(lock.ROOT)}\n" in makefile
    assert len(re.findall(r"\$\(PIP\) --group", makefile)) == 8
