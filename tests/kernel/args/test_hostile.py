"""Arguments that are hostile, unreadable, long or secret."""

from __future__ import annotations

import os
import socket
import struct
from typing import TYPE_CHECKING, Any

import pytest

from helpers.plans import PAGE, Plan

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import rawtp

pytestmark = pytest.mark.kernel

AT_FDCWD = -100
EBADF = 9
FAMILIES = {
    0: "unspec",
    2: "inet",
    3: "ax25",
    9: "x25",
    10: "inet6",
    16: "netlink",
    17: "packet",
    29: "can",
    31: "bluetooth",
    38: "alg",
    40: "vsock",
    44: "xdp",
    77: "family 77",
    65535: "family 65535",
}


def args_of(plan: Plan, program: Callable[[str], Path], tmp_path: Path, **options: int) -> list[dict[str, Any]]:
    return [dict(event["args"] or {}) for event in plan.run(program, tmp_path, **options)]


def text_of(address: bytes, length: int) -> str | None:
    """The text of a socket's address, as the documentation says it."""
    if len(address) < 2:
        return None
    family, rest = struct.unpack_from("<H", address)[0], address[2:]
    if family == socket.AF_UNIX:
        if not rest:
            return "unix:"
        return os.fsdecode(b"@" + rest[1:] if rest[0] == 0 else rest.split(b"\0")[0])
    if family == socket.AF_INET and len(address) >= 8:
        return f"{socket.inet_ntop(family, rest[2:6])}:{int.from_bytes(rest[:2], 'big')}"
    if family == socket.AF_INET6 and len(address) >= 24:
        scope = struct.unpack_from("<I", rest, 22)[0] if len(address) >= 28 else 0
        ip = socket.inet_ntop(family, rest[6:22])
        return f"[{ip}{f'%{scope}' if scope else ''}]:{int.from_bytes(rest[:2], 'big')}"
    if family == socket.AF_NETLINK and len(address) >= 12:
        return "netlink:{}:{}".format(*struct.unpack_from("<2I", rest, 2))
    if family == socket.AF_VSOCK and len(address) >= 12:
        port, cid = struct.unpack_from("<2I", rest, 2)
        return f"vsock:{cid}:{port}"
    return f"{FAMILIES[family]}:{length} bytes"


@pytest.mark.parametrize("family", [*FAMILIES, socket.AF_UNIX])
def test_addresses_of_every_length(family: int, program: Callable[[str], Path], tmp_path: Path) -> None:
    plan = Plan()
    hostile = struct.pack("<H", family) + bytes((7 * at + family) % 255 + 1 for at in range(254))
    if family == socket.AF_UNIX:
        hostile = hostile.replace(b"\n", b"x")
    address = plan.put(hostile)
    lengths = [*range(131), 255, 65_535, 0x7FFF_FFFF, 0xFFFF_FFFF]
    for length in lengths:
        plan.call("connect", -1, address, length, error=EBADF)
    for args, length in zip(args_of(plan, program, tmp_path), lengths, strict=True):
        expected = {"sockfd": -1, "addr": text_of(hostile[: min(length, 128)], length)}
        assert dict(args) == {**expected, "addrlen": struct.unpack("<i", struct.pack("<I", length))[0]}


def test_addresses_that_are_known(program: Callable[[str], Path], tmp_path: Path) -> None:
    plan = Plan()
    port = struct.pack(">H", 80)
    addresses = {
        b"\2\0" + port + bytes([127, 0, 0, 1]) + bytes(8): "127.0.0.1:80",
        b"\n\0" + port + bytes(4) + bytes(15) + b"\1" + bytes(4): "[::1]:80",
        b"\n\0" + port + bytes(4) + b"\xfe\x80" + bytes(13) + b"\1" + struct.pack("<I", 2): "[fe80::1%2]:80",
        b"\n\0" + port + bytes(4) + bytes(10) + b"\xff\xff" + bytes([1, 2, 3, 4, 0, 0, 0, 0]): "[::ffff:1.2.3.4]:80",
        b"\1\0/run/x\0": "/run/x",
        b"\1\0\0name": "@name",
        b"\1\0\0\xff\n": "@\udcff\n",
        b"\1\0": "unix:",
        struct.pack("<HHII", 40, 0, 1024, 2): "vsock:2:1024",
        struct.pack("<HHII", 16, 0, 0, 0): "netlink:0:0",
    }
    for address in addresses:
        plan.call("bind", -1, plan.put(address), len(address), error=EBADF)
        plan.call("sendto", -1, 0, 0, 0, plan.edge(address), len(address), error=EBADF)
    got = args_of(plan, program, tmp_path)
    assert [args["addr"] for args in got[::2]] == list(addresses.values())
    assert [args["dest_addr"] for args in got[1::2]] == list(addresses.values())


