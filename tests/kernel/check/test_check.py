"""What the check finds under real privileges, and that it is what a tracer finds."""

from __future__ import annotations

import contextlib
import json
import os
import re
import resource
import subprocess
from pathlib import Path
from typing import Any

import pytest

import rawtp
from helpers.support import HANG_S
from helpers.unprivileged import python

pytestmark = pytest.mark.kernel

NAMES = (
    *("kernel", "architecture", "btf", "capabilities", "unprivileged_bpf_disabled", "user_namespace", "container"),
    *("cgroup", "lockdown", "seccomp", "lsm", "memlock", "memory", "ring_buffer", "raw_tp"),
    *("syscalls", "io_uring", "syscall_results", "io_uring_results", "cgroup_changes", "truth", "kernel_threads"),
)
PYTHON = python()
LACKS = (
    "loading BPF programs needs CAP_BPF and CAP_PERFMON (root has both); this process lacks {}",
    "one of 4 MiB could not be made: EPERM, Operation not permitted",
    "a program could not be loaded: EPERM, Operation not permitted",
)
# What docker and podman grant by default.
CONTAINERS = "chown,dac_override,fowner,fsetid,kill,setgid,setuid,setpcap,net_bind_service,net_raw,sys_chroot,setfcap"


def unlimited() -> None:
    """Kernels before 5.11 count BPF maps to a limit that is 64 KiB on many hosts. Where root may not raise it, they do
    not."""
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def run(package: Path, *prefix: str, options: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*prefix, PYTHON, "-m", "rawtp", "check", *options],
        env={**os.environ, "PYTHONPATH": str(package), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=HANG_S,
        cwd=package,
        preexec_fn=unlimited,
    )


def found(package: Path, *prefix: str, code: int) -> dict[str, dict[str, Any]]:
    """The findings by name, under ``prefix``."""
    done = run(package, *prefix, options=("--json",))
    assert (done.returncode, done.stderr) == (code, "")
    check = json.loads(done.stdout)
    assert check["ok"] is (code == 0)
    findings = {finding["name"]: finding for finding in check["findings"]}
    assert tuple(findings) == NAMES
    for finding in findings.values():
        assert finding["state"] in {"ok", "degraded", "unknown", "blocked"}
        assert finding["advice"] if finding["state"] == "blocked" else True
    return findings


def blocked(findings: dict[str, dict[str, Any]]) -> list[str]:
    return [name for name, finding in findings.items() if finding["state"] == "blocked"]


def as_nobody(*capabilities: str) -> list[str]:
    names = ",".join(f"+{name}" for name in capabilities)
    more = ["--inh-caps", names, "--ambient-caps", names] if names else ["--inh-caps=-all"]
    return ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *more]


def with_no_more(capabilities: str) -> list[str]:
    """Root of a container: its namespaces, and these capabilities."""
    bounds = ",".join(f"+{name}" for name in capabilities.split(","))
    return ["unshare", "-ipuC", "--fork", "setpriv", f"--bounding-set=-all,{bounds}", "--inh-caps=-all"]


def ring_buffers_are_for_all() -> bool:
    """Where the sysctl is 0, the kernel lets everybody make one."""
    return Path("/proc/sys/kernel/unprivileged_bpf_disabled").read_text().strip() == "0"


@pytest.mark.parametrize(
    ("capabilities", "lacks", "expected"),
    [
        ((), "CAP_BPF and CAP_PERFMON", ["capabilities", "ring_buffer", "raw_tp", "syscalls"]),
        (("perfmon",), "CAP_BPF", ["capabilities", "ring_buffer", "raw_tp", "syscalls"]),
        (("bpf",), "CAP_PERFMON", ["capabilities", "raw_tp", "syscalls"]),
    ],
)
def test_missing_capabilities(capabilities: tuple[str, ...], lacks: str, expected: list[str], package: Path) -> None:
    findings = found(package, *as_nobody(*capabilities), code=1)
    if ring_buffers_are_for_all():
        expected = [name for name in expected if name != "ring_buffer"]
    assert blocked(findings) == expected
    assert findings["capabilities"]["detail"] == f"lacks {lacks}"
    details = {"syscalls": LACKS[0].format(lacks), "ring_buffer": LACKS[1], "raw_tp": LACKS[2]}
    for name in expected[1:]:
        assert findings[name]["detail"] == details[name]
    advice = {findings[name]["advice"] for name in expected}
    assert len(advice) == 1
    if findings["container"]["detail"] == "none":
        assert advice == {f"sudo {PYTHON} -m rawtp"}
    # What needs no privilege is known all the same.
    assert (findings["btf"]["state"], findings["syscall_results"]["state"]) == ("ok", "unknown")
    detail = "this kernel has tp_btf/sys_exit; only a tracer tells whether it can be used"
    assert findings["syscall_results"]["detail"] == detail


