"""A broker's limits: who is next, what is still held, what the options come to."""

from __future__ import annotations

import os
import resource
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rawtp._privilege import limits as _limits
from rawtp._privilege.held_rings import HeldRings
from rawtp._privilege.limits import Limits, allow_descriptors, limits, memory, state_bytes
from rawtp._privilege.policy import BusyError, Policy
from rawtp._privilege.turns import Turns
from rawtp.cli import broker as broker_command
from rawtp.cli import main

if TYPE_CHECKING:
    from collections.abc import Container

MIB = 1 << 20


@dataclass(frozen=True)
class Request:
    uid: int
    number: int = 0


def taken(turns: Turns[Request], without: Container[int] = ()) -> Request:
    uid = turns.who(without)
    assert uid is not None
    return turns.take(uid)


def test_users_take_turns_and_each_ones_requests_come_in_their_order() -> None:
    turns: Turns[Request] = Turns()
    for number in range(4):
        turns.add(Request(1, number))
    turns.add(Request(2))
    turns.add(Request(3))
    assert [taken(turns) for _ in range(4)] == [Request(1, 0), Request(2), Request(3), Request(1, 1)]
    turns.discard(Request(1, 2))
    turns.discard(Request(9))
    assert taken(turns) == Request(1, 3)
    assert turns.who() is None


def test_who_is_being_served_is_passed_over_and_keeps_the_place() -> None:
    turns: Turns[Request] = Turns()
    for uid in (1, 2, 1, 3):
        turns.add(Request(uid))
    assert taken(turns, {1}).uid == 2
    assert taken(turns).uid == 1
    assert turns.who({1, 3}) is None
    assert [taken(turns).uid for _ in range(2)] == [3, 1]


def test_who_comes_back_is_behind_all_who_wait() -> None:
    """One connection after another, each with a request, do not overtake."""
    turns: Turns[Request] = Turns()
    turns.add(Request(1))
    turns.add(Request(2))
    served = []
    for _ in range(6):
        request = taken(turns)
        served.append(request.uid)
        turns.add(Request(request.uid))
    assert served == [1, 2, 1, 2, 1, 2]


def test_what_is_held_counts_until_the_last_map_is_gone() -> None:
    there = {1, 2, 3, 4, 5, 6, 99}
    held = HeldRings(lambda: sorted(there))
    held.add(frozenset((1, 2, 3)), 7)
    held.add(frozenset((4, 5, 6)), 8)
    assert (held.count(7), held.count(8), held.count(9)) == ((2, 1), (2, 1), (2, 0))
    there -= {1, 3}
    assert held.count(7) == (2, 1)
    there.remove(2)
    assert held.count(7) == (1, 0)
    there.add(2)  # it does not come back: the number is another map's
    assert held.count(7) == (1, 0)


def test_where_maps_cannot_be_listed() -> None:
    def fail() -> list[int]:
        raise OSError("no")

    held = HeldRings(fail)
    held.add(frozenset((1,)), 7)
    assert held.count(7) == (1, 1)  # it may still be there
    unknown = HeldRings(None)
    unknown.add(frozenset((1,)), 7)
    assert unknown.count(7) == (0, 0)


@pytest.mark.parametrize(
    ("there", "reason"),
    [
        (
            {"of_user": 3, "tracers": 3, "held": 5, "held_of_user": 5},
            "user 7 has 3 tracers, and holds the rings of 5 that have ended: together as many as this broker gives to "
            "one user",
        ),
        (
            {"tracers": 60, "held": 4},
            "this broker has 60 tracers, and rings of 4 that have ended are still held: together as many as it gives",
        ),
        ({"tracers": 64}, "this broker has 64 tracers already, as many as it gives"),
    ],
)
def test_refusals_that_may_pass(there: dict[str, int], reason: str) -> None:
    asked = {"kind": "tracer", "ring_bytes": 1 << 16, "uid": None}
    with pytest.raises(BusyError) as raised:
        Policy(own_uid=0).check(7, asked, **{"tracers": 0, "of_user": 0, **there})
    assert str(raised.value) == reason


