"""The table of arguments beside what the running kernel says of its calls."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from helpers.plans import named
from rawtp._core import _NATIVE_ABI, _syscall_registers
from rawtp.syscalls import arguments

pytestmark = pytest.mark.kernel

TRACEFS = "/sys/kernel/tracing"
SPELLED = {
    "stat": "newstat",
    "lstat": "newlstat",
    "fstat": "newfstat",
    "fstatat": "newfstatat",
    "uname": "newuname",
    "umount2": "umount",
    "sendfile": "sendfile64",
}
"""The names of calls that the kernel's source spells in another way."""

NEVER_MADE = {
    # They would end, stop or disturb the program that makes them, or its host.
    *("exit", "pause", "rt_sigreturn", "sync", "vhangup"),
}


ADDED = {"bpf": {"uattr_common", "size_common"}}
"""Arguments that newer kernels take. On an older one their registers would be anything."""


def fields_of_calls() -> dict[str, list[str]]:
    """The arguments of each native call by the kernel's names, from tracefs, mounted where nobody else sees it."""
    script = f"mountpoint -q {TRACEFS} || mount -t tracefs tracefs {TRACEFS}; cat {TRACEFS}/events/syscalls/*/format"
    done = subprocess.run(["unshare", "--mount", "sh", "-c", script], capture_output=True, text=True, check=False)
    if not done.stdout:
        pytest.skip(f"this kernel does not list its calls (CONFIG_FTRACE_SYSCALLS): {done.stderr}")
    found = {}
    for text in re.split(r"^name: ", done.stdout, flags=re.MULTILINE)[1:]:
        name = text.split("\n", 1)[0]
        if name.startswith("sys_enter_"):
            # `print fmt` names those that are the call's own, and flags once for each way to write them.
            found[name.removeprefix("sys_enter_")] = [*dict.fromkeys(re.findall(r"REC->(\w+)", text))]
    return found


def test_registers_are_those_of_the_kernel() -> None:
    known = fields_of_calls()
    compared = {call: known[spelled] for call in named(_NATIVE_ABI) if (spelled := SPELLED.get(call, call)) in known}
    wrong = [
        f"{call}: {arguments(call)}, and the kernel {fields}"
        for call, fields in compared.items()
        if len([name for name in fields if name not in ADDED.get(call, ())]) != _syscall_registers(call, _NATIVE_ABI)
    ]
    assert wrong == []
    assert len(compared) > 200


@pytest.mark.parametrize("abi", ["x86_64", "i386", "aarch64"])
def test_every_call_is_made(abi: str) -> None:
    text = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*_calls.py"))
    made = set(re.findall(r'"(\w+)"', text))
    assert {call for call in named(abi) if not {call, call.removesuffix("32")} & made} == NEVER_MADE & set(named(abi))