def test_memory_that_is_not_there(program: Callable[[str], Path], tmp_path: Path) -> None:
    plan = Plan()
    inet = b"\2\0\0\7\1\2\3\4" + bytes(8)
    whole, cut = plan.edge(b"/last\0"), plan.edge(b"/cut")
    address = plan.edge(inet[:8])
    spec = plan.edge(bytes(15))
    texts = plan.edge(struct.pack("<2Q", whole, whole))
    hole = whole + 6
    for pathname in (0, 1, whole, cut, hole, -1, 1 << 63, 1 << 47):
        plan.call("openat2", AT_FDCWD, pathname, 0, 24)
    for addr, length in ((0, 16), (address, 8), (address, 16), (hole, 16), (address, 0), (-1, 128)):
        plan.call("connect", -1, addr, length)
    for req in (0, spec, hole):
        plan.call("nanosleep", req, 0)
    for argv in (texts, hole, cut, 1):
        plan.call("execve", plan.text("gone/x"), argv, 0)
    got = args_of(plan, program, tmp_path)
    assert [args["pathname"] for args in got[:8]] == [None, None, "/last", None, None, None, None, None]
    assert [args["addr"] for args in got[8:14]] == [None, "1.2.3.4:7", None, None, None, None]
    assert [args["req"] for args in got[14:17]] == [None, None, None]
    # Up to where the list ends.
    assert [args["argv"] for args in got[17:]] == [("/last", "/last"), None, None, None]


def test_across_two_pages(program: Callable[[str], Path], tmp_path: Path) -> None:
    plan = Plan()
    path = plan.put(bytes(PAGE - 8) + b"/gone/across\0") + PAGE - 8
    plan.call("statfs", path, 8)
    assert [dict(args) for args in args_of(plan, program, tmp_path)] == [{"path": "/gone/across", "buf": 8}]
    assert path // PAGE < (path + 12) // PAGE


def test_names_of_any_bytes(program: Callable[[str], Path], tmp_path: Path) -> None:
    plan = Plan()
    names = [bytes(range(1, 256)), b"\xff" * 200, b"\n", b"", "ä\U0001f600\u2028".encode(), b"a" * 4094]
    for name in names:
        plan.call("statfs", plan.text(name), 8)
    got = args_of(plan, program, tmp_path)
    assert [args["path"] for args in got] == [os.fsdecode(name) for name in names]


def test_a_path_without_end(program: Callable[[str], Path], tmp_path: Path) -> None:
    plan = Plan()
    for length in (4095, 4096, 9000):
        plan.call("statfs", plan.text(b"a" * length), 8)
    got = args_of(plan, program, tmp_path)
    assert [args["path"] for args in got] == ["a" * 4095] * 3


def test_many_arguments(program: Callable[[str], Path], tmp_path: Path) -> None:
    """A bounded list: its beginning, and no more."""
    plan = Plan()
    texts = plan.put(b"".join(b"%07d\0" % at for at in range(10_000)))
    argv = plan.put(struct.pack("<10001Q", *(texts + 8 * at for at in range(10_000)), 0))
    long = plan.text(b"x" * 100_000)
    path = plan.text("gone/x")
    plan.call("execve", path, argv, 0)
    plan.call("execve", path, plan.longs(long, long, 0), 0)
    plan.call("execve", path, plan.longs(plan.text("a"), long, 0), 0)
    many, one, two = (args["argv"] for args in args_of(plan, program, tmp_path))
    assert many == tuple(f"{at:07}" for at in range(64))
    assert one == ("x" * 4095,)
    assert two[0] == "a"
    assert two[1] == "x" * len(two[1])
    assert 4000 < len(two[1]) < 4096


def test_nothing_arrives_unasked(program: Callable[[str], Path], tmp_path: Path) -> None:
    """No byte of the environment, of a buffer, or of an option's value."""

    def plan_of() -> Plan:
        plan = Plan()
        secret = plan.text("SECRET=" + "s3cr3t" * 5)
        path, length = plan.text("gone/x"), 37
        plan.call("execve", path, plan.longs(plan.text("arg"), 0), plan.longs(secret, 0))
        plan.call("execveat", AT_FDCWD, path, plan.longs(plan.text("arg"), 0), plan.longs(secret, 0), 0)
        plan.call("write", -1, secret, length)
        plan.call("pwrite64", -1, secret, length, 0)
        plan.call("sendto", -1, secret, length, 0, 0, 0)
        plan.call("setsockopt", -1, 1, 25, secret, length)
        plan.call("setxattr", path, plan.text("user.x"), secret, length, 0)
        plan.call("add_key", plan.text("user"), plan.text("x"), secret, length, 0)
        plan.call("mount", path, path, plan.text("x"), 0, secret)
        return plan

    def shown(events: list[rawtp.Event]) -> str:
        return "".join(repr(dict(event)) for event in events)

    assert "3cr3t" not in shown(plan_of().run(program, tmp_path))
    events = plan_of().run(program, tmp_path, buffers=16)
    asked = [dict(event["args"] or {}) for event in events]
    assert [args["buf"] for args in asked[2:5]] == [b"SECRET=s3cr3ts3c"] * 3
    assert asked[5]["optval"] == asked[6]["value"] == asked[7]["payload"] == b"SECRET=s3cr3ts3c"
    # Not even then.
    assert "3cr3t" not in shown([*events[:2], events[8]])


def test_buffers_that_were_read(program: Callable[[str], Path], tmp_path: Path) -> None:
    plan, out = Plan(), 0
    out = plan.put(bytes(64))
    pair = plan.put(bytes(8))
    plan.call("pipe2", pair, 0)
    plan.call("write", 4, plan.put(b"content\0\xff"), 9)
    plan.call("read", 3, out, 5)
    plan.call("read", 3, out, 64)
    plan.call("read", -1, out, 64)
    got = args_of(plan, program, tmp_path, buffers=6)
    assert got[0]["pipefd"] == (3, 4)
    assert [args["buf"] for args in got[1:]] == [b"conten", b"conte", b"nt\0\xff", None]
