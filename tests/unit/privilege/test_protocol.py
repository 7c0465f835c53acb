"""The messages between a tracer and who loads for it: what is right comes through, and nothing else."""

from __future__ import annotations

import json
import os
import socket
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import rawtp
from helpers.errors import advised
from rawtp._privilege import protocol

REQUEST: dict[str, Any] = {
    "kind": "tracer",
    "syscalls": ["unlink"],
    "are_all": False,
    "results": True,
    "fields": ["pid", "path"],
    "pid": [1, 4194304],
    "follow": False,
    "from_exec": False,
    "uid": None,
    "comm": [os.fsdecode(b"rm\xff")],
    "cgroup": [1 << 62],
    "path": ["/srv/\u00e9*", os.fsdecode(b"/\xff")],
    "exclude_self": True,
    "hook": "auto",
    "when": "loss",
    "buffers": 0,
    "ring_bytes": 1 << 22,
}
COUNTS: dict[str, Any] = {
    "kind": "counts",
    "syscalls": ["read"],
    "are_all": False,
    "latency": True,
    **{key: REQUEST[key] for key in ("pid", "follow", "from_exec", "uid", "comm", "cgroup", "exclude_self")},
}
RAW: dict[str, Any] = {
    "kind": "raw_tracepoint",
    "name": "sched_switch",
    "fields": ["prev.comm"],
    "pid": None,
    "pointers": False,
    "text_bytes": 256,
    "ring_bytes": 1 << 22,
}
COVERAGE: list[tuple[str, str | None, str | None]] = [
    ("syscalls", "raw_tp/sys_enter", None),
    ("io_uring", None, "no such tracepoint"),
]

texts = st.text(st.sampled_from("a/*\u00e9\0\x1b\n\udcff\ud800"), max_size=6)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=8,
)
ANSWER = ["slots", "coverage", "maps", "links", "programs", "error", "message", "errno"]


def encoded(content: object) -> bytes:
    return json.dumps(content).encode("ascii")


@pytest.mark.parametrize("request_", [REQUEST, COUNTS, RAW, {**RAW, "fields": None}], ids=lambda it: it["kind"])
def test_a_request_comes_through(request_: dict[str, Any]) -> None:
    assert protocol.parse_request(protocol.encode_request(request_)) == request_


@pytest.mark.parametrize("kind", ["tracers", None, ["tracer"], "counts"])
def test_a_request_of_another_kind(kind: object) -> None:
    """A request has the keys of its own kind, and no others."""
    text = "with other, keys" if kind == "counts" else "a request of a kind that there is none of"
    with pytest.raises(protocol.MalformedError, match=text):
        protocol.parse_request(protocol.encode_request({**REQUEST, "kind": kind}))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("syscalls", []),
        ("syscalls", "unlink"),
        ("syscalls", ["x"] * 1025),
        ("results", 1),
        ("pid", [True]),
        ("pid", [-1]),
        ("pid", [1 << 63]),
        ("pid", [1.0]),
        ("pid", 1),
        ("uid", list(range(33))),
        ("comm", ["\ud800"]),
        ("comm", ["a\0b"]),
        ("path", ["/" * 4097]),
        ("cgroup", ["/sys/fs/cgroup"]),
        ("hook", None),
        ("ring_bytes", "4096"),
        ("ring_bytes", None),
    ],
)
def test_a_wrong_value_is_named(key: str, value: object) -> None:
    with pytest.raises(protocol.MalformedError, match=f"a request whose {key} is of the wrong type, or too long"):
        protocol.parse_request(protocol.encode_request({**REQUEST, key: value}))


def test_keys_that_are_missing_or_more() -> None:
    fewer = {key: value for key, value in REQUEST.items() if key != "uid"}
    for wrong in (fewer, {**REQUEST, "without": 1}, {"kind": "tracer"}, {**COUNTS, "owner": 0}, {**RAW, "uid": None}):
        with pytest.raises(protocol.MalformedError, match="a request without, or with other, keys"):
            protocol.parse_request(protocol.encode_request(wrong))


def test_another_version() -> None:
    for version, shown in [
        ("0.0.9", "0.0.9"),
        ("\x1b[31m", "another one"),
        (None, "another one"),
        ("9" * 40, "another"),
    ]:
        with pytest.raises(protocol.MalformedError) as raised:
            protocol.parse_request(encoded({"rawtp": version, **REQUEST}))
        assert str(raised.value).startswith(f"the other side is rawtp {shown}")
        assert str(raised.value).endswith(f", and this is {rawtp.__version__}")


