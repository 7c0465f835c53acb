"""Machines whose kernel allows less, or other things: what still works, and what is said of the rest."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import rawtp
from helpers.support import assert_ledger_of

VARIANT = os.environ["RAWTP_VM_KERNEL"].partition("-")[2]
LIVE = {
    "syscalls": "raw_tp/sys_enter",
    "syscall_results": "tp_btf/sys_exit",
    "io_uring": "raw_tp/io_uring_submit_req",
    "io_uring_results": "raw_tp/io_uring_complete",
    "cgroup_changes": "raw_tp/cgroup_mkdir",
    "truth": "kprobe.multi/security_path_*",
    "kernel_threads": "kprobe.multi/security_inode_*",
}


def blocked(check: rawtp.Check) -> list[str]:
    return [finding.name for finding in check.findings if finding.state == "blocked"]


def command(*arguments: str) -> tuple[int, str]:
    run = [sys.executable, "-m", "rawtp", *arguments]
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.skipif(VARIANT in ("confidentiality", "no-btf"), reason="blocked there")
def test_everything_is_live() -> None:
    with rawtp.Tracer(pid=os.getpid()) as tracer:
        assert {part: said["hook"] for part, said in tracer.coverage.items()} == LIVE
        with pytest.raises(FileNotFoundError):
            os.unlink("/tmp/none of them")  # noqa: PTH108
        event = tracer.get(timeout=60)
        assert (event["path"], event["errno"], event["comm"]) == ("/tmp/none of them", "ENOENT", "python3")
        tracer.close()
        assert_ledger_of(tracer)
    assert rawtp.check().ok
    assert command("check")[0] == 0


@pytest.mark.skipif(VARIANT != "integrity", reason="another variant")
def test_lockdown_to_integrity_changes_nothing() -> None:
    lockdown = rawtp.check()["lockdown"]
    assert (lockdown.state, lockdown.detail) == ("ok", "integrity")


@pytest.mark.skipif(VARIANT != "confidentiality", reason="another variant")
def test_lockdown_to_confidentiality_is_said() -> None:
    with pytest.raises(PermissionError, match=r"locked down to confidentiality: .*lockdown=integrity") as refused:
        rawtp.Tracer()
    assert "-m rawtp check" in str(refused.value)
    check = rawtp.check()
    assert "lockdown" in blocked(check)
    assert set(blocked(check)) <= {"lockdown", *LIVE}
    assert not check.ok
    status, said = command("check")
    assert status == 1
    assert "lockdown=integrity" in said
    status, said = command("-d", "1")
    assert status == 1
    assert "locked down to confidentiality" in said
    assert "Traceback" not in said


@pytest.mark.skipif(VARIANT != "no-btf", reason="another variant")
def test_a_kernel_without_types_is_said() -> None:
    with pytest.raises(rawtp.UnsupportedKernelError, match=r"no type information at /sys/kernel/btf/vmlinux"):
        rawtp.Tracer()
    check = rawtp.check()
    assert "btf" in blocked(check)
    assert set(blocked(check)) <= {"btf", *LIVE}
    status, said = command("check")
    assert status == 1
    assert "CONFIG_DEBUG_INFO_BTF" in said
    assert "Traceback" not in said


@pytest.mark.skipif(VARIANT != "one-lsm", reason="another variant")
def test_the_security_modules_are_told() -> None:
    lsm = rawtp.check()["lsm"]
    assert lsm.state == "ok"
    assert "bpf" in lsm.detail.split(", ")
    assert "apparmor" not in lsm.detail


@pytest.mark.skipif(VARIANT != "cgroup1", reason="another variant")
def test_cgroups_of_version_1_alone() -> None:
    cgroup = rawtp.check()["cgroup"]
    assert (cgroup.state, "version 1" in cgroup.detail) == ("ok", True)
