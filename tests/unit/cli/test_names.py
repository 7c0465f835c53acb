"""The keys of --fields: each is documented, in one place."""

from __future__ import annotations

import pytest

import rawtp
from rawtp.cli import main, names


def test_every_key_is_documented() -> None:
    found = names.documented()
    assert list(found) == [*rawtp.ALL_FIELDS, *rawtp.OPT_IN_FIELDS]
    assert all(text.endswith(".") and len(text) > 10 and "`" not in text for text in found.values())
    assert found["cpu"] == "The CPU that ran the call's entry; its return, when the entry was not seen."


def test_help_lists_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--fields", "help"]) == 0
    out, err = capsys.readouterr()
    keys = ["all", "basic", *rawtp.ALL_FIELDS, *rawtp.OPT_IN_FIELDS, *names.CONTAINER_NAMES]
    assert [line.split()[0] for line in out.splitlines()] == keys
    assert err == ""


def test_groups_and_order() -> None:
    assert names.fields(["path", "pid", "path"]) == ["path", "pid"]
    assert names.fields(["path", "basic"]) == ["path", *rawtp.BASIC_FIELDS]
    assert names.fields(["all", *rawtp.OPT_IN_FIELDS]) == [*rawtp.ALL_FIELDS, *rawtp.OPT_IN_FIELDS]
