"""The check of the BPF programs' stack finds a chain of calls that an old kernel refuses."""

from __future__ import annotations

import subprocess
from pathlib import Path

from scripts import bpf_stack

SOURCE = """
#define NOINLINE static __attribute__((noinline))
#define KEEP(buffer) asm volatile("" : : "r"(buffer) : "memory")

NOINLINE long leaf(long value)
{
	char bytes[%d] = {};

	KEEP(bytes);
	return value + 1;
}

NOINLINE long middle(long value)
{
	long words[10] = {};

	KEEP(words);
	return leaf(value) + 1;
}

__attribute__((section("raw_tp/sys_enter"), used)) int program(void *ctx)
{
	char bytes[200] = {};

	KEEP(bytes);
	return middle((long)ctx);
}
"""


def compiled(directory: Path, leaf_bytes: int) -> bytes:
    """The object of three functions that call one another, the last with so many bytes of stack."""
    source, made = directory / "chain.bpf.c", directory / "chain.bpf.o"
    source.write_text(SOURCE % leaf_bytes)
    subprocess.run(["clang", "-O2", "-target", "bpf", "-c", source, "-o", made], check=True)
    return made.read_bytes()


def test_a_chain_that_just_fits(tmp_path: Path) -> None:
    # 224 + 96 + 192: each frame is rounded up to 32.
    data = compiled(tmp_path, 192)
    depths = {each.name: each.depth for each in bpf_stack.functions(data).values()}
    assert depths == {"leaf": 192, "middle": 80, "program": 200}
    assert bpf_stack.violations(data) == []


def test_a_chain_that_is_too_deep(tmp_path: Path) -> None:
    assert bpf_stack.violations(compiled(tmp_path, 200)) == ["544 bytes of stack: program 200 -> middle 80 -> leaf 200"]
