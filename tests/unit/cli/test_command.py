"""As whom a command runs under sudo: what its variables say, and what is not taken from them."""

from __future__ import annotations

import os
import pwd

import pytest

from rawtp._run.child import User
from rawtp.cli import command


def entry(name: str, home: str) -> pwd.struct_passwd:
    return pwd.struct_passwd((name, "x", 1000, 1000, "", home, "/bin/sh"))


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pwd, "getpwuid", lambda uid: {1000: entry("me", "/home/m\udce9")}[uid])
    monkeypatch.setattr(os, "getgrouplist", lambda name, gid: [gid, *{"me": [27, 1001]}[name]])


@pytest.mark.usefixtures("known")
def test_the_groups_are_that_users() -> None:
    assert command._caller({"SUDO_UID": "1000", "SUDO_GID": "1007"}) == (1000, 1007, [1007, 27, 1001])
    assert command._caller({"SUDO_UID": "1001", "SUDO_GID": "1007"}) == (1001, 1007, [1007])


@pytest.mark.usefixtures("known")
def test_the_home_and_the_names_are_that_users() -> None:
    before = {b"HOME": b"/root", b"USER": b"root", b"LOGNAME": b"root", b"PATH": b"/bin", b"\xff": b"\xfe"}
    kept = {b"PATH": b"/bin", b"\xff": b"\xfe"}
    changed = command._environment(before, User(1000, 1007, []))
    assert changed == {**kept, b"HOME": b"/home/m\xe9", b"USER": b"me", b"LOGNAME": b"me"}
    assert command._environment(before, User(1001, 1007, [])) == kept


@pytest.mark.parametrize("text", ["", "-1", "+1", "1 ", "0x1", "1_0", "4294967295", "9" * 40, "\u0661"])
@pytest.mark.parametrize("name", ["SUDO_UID", "SUDO_GID"])
def test_what_is_no_id(name: str, text: str) -> None:
    with pytest.raises(ValueError, match=rf"^{name} is .*, which is no id$"):
        command._caller({"SUDO_UID": "1000", "SUDO_GID": "1000", name: text})


def test_root_itself_may_call_sudo() -> None:
    user = command._caller({"SUDO_UID": "0", "SUDO_GID": "0"})
    assert user[:2] == (0, 0)
    assert 0 in user.groups
