"""Checks the stack of the BPF programs: ``python -m scripts.bpf_stack``, a part of ``make lint``.

The verifier gives a call chain 512 bytes and rounds each frame up to 32 (``check_max_stack_depth`` in
kernel/bpf/verifier.c). A newer kernel rounds to 16 (``round_up_stack_depth``), so that only an old one refuses a chain
which is too deep.
"""

from __future__ import annotations

import struct
import sys
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from elftools.elf.elffile import ELFFile
from elftools.elf.relocation import RelocationSection
from elftools.elf.sections import SymbolTableSection

if TYPE_CHECKING:
    from collections.abc import Iterator

OBJECTS = "target/release/build/rawtp-*/out/rawtp.bpf.o"
LIMIT = 512
ROUNDED_TO = 32

# linux/bpf.h, linux/bpf_common.h
INSTRUCTION = struct.Struct("<BBhi")
FRAME_POINTER = 10
CLASS_MASK = 0x07
LDX, ST, STX = 0x01, 0x02, 0x03
WRITES = {0x00, LDX, 0x04, 0x07}
"""The classes that write a register: LD, LDX, ALU, ALU64."""
LD_IMM64 = 0x18
ADD_K, MOV_X = 0x07, 0xBF
CALL, PSEUDO_CALL = 0x85, 1


@dataclass
class Function:
    """A function of the object, by what its instructions say."""

    name: str
    depth: int = 0
    """Bytes below the frame pointer that it uses."""
    calls: set[tuple[int, int]] = field(default_factory=set)
    """Sections and offsets of the functions that it calls."""


def _instructions(code: bytes) -> Iterator[tuple[int, int, int, int, int, int]]:
    """The offset, opcode, destination, source, offset field and immediate of each instruction."""
    at = 0
    while at < len(code):
        opcode, registers, offset, immediate = INSTRUCTION.unpack_from(code, at)
        yield at, opcode, registers & 0xF, registers >> 4, offset, immediate
        at += INSTRUCTION.size * (2 if opcode == LD_IMM64 else 1)


def _function(name: str, section: int, start: int, code: bytes, relocated: dict[int, tuple[int, int]]) -> Function:
    """``relocated`` has the section and the address of the symbol that the instruction at an offset refers to."""
    made = Function(name)
    pointers: set[int] = set()
    for at, opcode, to, source, offset, immediate in _instructions(code):
        kind = opcode & CLASS_MASK
        if opcode == MOV_X and source == FRAME_POINTER:
            pointers.add(to)
            continue
        if opcode == ADD_K and to in pointers:
            made.depth = max(made.depth, -immediate)
        elif (kind == LDX and source == FRAME_POINTER) or (kind in {ST, STX} and to == FRAME_POINTER):
            made.depth = max(made.depth, -offset)
        elif opcode == CALL and source == PSEUDO_CALL:
            # Without a relocation the immediate counts from the next instruction; with one, from the symbol, less one.
            target, base = relocated.get(start + at, (section, start + at))
            made.calls.add((target, base + (immediate + 1) * INSTRUCTION.size))
        if kind in WRITES:
            pointers.discard(to)
    return made


def functions(data: bytes) -> dict[tuple[int, int], Function]:
    """The functions of an object, by section and offset."""
    elf = ELFFile(BytesIO(data))
    sections = list(elf.iter_sections())
    (symbols,) = (section for section in sections if isinstance(section, SymbolTableSection))
    relocated: dict[int, dict[int, tuple[int, int]]] = {}
    for section in sections:
        if isinstance(section, RelocationSection):
            referred = [
                (each["r_offset"], symbols.get_symbol(each["r_info_sym"])) for each in section.iter_relocations()
            ]
            relocated[section["sh_info"]] = {at: (symbol["st_shndx"], symbol["st_value"]) for at, symbol in referred}
    found = {}
    for symbol in symbols.iter_symbols():
        if symbol["st_info"]["type"] == "STT_FUNC":
            number, start = symbol["st_shndx"], symbol["st_value"]
            code = sections[number].data()[start : start + symbol["st_size"]]
            found[number, start] = _function(symbol.name, number, start, code, relocated.get(number, {}))
    return found


def deepest(all_functions: dict[tuple[int, int], Function], at: tuple[int, int]) -> tuple[int, list[str]]:
    """The bytes of the deepest chain of calls from a function on, and the chain."""
    function = all_functions[at]
    own = -(-max(function.depth, 1) // ROUNDED_TO) * ROUNDED_TO
    below = max((deepest(all_functions, called) for called in function.calls), default=(0, []))
    return own + below[0], [f"{function.name} {function.depth}", *below[1]]


def violations(data: bytes) -> list[str]:
    """The programs of an object whose deepest chain takes more than the verifier gives."""
    found = functions(data)
    called = {each for function in found.values() for each in function.calls}
    chains = [deepest(found, at) for at in found if at not in called]
    return [f"{depth} bytes of stack: {' -> '.join(chain)}" for depth, chain in chains if depth > LIMIT]


def main() -> int:
    """Looks at the newest object that cargo has built."""
    objects = sorted(Path().glob(OBJECTS), key=lambda path: path.stat().st_mtime)
    if not objects:
        print(f"{OBJECTS}: nothing is built", file=sys.stderr)
        return 1
    found = violations(objects[-1].read_bytes())
    print("\n".join(found), end="\n" if found else "", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
