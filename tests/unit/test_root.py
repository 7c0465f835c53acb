"""The host's files below ``root``."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from rawtp import _root, _session
from rawtp._alert import rules
from rawtp._alert.alert import Alert
from rawtp._alert.naming import named
from rawtp._alert.toml_file import RuleError
from rawtp._containers import runtimes
from rawtp._containers.cache import NameCache
from rawtp._containers.runtimes import Names
from rawtp._record import heartbeat
from rawtp.cli import archive

ID = "4f1c8d0e7b3a" + "0" * 52
RULES = b"""
    [notify.n]
    type = "command"
    argv = ["/bin/true"]
    [[rules]]
    name = "r"
    user = "ann"
    notify = "n"
"""


@pytest.fixture
def root(tmp_path: Path) -> str:
    (tmp_path / "etc").mkdir()
    (tmp_path / "usr").mkdir()
    # As of an immutable host, whose /etc leads elsewhere.
    (tmp_path / "etc/passwd").symlink_to("/usr/passwd")
    lines = [b"+nis::9:0", b"", b":x:8:8", b"an\xffn:x:7:7::/:/bin/sh", b"ann:x:1234:1::/:/bin/sh", b"short:x"]
    (tmp_path / "usr/passwd").write_bytes(b"\n".join(lines))
    (tmp_path / "etc/machine-id").write_text("the-node\n")
    return str(tmp_path)


def test_users_are_the_host_s(root: str) -> None:
    assert [_root.user_name(uid, root) for uid in (1234, 7, 0, 8, 9)] == ["ann", "an\udcffn", None, None, None]
    assert [_root.user_id(name, root) for name in ("ann", "root", "", "+nis", "short")] == [1234, *[None] * 4]
    assert (_root.user_name(0), _root.user_id("root"), _root.user_id("nobody-of-that-name")) == ("root", 0, None)
    assert (_root.user_name(2**40), _root.user_id("nul\0")) == (None, None)


def test_texts_are_the_host_s(root: str) -> None:
    assert _session.host(root)["machine_id"] == "the-node"
    assert _session.host()["boot_id"] == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert (_root.read(root, "/etc"), _root.read(root, "/nothing"), _root.read("/", "/etc")) == (None, None, None)
    assert _root.read(root, "/etc/machine-id", 3) == b"the"
    os.mkfifo(f"{root}/fifo")
    assert _root.read(root, "/fifo") is None
    # Out of it leads nothing.
    Path(root, "up").symlink_to("../../../../../../etc/hostname")
    assert _root.read(root, "/up") is None


def test_containers_are_the_host_s(root: str) -> None:
    """Where docker's directory is elsewhere by a link that begins with a slash."""
    content = {"Name": "/box", "Config": {"Image": "web:1"}}
    place = Path(root, "data/containers", ID)
    place.mkdir(parents=True)
    (place / "config.v2.json").write_text(json.dumps(content))
    Path(root, "var/lib").mkdir(parents=True)
    Path(root, "var/lib/docker").symlink_to("/data")
    assert runtimes.finder(root)(ID, None) == Names(container_name="box", image="web:1")
    assert runtimes.finder("/") is runtimes.find


def test_alerts_name_the_host_s_users(root: str) -> None:
    event: Any = {"uid": 1234, "auid": None, "container_id": None, "pod_id": None}
    assert named(Alert("r", "event", 1, 0, 0, {}, event), NameCache(), root).names == {"user": "ann"}
    assert len(rules.parse(RULES, {}, root).rules) == 1
    with pytest.raises(RuleError, match="there is no user 'ann'"):
        rules.parse(RULES, {})


def test_a_session_says_where_the_host_s_root_is(root: str) -> None:
    def found(info: str, **session: str | None) -> str:
        return _root.of_session({"info": info, **session})

    told = json.dumps({"root": root})
    assert found(told) == found(told, machine_id="the-node") == found(told, machine_id="") == root
    # Another host's history, read where a root happens to be at the same place.
    assert found(told, machine_id="another-node") == "/"
    # On the node itself there is no such directory.
    nothing = [
        '{"root": "/nonexistent"}',
        '{"root": "/"}',
        '{"root": "/\\u0000"}',
        "{}",
        "[]",
        '{"root": 7}',
        "damaged",
    ]
    assert {found(info) for info in nothing} == {"/"}
    archive.user_name.cache_clear()
    assert (archive.user_name(1234, root), archive.user_name("ann", root)) == ("ann", None)


def test_links_lead_where_they_do_on_the_host(root: str) -> None:
    """An absolute one, one that climbs, a loop, ``..`` behind a link, and what does not exist."""
    place = Path(root)
    (place / "run/lock").mkdir(parents=True)
    (place / "var/deep").mkdir(parents=True)
    (place / "var/run").symlink_to("/run")
    (place / "var/up").symlink_to("../../../../run/lock")
    (place / "var/chain").symlink_to("up/../gone")
    (place / "loop").symlink_to("loop")

    def led(path: bytes) -> bytes:
        return _root.real_path(path, root)

    assert led(b"/var/run/x") == b"/run/x"
    assert led(b"//var/./run//lock/") == b"/run/lock"
    assert led(b"/var/up/x") == b"/run/lock/x"
    assert led(b"/var/up/../x") == b"/run/x"
    assert led(b"/var/chain/y") == b"/run/gone/y"
    assert led(b"/var/nothing/../deep/z") == b"/var/deep/z"
    assert led(b"/../../etc/passwd") == b"/usr/passwd"
    assert led(b"/loop/x").endswith(b"/x")
    assert (led(b"/"), led(b"/\xff")) == (b"/", b"/\xff")
    # Below its own root a process follows them itself.
    (place / "near").symlink_to("run")
    assert _root.real_path(os.fsencode(place / "near/lock")) == os.fsencode((place / "run/lock").resolve())


def test_a_heartbeat_passes_the_filter_by_its_name_on_the_host(root: str) -> None:
    beat = f"{root}/var/lib/rawtp/.heartbeat"
    filters = {"path": ["/srv"], "root": root}
    assert heartbeat.admitted(filters, beat)["path"] == ["/srv", "/var/lib/rawtp/.heartbeat"]
    assert heartbeat.choose(["unlinkat"], filters, beat)[1] is None
    call, why = heartbeat.choose(["unlinkat"], filters, "/proc/.heartbeat")
    assert (call, why) == (None, "--path leaves the recorder's directory out, which is not below --root")
    # Without a filter by path all pass.
    assert heartbeat.choose(["unlinkat"], {"root": root}, "/proc/.heartbeat")[1] is None
