"""Plans of system calls, with what a tracer must say of each: ``tests/programs/calls.c`` makes them."""

from __future__ import annotations

import errno
import itertools
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

import rawtp
from helpers.support import assert_ledger_of, read_to_end, release, stopped
from rawtp._core import _NATIVE_ABI, _syscall_arguments
from rawtp.syscalls import name as name_of
from rawtp.syscalls import number

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BASE = 0x6000_0000
"""Where the plan is in the program's memory: below 4 GiB, for 32-bit calls, and above where the heap of a program that
is linked statically can begin: since Linux 6.9 that is anywhere in the GiB behind it."""

PAGE = 65536
"""A page of any machine, or a multiple of one."""

MARKER = 0x7FFF_FF00
"""The process whose group the program asks for just before the plan."""

COMPAT, CHILD = 1, 2
CALLS_BYTES = 4 * PAGE
WORD = 1 << 64


class Anything:
    """Equals every value."""

    def __eq__(self, other: object) -> bool:
        """It does."""
        return True

    def __hash__(self) -> int:
        """It has none."""
        raise TypeError

    def __repr__(self) -> str:
        """As it is written in a test."""
        return "ANY"


ANY = Anything()


@dataclass(frozen=True)
class Made:
    """A call of a plan: what its event must have."""

    name: str
    args: dict[str, Any]
    ret: Any


@dataclass
class Plan:
    """The calls that a program makes, one after the other, and the memory that they refer to."""

    abi: str = _NATIVE_ABI
    made: list[Made] = field(default_factory=list)
    _calls: bytearray = field(default_factory=bytearray)
    _memory: bytearray = field(default_factory=bytearray)
    _edges: list[bytes] = field(default_factory=list)
    _left_out: list[str] = field(default_factory=list)

    @property
    def is_compat(self) -> bool:
        """Whether it is for the 32-bit table."""
        return self.abi in ("i386", "arm")

    def put(self, content: bytes) -> int:
        """The address of memory with this content."""
        address = BASE + CALLS_BYTES + len(self._memory)
        self._memory += content + bytes(-len(content) % 16)
        return address

    def text(self, text: str | bytes) -> int:
        """The address of a text that ends with a NUL."""
        return self.put((text.encode() if isinstance(text, str) else text) + b"\0")

    def longs(self, *numbers: int) -> int:
        """The address of numbers of the size of a ``long``."""
        size = 4 if self.is_compat else 8
        return self.put(b"".join((number % (1 << 8 * size)).to_bytes(size, "little") for number in numbers))

    def edge(self, content: bytes) -> int:
        """The address of memory with this content, behind which there is none."""
        self._edges.append(content)
        return BASE + CALLS_BYTES + 16 * PAGE + (2 * len(self._edges) - 1) * PAGE - len(content)

    def call(
        self, call: str, /, *numbers: int, ret: Any = None, error: Any = None, child: Any = False, **args: Any
    ) -> bool:
        """Adds a call, by its name and its numbers, and what its event has: the arguments in ``args``, a dot in a name
        as two underscores, and ``ret``, or the ``error``. A call that the table does not have is left out: False."""
        try:
            nr = number(call, self.abi)
        except ValueError:
            self._left_out.append(call)
            return False
        flags = COMPAT * self.is_compat | CHILD * child
        values = [number % WORD for number in (*numbers, *[0] * 6)[:6]]
        self._calls += struct.pack("<8Q", flags, nr, *values)
        expected = {key.replace("__", "."): value for key, value in args.items()}
        self.made.append(Made(call, expected, -error if isinstance(error, int) else ret if error is None else ANY))
        return True

    def image(self) -> bytes:
        """The file that the program maps."""
        assert len(self._calls) + 128 <= CALLS_BYTES
        assert len(self._memory) <= 16 * PAGE
        first = CALLS_BYTES + 16 * PAGE
        holes = [first + (2 * at + 1) * PAGE for at in range(len(self._edges))]
        head = struct.pack("<16Q", len(self.made), len(holes), *(*holes, *[0] * 14)[:14])
        pages = b"".join(edge.rjust(PAGE, b"\0") + bytes(PAGE) for edge in self._edges)
        return (head + self._calls).ljust(CALLS_BYTES, b"\0") + self._memory.ljust(16 * PAGE, b"\0") + pages

    def run(
        self, program: Callable[[str], Path], tmp_path: Path, *, status: int = 0, **options: Any
    ) -> list[rawtp.Event]:
        """Makes the calls in the directory ``run`` of ``tmp_path``, and gives their events. The program ends with
        ``status``."""
        plan, directory = tmp_path / "plan", tmp_path / "run"
        plan.write_bytes(self.image())
        directory.mkdir(exist_ok=True)
        names = sorted({"getpgid", *(made.name for made in self.made)})
        with (
            stopped([program("calls"), plan, directory]) as process,
            rawtp.Tracer(
                names, pid=process.pid, when="always", fields=["syscall", "abi", "args", "ret", "errno"], **options
            ) as tracer,
        ):
            release(process)
            events = read_to_end(tracer, process)
            if process.returncode == 77:
                pytest.skip("this kernel has no 32-bit system calls (CONFIG_IA32_EMULATION)")
            assert process.returncode == status
            assert_ledger_of(tracer)
        begins = [event["args"] for event in events].index({"pid": MARKER})
        return events[begins + 1 :]

    def check(self, program: Callable[[str], Path], tmp_path: Path, **options: Any) -> None:
        """Makes the calls. Their events must have the arguments and the results of the plan, and no others come."""
        events = self.run(program, tmp_path, **options)
        wrong = []
        for event, made in itertools.zip_longest(events, self.made):
            if event is None or made is None:
                wrong.append(f"an event without a call, or a call without an event: {event}, {made}")
                break
            if (event["syscall"], event["abi"]) != (made.name, self.abi):
                wrong.append(f"{made.name} came as {event}")
                break
            args = event["args"] or {}
            if event["ret"] == -errno.ENOSYS and made.ret != -errno.ENOSYS:
                # A kernel that is too old: what the call would have written is not there.
                if any(args[key] not in (None, value) for key, value in made.args.items()):
                    wrong.append(f"{made.name}: {args}, not {made.args}")
                continue
            if args != made.args or list(args) != list(made.args):
                wrong.append(f"{made.name}: {args}, not {made.args}, ret {event['ret']}")
            if made.ret is not ANY and event["ret"] != made.ret:
                wrong.append(f"{made.name}: returned {event['ret']}, not {made.ret}")
        assert not wrong, "\n".join(wrong)


def named(abi: str) -> list[str]:
    """All calls of a table whose arguments have names."""
    names = []
    for nr in range(600):
        try:
            call = name_of(nr, abi)
        except ValueError:
            continue
        if _syscall_arguments(call, abi) is not None:
            names.append(call)
    return names
