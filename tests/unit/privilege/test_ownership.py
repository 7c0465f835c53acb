"""Who else than root can replace what root runs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rawtp._privilege.ownership import replaceable

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files that are root's")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "directory" / "file"
    made.parent.mkdir()
    made.touch()
    return made


def test_roots_own(file: Path) -> None:
    assert replaceable(str(file)) is None  # below /tmp, where everybody writes, but nobody replaces another's


@pytest.mark.parametrize(
    ("name", "mode", "group", "reason"),
    [
        ("file", 0o666, 0, "can be written by everybody"),
        ("directory", 0o777, 0, "can be written by everybody"),
        ("directory", 0o775, 7, "can be written by group 7"),
        ("directory", 0o775, 0, None),
        ("directory", 0o1777, 0, None),
        ("file", 0o664, 7, "can be written by group 7"),
    ],
)
def test_modes(file: Path, name: str, mode: int, group: int, reason: str | None) -> None:
    place = file if name == "file" else file.parent
    os.chown(place, 0, group)
    place.chmod(mode)
    assert replaceable(str(file)) == (reason and f"{place} {reason}")


def test_owners_and_links(file: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(file)
    os.chown(file, 1234, 0)
    assert replaceable(str(link)) == f"{file} belongs to user 1234"
    assert replaceable(str(tmp_path / "none")) == f"cannot look at {tmp_path / 'none'}: No such file or directory"
