"""What is wrong is told by the exception that one expects, with the names that are there."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import rawtp
from helpers.unprivileged import as_user

pytestmark = pytest.mark.kernel

RELEASE = os.uname().release


def message(error: type[Exception], *args: object, **options: object) -> str:
    """The message of the exception that the arguments raise."""
    with pytest.raises(error) as raised:
        rawtp.RawTracepoint(*args, **options)  # type: ignore[arg-type]
    return str(raised.value)


def test_an_unknown_tracepoint() -> None:
    wanted = f'Linux {RELEASE} has no raw tracepoint "sched_proces_exec": did you mean "sched_process_exec"?; '
    assert message(ValueError, "sched_proces_exec") == wanted + "rawtp.tracepoints() lists them"
    for name in ("", "a\0b", "\ud800", "sched_*", "../vmlinux", "x" * 100_000):
        if name == "\ud800":
            with pytest.raises((ValueError, TypeError)):
                rawtp.RawTracepoint(name)
            continue
        assert "has no raw tracepoint" in message(ValueError, name)


def test_an_unknown_argument() -> None:
    text = message(ValueError, "sched_process_exec", ["bprn.filename"])
    assert text.startswith(f'sched_process_exec of Linux {RELEASE} has no argument "bprn": did you mean "bprm"?')
    assert text.endswith("(it has p, old_pid, bprm)")
    text = message(ValueError, "sched_process_exec", ["whatever"])
    assert text.endswith('has no argument "whatever": it has p, old_pid, bprm')


def test_an_unknown_member() -> None:
    text = message(ValueError, "sched_process_exec", ["p.real_parent.com"])
    wanted = f'struct task_struct of Linux {RELEASE} has no member "com": did you mean "comm"?'
    assert text == f'"p.real_parent.com" of sched_process_exec: {wanted}'
    text = message(ValueError, "sched_process_exec", ["p.nothing_like_it_at_all"])
    assert f'struct task_struct of Linux {RELEASE} has no member "nothing_like_it_at_all": it has thread_info' in text


@pytest.mark.parametrize(
    ("field", "why"),
    [
        ("p.comm.x", "char[16] has no members"),
        ("p.pid.x", "pid_t has no members"),
        ("p.comm[16]", "char[16] has no element 16"),
        ("p.pid[0]", "pid_t is no array"),
        ("p.se", "it is a struct sched_entity: name one of its members (load, "),
        ("p.stack", "it is an address (void *): pass pointers=True"),
        ("p.stack.x", 'what is before "x" is void, which has no members'),
        ("p.real_parent", 'it is an address (struct task_struct *): name a member, such as "p.real_parent.'),
    ],
)
def test_a_field_that_is_no_value(field: str, why: str) -> None:
    assert message(ValueError, "sched_process_exec", [field]).startswith(f'"{field}" of sched_process_exec: {why}')


@pytest.mark.parametrize("field", ["", ".", "p.", "p->comm", "p.comm[x]", "p..comm", "p comm", "p\0", "p[", "*p"])
def test_what_is_no_path(field: str) -> None:
    assert "is no field: a field is an argument's name" in message(ValueError, "sched_process_exec", [field])


def test_other_arguments() -> None:
    name = "sched_process_exec"
    assert message(TypeError, 3) == "name must be a str, not int"
    assert message(TypeError, name, "p.pid") == "fields must be an iterable of names, not a str"
    assert message(TypeError, name, 3) == "fields must be an iterable of names, not int"
    assert message(TypeError, name, [3]) == "a name in fields must be a str, not int"
    assert message(TypeError, name, pointers=1) == "pointers must be True or False, not int"
    assert message(ValueError, name, ["p.pid", "p.pid"]) == 'the field "p.pid" is named twice'
    many = [f"p.comm[{at % 16}]" for at in range(65)]
    assert message(ValueError, name, many) == "65 fields are more than 64"
    assert message(ValueError, name, text_bytes=7) == "text_bytes must be between 8 and 4096, not 7"
    assert message(ValueError, name, text_bytes=4097) == "text_bytes must be between 8 and 4096, not 4097"
    name_of = "exe_file.f_path.dentry.d_name.name"
    long = ["bprm.filename", "bprm.interp", f"p.mm.{name_of}", f"bprm.mm.{name_of}"]
    assert "ask for fewer, or for shorter texts" in message(ValueError, name, long, text_bytes=4096)
    assert message(ValueError, name, ring_bytes=5).startswith("ring_bytes must be a power of two")
    assert message(ValueError, name, queue_bytes=5).startswith("queue_bytes must be a positive multiple of 65536")
    assert message(ValueError, name, pid=0) == "pid must be a process id from 1 to 4194304, not 0"
    with pytest.raises(TypeError, match="pattern must be a str, not int"):
        rawtp.tracepoints(3)  # type: ignore[arg-type]


def test_no_field_is_fine() -> None:
    with rawtp.RawTracepoint("sched_process_exec", []) as execs:
        assert execs.fields == ()


PROGRAM = """
import rawtp
try:
    rawtp.RawTracepoint("sched_process_exec", {fields!r})
except Exception as error:
    print(type(error).__name__, error)
"""


def test_without_privilege() -> None:
    """A wrong name is told to those who may not load, too: types are everybody's to read."""
    for fields, wanted in (
        (["p.pid"], "PermissionError loading BPF programs needs CAP_BPF and CAP_PERFMON (root has both); this process"),
        (["p.pdi"], 'ValueError "p.pdi" of sched_process_exec: struct task_struct'),
    ):
        command = [*as_user(), sys.executable, "-c", PROGRAM.format(fields=fields)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert done.stdout.startswith(wanted), (done.stdout, done.stderr)


def test_without_types() -> None:
    hide = 'mount -t tmpfs none /sys/kernel/btf && exec "$@"'
    command = ["unshare", "-m", "sh", "-c", hide, "sh", sys.executable, "-c", PROGRAM.format(fields=None)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    wanted = "UnsupportedKernelError this kernel has no type information at /sys/kernel/btf/vmlinux"
    assert done.stdout.startswith(wanted), (done.stdout, done.stderr)