def test_the_memory_is_tracers_by_ring_and_the_rest_of_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_limits, "memory", lambda: (64 << 30, "this machine"))
    found = limits(tracers=64, per_user=None, ring_bytes=None)
    assert found == Limits(64, 8, 16 * MIB)
    assert found.memory_bytes == 64 * (16 * MIB + 5 * MIB + (os.sysconf("SC_NPROCESSORS_CONF") << 16))
    assert limits(tracers=3, per_user=None, ring_bytes=8 * MIB) == Limits(3, 3, 8 * MIB)
    assert limits(tracers=100, per_user=100, ring_bytes=None) == Limits(100, 100, 16 * MIB)


def test_on_a_small_machine_rings_are_smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_limits, "memory", lambda: (1 << 30, "this machine"))
    found = limits(tracers=64, per_user=None, ring_bytes=None)
    assert found.memory_bytes <= 1 << 29 < 64 * (found.max_ring_bytes * 2 + state_bytes())


def test_what_contradicts_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_limits, "memory", lambda: (1 << 30, "the cgroup /x"))
    with pytest.raises(
        ValueError, match=r"^--max-tracers-per-user 9 is more than --max-tracers 8, which is all users'$"
    ):
        limits(tracers=8, per_user=9, ring_bytes=None)
    with pytest.raises(ValueError, match=r"^--max-ring-bytes 1 is less than the smallest ring, "):
        limits(tracers=8, per_user=8, ring_bytes=1)
    rest = state_bytes()
    with pytest.raises(OSError, match=r"^--max-tracers ") as raised:
        limits(tracers=64, per_user=8, ring_bytes=16 * MIB)
    assert str(raised.value) == (
        f"--max-tracers 64 × (--max-ring-bytes {16 * MIB} + {rest} for the rest each) are "
        f"{64 * (16 * MIB + rest) >> 20} MiB, and the cgroup /x has 1024 MiB: lower one of them"
    )
    with pytest.raises(OSError, match=r"^--max-tracers 1000000 "):
        limits(tracers=1_000_000, per_user=8, ring_bytes=None)


def test_on_the_command_line_they_are_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        broker_command.run(
            ["broker", "--socket", "/nonexistent/x", "--max-tracers", "4", "--max-tracers-per-user", "5"]
        )
    assert raised.value.code == 2
    assert "--max-tracers-per-user 5 is more than --max-tracers 4, which is all users'" in capsys.readouterr().err
    assert main(["broker", "--socket", "/nonexistent/x", "--max-tracers", "4294967295"]) == 1
    assert "rawtp: the broker cannot run: --max-tracers 4294967295 × " in capsys.readouterr().err


def test_a_cgroups_limit_and_those_above_it(tmp_path: Path) -> None:
    whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert memory(str(tmp_path)) == (whole, "this machine")
    cgroup = tmp_path / "proc/self/cgroup"
    cgroup.parent.mkdir(parents=True)
    cgroup.write_text("1:name=systemd:/x\n0::/system.slice/rawtp.service\n")
    assert memory(str(tmp_path)) == (whole, "this machine")
    service = tmp_path / "sys/fs/cgroup/system.slice/rawtp.service"
    service.mkdir(parents=True)
    (service / "memory.max").write_text("max\n")
    assert memory(str(tmp_path)) == (whole, "this machine")
    (service.parent / "memory.max").write_text(f"{64 * MIB}\n")
    assert memory(str(tmp_path)) == (64 * MIB, "the cgroup /system.slice")
    (service / "memory.max").write_text(f"{32 * MIB}\n")
    assert memory(str(tmp_path)) == (32 * MIB, "the cgroup /system.slice/rawtp.service")


def test_descriptors_are_raised_or_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    limit, made = [(1024, 4096)], []
    monkeypatch.setattr(resource, "getrlimit", lambda _: limit[0])
    monkeypatch.setattr(resource, "setrlimit", lambda _, wanted: made.append(wanted))
    needed = Limits(64, 8, MIB).descriptors
    assert needed == 512 + 128 + 1280
    allow_descriptors(1000)
    assert made == []
    allow_descriptors(needed)
    allow_descriptors(5000)
    assert made == [(needed, 4096), (5000, 5000)]

    def refuse(_: int, __: tuple[int, int]) -> None:
        raise ValueError("not allowed to raise maximum limit")

    monkeypatch.setattr(resource, "setrlimit", refuse)
    with pytest.raises(
        OSError, match=r"^that many tracers take 5000 descriptors, and this process may open 4096: lower"
    ):
        allow_descriptors(5000)