def test_a_request_that_is_too_long_is_not_sent() -> None:
    with pytest.raises(ValueError, match=r"these filters take \d+ bytes to be sent; there is room for 131072"):
        protocol.encode_request({**REQUEST, "path": [os.fsdecode(b"/" + b"\xff" * 4000)] * 32})


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_in_one_way(message: bytes) -> None:
    for parse in (protocol.parse_request, lambda message: protocol.parse_answer(message, [])):
        with pytest.raises(protocol.MalformedError):
            parse(message)


@given(st.dictionaries(st.sampled_from(sorted(REQUEST)), json_values))
def test_any_values_of_a_request(changed: dict[str, object]) -> None:
    try:
        parsed = protocol.parse_request(encoded({"rawtp": rawtp.__version__, **REQUEST, **changed}))
    except protocol.MalformedError:
        return
    for key in ("pid", "uid", "cgroup"):
        assert parsed[key] is None or all(type(one) is int and one >= 0 for one in parsed[key])
    for key in ("comm", "path"):
        assert parsed[key] is None or all(b"\0" not in os.fsencode(one) for one in parsed[key])


@given(st.dictionaries(st.sampled_from(ANSWER), json_values))
def test_any_values_of_an_answer(changed: dict[str, object]) -> None:
    numbers = {"slots": 4, "maps": 3, "links": 0, "programs": 0}
    content = {"rawtp": rawtp.__version__, **numbers, "coverage": COVERAGE, **changed}
    try:
        slots, coverage, maps, links, programs = protocol.parse_answer(encoded(content), [7, 8, 9])
    except (protocol.MalformedError, OSError, ValueError, TypeError, rawtp.RawtpError):
        return
    assert [*maps, *links, *programs] == [7, 8, 9]
    assert type(slots) is int
    assert all(
        text is None or text.replace("\n", "").replace("\t", "").isprintable() for row in coverage for text in row
    )


def test_an_answer_comes_through() -> None:
    message, descriptors = protocol.encode_answer(protocol.LoadedFds(4, COVERAGE, [3, 4, 5], [6, 7], [8]))
    assert descriptors == [3, 4, 5, 6, 7, 8]
    assert protocol.parse_answer(message, descriptors) == (4, COVERAGE, [3, 4, 5], [6, 7], [8])
    message, descriptors = protocol.encode_answer(protocol.LoadedFds(2, [], [3, 4], [], [8, 9]))
    assert protocol.parse_answer(message, descriptors) == (2, [], [3, 4], [], [8, 9])
    message, descriptors = protocol.encode_answer(protocol.LoadedFds(2, [], [3, 4, 5, 6], [], []))
    with pytest.raises(protocol.MalformedError, match="an answer with numbers that none has"):
        protocol.parse_answer(message, descriptors)


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (ValueError("pid must be"), ValueError, "pid must be"),
        (advised(PermissionError, "no", "Run it with: sudo x. To see"), PermissionError, "no"),
        (PermissionError(1, "cannot attach"), PermissionError, "[Errno 1] cannot attach"),
        (OSError(24, "too many"), OSError, "[Errno 24] too many"),
        (rawtp.UnsupportedKernelError("no BTF"), rawtp.UnsupportedKernelError, "no BTF"),
        (protocol.MalformedError("a message"), rawtp.RawtpError, "a message"),
        (ZeroDivisionError("a defect"), rawtp.RawtpError, "a defect"),
        (ValueError("\x1b[2J"), ValueError, "\N{REPLACEMENT CHARACTER}[2J"),
    ],
)
def test_an_error_comes_through(error: Exception, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind) as raised:
        protocol.parse_answer(protocol.encode_error(error), [])
    assert (type(raised.value), str(raised.value)) == (kind, text)


def test_a_load_error_comes_with_the_end_of_its_log() -> None:
    error = rawtp.LoadError("rejected")
    error.verifier_log = "x" * 100_000 + "\u00e9 why\n"
    with pytest.raises(rawtp.LoadError, match="rejected") as raised:
        protocol.parse_answer(protocol.encode_error(error), [])
    assert len(raised.value.verifier_log) == 64 << 10
    assert raised.value.verifier_log.endswith("x? why\n")


def test_descriptors_that_nobody_asked_for_do_not_arrive() -> None:
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with one, other:
        before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
        protocol.send(one, b"x", [0, 1, 2])
        assert protocol.receive(other) == (b"x", [])
        protocol.send(one, b"x", [0, 1, 2])
        with pytest.raises(protocol.MalformedError):
            protocol.receive(other, descriptors=1)
        assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
        protocol.send(one, b"x", [0, 1])
        message, descriptors = protocol.receive(other, descriptors=2)
        assert (message, [os.get_inheritable(descriptor) for descriptor in descriptors]) == (b"x", [False, False])
        protocol.close(descriptors)
        one.close()
        assert protocol.receive(other) == (b"", [])


def test_the_peer_is_who_the_kernel_says() -> None:
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with one, other:
        assert protocol.peer_of(one) == (os.getpid(), os.getuid())
