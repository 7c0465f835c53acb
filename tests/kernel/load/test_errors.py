"""What a user reads when the kernel says no."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import rawtp
from helpers.unprivileged import python

pytestmark = pytest.mark.kernel

# The interpreter that runs: Debian has no program "python".
HINT = re.compile(r"\. To see what this host allows, run: /\S+ -m rawtp check$")
ATTEMPT = """
import sys
import rawtp
try:
    rawtp.Tracer(hook=sys.argv[1])
except Exception as error:
    print(f"{type(error).__name__}: {error}")
"""


def attempt(package: Path, *prefix: str, hook: str = "auto") -> str:
    """Tries to make a tracer under ``prefix``, and gives the error as text."""
    done = subprocess.run(
        [*prefix, python(), "-c", ATTEMPT, hook],
        env={**os.environ, "PYTHONPATH": str(package), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


def as_nobody(*capabilities: str) -> list[str]:
    names = ",".join(f"+{name}" for name in capabilities)
    more = ["--inh-caps", names, "--ambient-caps", names] if names else ["--inh-caps=-all"]
    return ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs", *more]


@pytest.mark.parametrize(
    ("capabilities", "lacks"),
    [((), "CAP_BPF and CAP_PERFMON"), (("perfmon",), "CAP_BPF"), (("bpf",), "CAP_PERFMON")],
)
def test_missing_capabilities_are_named(package: Path, capabilities: tuple[str, ...], lacks: str) -> None:
    message = attempt(package, *as_nobody(*capabilities))
    assert message.startswith(
        "PermissionError: loading BPF programs needs CAP_BPF and CAP_PERFMON (root has both); "
        f"this process lacks {lacks}. Run it with: sudo /"
    )
    assert HINT.search(message)
    assert "memlock" not in message.lower()
    assert "\n" not in message


@pytest.mark.parametrize("capabilities", [("bpf", "perfmon"), ("sys_admin",)])
def test_enough_capabilities_are_enough(package: Path, capabilities: tuple[str, ...]) -> None:
    assert attempt(package, *as_nobody(*capabilities)) == ""


def test_root_of_a_user_namespace(package: Path) -> None:
    message = attempt(package, "unshare", "-Ur")
    assert message.startswith(
        "PermissionError: loading BPF programs needs CAP_BPF and CAP_PERFMON in the initial user namespace"
    )
    assert HINT.search(message)


def test_a_tracepoint_without_tracefs(package: Path) -> None:
    """Its number is root's to read; kernels before 5.15 do not come that far."""
    message = attempt(package, *as_nobody("bpf", "perfmon"), hook="tracepoint")
    refused = "PermissionError: [Errno 1] cannot attach to the tracepoints raw_syscalls: Operation not permitted"
    assert message.startswith(
        (refused, 'UnsupportedKernelError: hook="tracepoint" needs a kernel with bpf_task_pt_regs')
    )
    assert HINT.search(message)


def test_no_btf(package: Path, tmp_path: Path) -> None:
    hide = 'mount -t tmpfs none /sys/kernel/btf && exec "$@"'
    message = attempt(package, "unshare", "-m", "sh", "-c", hide, "sh")
    assert message.startswith("UnsupportedKernelError: this kernel has no type information at /sys/kernel/btf/vmlinux")
    assert "CONFIG_DEBUG_INFO_BTF" in message
    assert HINT.search(message)


def test_a_rejected_program_brings_the_verifiers_log() -> None:
    """The guide's own mistake: PT_REGS_PARM2 where PT_REGS_PARM2_CORE is needed."""
    with pytest.raises(rawtp.LoadError) as raised:
        rawtp._core._load_rejected()
    assert str(raised.value).startswith("the kernel's verifier rejected a program (")
    assert str(raised.value) == f"{raised.value.reason}; see verifier_log"
    assert "invalid mem access" in raised.value.verifier_log
    assert "PT_REGS_PARM2(regs)" in raised.value.verifier_log
    assert "-- BEGIN" not in raised.value.verifier_log
    assert isinstance(raised.value, rawtp.RawtpError)


def test_libbpf_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(rawtp.LoadError):
        rawtp._core._load_rejected()
    rawtp.Tracer().close()
    assert capfd.readouterr() == ("", "")


def test_no_descriptors_left(package: Path) -> None:
    limit = 'ulimit -n 12; exec "$@"'
    message = attempt(package, "sh", "-c", limit, "sh")
    assert message == "OSError: [Errno 24] cannot load the BPF programs: Too many open files (os error 24)"


def test_every_load_error_has_the_attributes() -> None:
    error = rawtp.LoadError("x")
    assert (error.verifier_log, error.reason, error.hint, error.command) == ("", None, None, None)


def test_not_linux() -> None:
    source = "import sys; sys.platform = 'darwin'; import rawtp"
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.endswith("ImportError: rawtp attaches BPF programs to the Linux kernel; this is darwin\n")
