"""libbpf's own lines reach nobody's standard error, whichever call it complains of, and on whichever thread."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from helpers.support import HANG_S

pytestmark = pytest.mark.kernel

# Without /sys, libbpf does not know how many CPUs there are, nor the kernel's types, and complains of both.
WITHOUT_SYS = ("unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /sys && exec "$0" "$@"')
# libbpf reads this, and complains of a value that it does not know.
ENVIRONMENT = {**os.environ, "LIBBPF_LOG_LEVEL": "nonsense"}

CALLS = {
    "tracer": "rawtp.Tracer()",
    "classic": 'rawtp.Tracer(hook="tracepoint")',
    "follow": "rawtp.Tracer(pid=os.getpid(), follow=True)",
    "cost": "rawtp.cost(0.01)",
    "check": "rawtp.check()",
    "rejected": "_core._load_rejected()",
    "attempts": "_core._attempts(12345)",
    "rings": "_core._overlaps()",
    "load": 'rawtp.run(["true"])',
}
PROGRAM = """
import os, sys, threading
import rawtp
from rawtp import _core

def attempt():
    try:
        {call}
    except (rawtp.RawtpError, OSError) as error:
        found.append(type(error).__name__)

found = []
{before}
threads = [threading.Thread(target=attempt) for _ in range(4)]
for thread in threads: thread.start()
attempt()
for thread in threads: thread.join()
print(sorted(set(found)))
"""
# At every number of descriptors that are left, something else fails.
FEW = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, ({limit}, {limit}))"


def errors_of(call: str, *command: str, before: str = "") -> list[str]:
    program = PROGRAM.format(call=call, before=before)
    done = subprocess.run(
        [*command, sys.executable, "-c", program], capture_output=True, text=True, env=ENVIRONMENT, timeout=HANG_S
    )
    assert (done.returncode, done.stderr) == (0, "")
    found: list[str] = eval(done.stdout)  # noqa: S307 - the program's own
    return found


@pytest.mark.parametrize("call", CALLS)
def test_nothing_is_printed(call: str) -> None:
    assert errors_of(CALLS[call]) == (["LoadError"] if call == "rejected" else [])


@pytest.mark.parametrize("call", CALLS)
def test_nothing_is_printed_without_sys(call: str) -> None:
    found = errors_of(CALLS[call], *WITHOUT_SYS)
    if call in {"tracer", "classic", "follow", "load"}:
        assert found != []


@pytest.mark.parametrize("call", ["tracer", "cost", "rejected", "attempts"])
@pytest.mark.slow
def test_nothing_is_printed_without_descriptors(call: str) -> None:
    for limit in range(4, 60, 5):
        errors_of(CALLS[call], before=FEW.format(limit=limit))


@pytest.mark.parametrize("arguments", [[], ["cost", "--seconds", "0.1"], ["check"], ["--", "true"]])
def test_the_command_line_says_all_of_it_itself(arguments: list[str]) -> None:
    command = [*WITHOUT_SYS, sys.executable, "-m", "rawtp", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, timeout=HANG_S)
    assert done.returncode == 1
    assert "libbpf" not in done.stderr.replace("rawtp: ", "")
    assert [line for line in done.stderr.splitlines() if not line.startswith("rawtp: ")] == []