@pytest.mark.parametrize("capabilities", [("bpf", "perfmon"), ("sys_admin",)])
def test_enough_capabilities(capabilities: tuple[str, ...], package: Path) -> None:
    findings = found(package, *as_nobody(*capabilities), code=0)
    assert blocked(findings) == []
    needed = "CAP_SYS_ADMIN" if capabilities == ("sys_admin",) else "CAP_BPF and CAP_PERFMON"
    assert findings["capabilities"]["detail"] == f"{needed}, in effect"
    assert findings["raw_tp"]["detail"] == "a program was loaded and attached to raw_tp/sys_enter"


def test_root_of_a_user_namespace(package: Path) -> None:
    findings = found(package, "unshare", "-Ur", code=1)
    expected = ["user_namespace", "ring_buffer", "raw_tp", "syscalls"]
    assert blocked(findings) == [name for name in expected if name != "ring_buffer" or not ring_buffers_are_for_all()]
    assert findings["capabilities"]["detail"] == "CAP_BPF and CAP_PERFMON, in effect"
    uid = os.geteuid()
    assert findings["user_namespace"]["detail"] == (
        f"not the initial one, where capabilities count (uid_map: 0 {uid} 1)"
    )
    assert findings["user_namespace"]["advice"] == f"outside of it: sudo {PYTHON} -m rawtp"
    assert findings["syscalls"]["detail"].startswith(
        "loading BPF programs needs CAP_BPF and CAP_PERFMON in the initial"
    )


def test_without_types(package: Path) -> None:
    hide = 'mount -t tmpfs none /sys/kernel/btf && exec "$@"'
    findings = found(package, "unshare", "-m", "sh", "-c", hide, "sh", code=1)
    assert blocked(findings) == ["btf", "syscalls"]
    assert findings["btf"]["detail"] == "/sys/kernel/btf/vmlinux is not there"
    assert findings["syscalls"]["detail"].startswith("this kernel has no type information at /sys/kernel/btf/vmlinux")
    assert findings["syscalls"]["detail"].endswith("in a container, mount /sys)")
    assert findings["io_uring"]["detail"].endswith("not known without the kernel's types")


def test_a_container_with_both_is_enough(package: Path) -> None:
    """What is advised: docker's default capabilities, and these two."""
    findings = found(package, *with_no_more(f"{CONTAINERS},bpf,perfmon"), code=0)
    assert findings["container"]["state"] == "degraded"
    assert ": cgroup, ipc, pid, uts; pid, ppid and Tracer(pid=) are" in findings["container"]["detail"]
    assert findings["cgroup"]["state"] == "degraded"
    with_handles = found(package, *with_no_more(f"{CONTAINERS},bpf,perfmon,dac_read_search"), code=0)
    assert with_handles["cgroup"]["state"] == "ok"
    without = found(package, *with_no_more(CONTAINERS), code=1)
    assert blocked(without)[0] == "capabilities"
    docker = "docker run --cap-add BPF --cap-add PERFMON IMAGE"
    elsewhere = "from a shell without these limits: sudo"
    assert without["capabilities"]["advice"] == (
        f"{docker if Path('/.dockerenv').exists() else elsewhere} {PYTHON} -m rawtp"
    )


FILTERED = """
import ctypes, os, platform, struct, sys
machine = platform.machine()
nr = {"x86_64": 321, "aarch64": 280}[machine]
# Load the call's number; bpf(2) gets EPERM, the rest is allowed.
code = [(0x20, 0, 0, 0), (0x15, 0, 1, nr), (0x06, 0, 0, 0x50001), (0x06, 0, 0, 0x7FFF0000)]
filter = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in code))
program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(code), ctypes.addressof(filter)))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(22, 2, ctypes.c_void_p(ctypes.addressof(program)), 0, 0) == 0, os.strerror(ctypes.get_errno())
os.execv(sys.argv[1], sys.argv[1:])
"""


