"""An exec has its result, also where the program that it begins has another table of calls."""

from __future__ import annotations

import errno
import os
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import rawtp
from helpers.executables import program_without_room
from helpers.support import assert_ledger
from rawtp._core import _NATIVE_ABI

pytestmark = [pytest.mark.kernel, pytest.mark.skipif(_NATIVE_ABI != "x86_64", reason="its programs are x86's")]

FIELDS = ("syscall", "abi", "args", "ret", "duration_ns")
# getpid(), and then exit(0).
I386 = bytes.fromhex("b814000000 cd80 b801000000 31db cd80")
BASE = 0x08048000


def program_of_32_bits(path: Path, code: bytes = I386) -> Path:
    """The smallest that the kernel runs: one segment with everything in it."""
    bytes_ = 84 + len(code)
    head = struct.pack("<HHIIIIIHHHHHH", 2, 3, 1, BASE + 84, 52, 0, 0, 52, 32, 1, 0, 0, 0)
    segment = struct.pack("<8I", 1, 0, BASE, BASE, bytes_, bytes_, 5, 0x1000)
    path.write_bytes(b"\x7fELF\x01\x01\x01".ljust(16, b"\0") + head + segment + code)
    path.chmod(0o755)
    try:
        subprocess.run([path], check=True)
    except OSError:
        pytest.skip("the kernel runs no programs of 32 bits")
    return path


@pytest.mark.parametrize("syscalls", ["all", ["execve", "exit", "getpid"]], ids=str)
def test_of_a_program_of_32_bits(tmp_path: Path, syscalls: str | list[str]) -> None:
    path = program_of_32_bits(tmp_path / "program")
    result = rawtp.run([path], syscalls=syscalls, fields=FIELDS)
    found = [(event["syscall"], event["abi"], event["ret"] is None) for event in result.events]
    assert found == [("execve", "x86_64", False), ("getpid", "i386", False), ("exit", "i386", True)]
    exec_ = result.events[0]
    assert exec_["args"] is not None
    assert (exec_["ret"], exec_["args"]["pathname"]) == (0, str(path))
    assert exec_["duration_ns"]
    assert (result.stats.unpaired, result.stats.lost_exits) == (0, 0)
    assert_ledger(result.stats)


@pytest.mark.parametrize(
    "options",
    [{"syscalls": ["process"]}, {"syscalls": ["execveat"]}, {"syscalls": "all", "exclude": ["execve"]}],
    ids=str,
)
def test_by_execveat(tmp_path: Path, options: dict[str, Any]) -> None:
    """The kernel gives its exit the number of execve, which need not be watched."""
    path = program_of_32_bits(tmp_path / "program")
    for name in (path, Path("/bin/true")):
        code = (
            "import ctypes, os\n"
            f"name = ctypes.create_string_buffer({os.fsencode(name)!r})\n"
            "argv = (ctypes.c_char_p * 2)(name.value, None)\n"
            "ctypes.CDLL(None).syscall(322, -100, name, argv, None, 0)"
        )
        result = rawtp.run([sys.executable, "-I", "-S", "-c", code], fields=FIELDS, **options)
        found = [event for event in result.events if event["syscall"] in {"execve", "execveat"}]
        expected = ["execve", "execveat"] if options["syscalls"] == ["process"] else ["execveat"]
        assert [(event["syscall"], event["ret"]) for event in found] == [(syscall, 0) for syscall in expected]
        assert found[-1]["args"] is not None
        assert found[-1]["args"]["pathname"] == str(name)
        assert found[-1]["duration_ns"]
        assert (result.stats.unpaired, result.stats.pending, result.stats.lost_exits) == (0, 0, 0)
        assert_ledger(result.stats)


@pytest.mark.parametrize("options", [{"syscalls": ["execve"]}, {"syscalls": "all", "exclude": ["execveat"]}], ids=str)
def test_an_execveat_that_is_not_watched(options: dict[str, Any]) -> None:
    """Its exit has the number of execve, and is none."""
    code = "import os; os.execve(os.open('/bin/true', os.O_RDONLY), ['true'], {})"
    result = rawtp.run([sys.executable, "-I", "-S", "-c", code], fields=FIELDS, **options)
    found = [event for event in result.events if event["syscall"] in {"execve", "execveat"}]
    assert [(event["syscall"], event["ret"]) for event in found] == [("execve", 0)]
    assert (result.stats.unpaired, result.stats.lost_exits) == (0, 0)
    assert_ledger(result.stats)


@pytest.mark.parametrize("syscalls", [["execve", "execveat"], ["execveat"]], ids=str)
@pytest.mark.parametrize("bad", [False, True])
def test_arguments_are_those_of_the_entry(tmp_path: Path, syscalls: list[str], bad: bool) -> None:
    """Also where one of them could not be read there: an exec leaves another memory behind, with what a program put
    there."""
    name = str(program_without_room(tmp_path / "program")) if bad else "/bin/true"
    code = (
        "import ctypes, mmap\n"
        "untouched = mmap.mmap(-1, 4096)\n"
        "at = ctypes.addressof(ctypes.c_char.from_buffer(untouched))\n"
        f"name = ctypes.create_string_buffer({os.fsencode(name)!r})\n"
        "argv = (ctypes.c_void_p * 2)(at, None)\n"
        "ctypes.CDLL(None).syscall(322, -100, name, argv, None, 0)"
    )
    result = rawtp.run([sys.executable, "-I", "-S", "-c", code], fields=FIELDS, syscalls=syscalls)
    found = result.events[-1]
    assert (found["syscall"], found["ret"]) == ("execveat", -errno.ENOMEM if bad else 0)
    assert found["args"] is not None
    assert {key: found["args"][key] for key in ("dirfd", "pathname", "argv")} == {
        "dirfd": -100,
        "pathname": name,
        "argv": None,
    }


def test_that_fails() -> None:
    """It ends with its own number. An execve that is not watched is no event, whether it fails or not."""
    code = (
        "import ctypes, os\n"
        "ctypes.CDLL(None).syscall(322, -100, b'/nowhere/to/be/found', None, None, 0)\n"
        "try: os.execv('/nowhere/to/be/found', ['x'])\n"
        "except OSError: os.execv('/bin/true', ['true'])\n"
    )
    result = rawtp.run([sys.executable, "-I", "-S", "-c", code], syscalls=["execveat"], fields=FIELDS)
    assert [(event["syscall"], event["ret"]) for event in result.events] == [("execveat", -errno.ENOENT)]
    assert (result.stats.unpaired, result.stats.pending, result.stats.lost_exits) == (0, 0, 0)
    assert_ledger(result.stats)


def test_of_a_program_of_64_bits_by_one_of_32(tmp_path: Path) -> None:
    """execve("/bin/true", NULL, NULL), by int 0x80."""
    path = tmp_path / "program"
    # mov eax, 11; mov ebx, text; xor ecx, ecx; xor edx, edx; int 0x80; hlt
    code = b"\xb8\x0b\0\0\0\xbb" + struct.pack("<I", BASE + 84 + 17) + b"\x31\xc9\x31\xd2\xcd\x80\xf4"
    code += b"/bin/true\0"
    assert code.index(b"/bin") == 17
    program_of_32_bits(path, code)
    result = rawtp.run([path], syscalls=["execve"], fields=FIELDS)
    found = [(event["syscall"], event["abi"], event["ret"]) for event in result.events]
    assert found == [("execve", "x86_64", 0), ("execve", "i386", 0)]
    assert result.stats.unpaired == 0