def test_a_filter_that_forbids_bpf(package: Path) -> None:
    findings = found(package, PYTHON, "-c", FILTERED, code=1)
    assert blocked(findings) == ["seccomp", "ring_buffer", "raw_tp", "syscalls"]
    assert findings["seccomp"]["detail"] == "a filter, which forbids bpf(2): EPERM, Operation not permitted"


def test_a_filter_that_does_not(package: Path) -> None:
    findings = found(
        package,
        PYTHON,
        "-c",
        FILTERED.replace('"x86_64": 321, "aarch64": 280', '"": 0').replace("[machine]", ".get(machine, 4095)"),
        code=0,
    )
    assert findings["seccomp"]["detail"] == "a filter, which lets bpf(2) through"


def test_a_small_memlock_is_tried(package: Path) -> None:
    limited = ("sh", "-c", 'ulimit -l 64; exec "$@"', "sh")
    done = run(package, *limited, *as_nobody("bpf", "perfmon"), options=("--json",))
    findings = {finding["name"]: finding for finding in json.loads(done.stdout)["findings"]}
    memlock, ring = findings["memlock"], findings["ring_buffer"]
    if ring["state"] == "ok":
        assert (memlock["state"], memlock["detail"]) == (
            "ok",
            "64 KiB, to which this kernel counts no BPF maps: a ring of 4 MiB was made",
        )
    else:  # before 5.11
        assert (memlock["state"], done.returncode) == ("blocked", 1)
        assert memlock["advice"] == ring["advice"] == "ulimit -l unlimited (a service's unit: LimitMEMLOCK=infinity)"


def test_no_descriptors_left(package: Path) -> None:
    findings = found(package, "sh", "-c", 'ulimit -n 12; exec "$@"', "sh", code=1)
    assert blocked(findings) == ["syscalls"]
    assert findings["syscalls"]["detail"] == "cannot load the BPF programs: Too many open files (os error 24)"
    assert findings["syscalls"]["advice"] == "ulimit -n 1024"


def test_without_proc(package: Path) -> None:
    hide = 'mount -t tmpfs none /proc && exec "$@"'
    findings = found(package, "unshare", "-m", "sh", "-c", hide, "sh", code=0)
    for name in ("capabilities", "user_namespace", "container", "seccomp", "memory"):
        assert (findings[name]["state"], findings[name]["detail"]) == ("ok", "not known: /proc does not say")


def test_lines(package: Path) -> None:
    done = run(package, *as_nobody())
    assert (done.returncode, done.stderr) == (1, "")
    lines = done.stdout.splitlines()
    width = len("unprivileged_bpf_disabled")
    heads = [line for line in lines if not line.startswith(" ")]
    assert [line[:width].rstrip() for line in heads] == list(NAMES)
    assert {line[width : width + 12] for line in heads} <= {
        "  ok        ",
        "  degraded  ",
        "  unknown   ",
        "  blocked   ",
    }
    at = next(number for number, line in enumerate(lines) if line.startswith("capabilities "))
    assert re.fullmatch(r"capabilities +blocked   lacks CAP_BPF and CAP_PERFMON", lines[at])
    assert (
        lines[at + 1]
        == " " * (width + 12)
        + json.loads(run(package, *as_nobody(), options=("--json",)).stdout)["findings"][3]["advice"]
    )


def test_it_says_what_a_tracer_covers(own: rawtp.Tracer) -> None:
    check = rawtp.check()
    assert check.ok
    for name, part in own.coverage.items():
        assert part["hook"] is None or check[name].detail.startswith(part["hook"])
        assert (part["hook"] is None) <= (check[name].state == "degraded")
    assert list(own.coverage) == list(NAMES[-7:])


def test_nothing_is_left_behind() -> None:
    def state() -> tuple[set[str], int]:
        return set(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))  # noqa: PTH208

    before = state()
    assert rawtp.check().ok
    assert state() == before
