"""A check as data, as lines and as a command, on hosts that are made up."""

from __future__ import annotations

import dataclasses
import errno
import json
import shlex
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

import rawtp
from helpers.errors import advised
from helpers.pages import section
from rawtp import _check
from rawtp.cli import main

FINDINGS = (
    rawtp.Finding("btf", "ok", "there", None),
    rawtp.Finding("capabilities", "blocked", "lacks\x1b[2J CAP_BPF", "sudo python"),
    rawtp.Finding("raw_tp", "blocked", "EPERM", "sudo python"),
    rawtp.Finding("io_uring", "degraded", "not seen", "upgrade"),
)
LINES = """\
btf           ok        there
capabilities  blocked   lacks\\x1b[2J CAP_BPF
                        sudo python
raw_tp        blocked   EPERM
io_uring      degraded  not seen
                        upgrade"""

NAMES = (
    *("kernel", "architecture", "btf", "capabilities", "unprivileged_bpf_disabled", "user_namespace", "container"),
    *("cgroup", "lockdown", "seccomp", "lsm", "memlock", "memory", "ring_buffer", "raw_tp"),
    *("syscalls", "io_uring", "syscall_results", "io_uring_results", "cgroup_changes", "truth", "kernel_threads"),
)
HOST = {
    "/proc/thread-self/status": "CapEff:\t000001ffffffffff\nCapBnd:\t000001ffffffffff\nNoNewPrivs:\t0\nSeccomp:\t0\n",
    "/proc/self/ns/cgroup": "cgroup:[4026531835]",
    "/proc/self/ns/ipc": "ipc:[4026531839]",
    "/proc/self/ns/pid": "pid:[4026531836]",
    "/proc/self/ns/user": "user:[4026531837]",
    "/proc/self/ns/uts": "uts:[4026531838]",
    "/proc/self/uid_map": "0 0 4294967295\n",
    "/proc/self/mountinfo": "31 23 0:27 / /sys/fs/cgroup rw - cgroup2 none rw\n",
    "/proc/meminfo": "MemAvailable: 24684100 kB\n",
    "/proc/sys/kernel/unprivileged_bpf_disabled": "2\n",
    "/sys/kernel/security/lsm": "capability,apparmor",
    "/sys/kernel/security/lockdown": "[none] integrity confidentiality\n",
    "/proc/thread-self/attr/current": "docker-default (enforce)\n",
    "/sys/kernel/btf/vmlinux": "\x9f\xeb\x01\0btf_trace_sys_exit\0",
}
WELL = [("bpf", errno.EINVAL), ("ring_buffer", 0), ("raw_tp_load", 0), ("raw_tp_attach", 0)]
REFUSED = [("bpf", errno.EINVAL), ("ring_buffer", errno.EPERM), ("raw_tp_load", errno.EPERM)]


class PretendTracer:
    coverage = {  # noqa: RUF012
        "syscalls": {"hook": "raw_tp/sys_enter", "reason": None},
        "io_uring": {"hook": "raw_tp/io_uring_submit_req", "reason": None},
        "syscall_results": {"hook": "tp_btf/sys_exit", "reason": None},
        "io_uring_results": {"hook": "raw_tp/io_uring_complete", "reason": None},
        "cgroup_changes": {"hook": "raw_tp/cgroup_mkdir", "reason": None},
        "truth": {"hook": "kprobe.multi/security_path_*", "reason": None},
        "kernel_threads": {"hook": "kprobe.multi/security_inode_*", "reason": None},
    }

    def __init__(self, *_: object, **options: object) -> None:
        assert options["ring_bytes"] == 4 << 20

    def __enter__(self) -> PretendTracer:
        return self

    def __exit__(self, *_: object) -> None:
        pass


Pretend = Callable[..., rawtp.Check]


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch) -> Pretend:
    """A check on a host with these texts (``None``: not there), steps, and refusal of a tracer."""

    def check(
        *, steps: list[tuple[str, int]] = WELL, refusal: Exception | None = None, limit: int = -1, **texts: str | None
    ) -> rawtp.Check:
        host = {**HOST, **{next(path for path in HOST if path.endswith(end)): text for end, text in texts.items()}}

        def read(path: str, most: int) -> bytes | None:
            text = host[path]
            return None if text is None else text.encode("latin-1")[:most]

        def tracer(*given: object, **options: object) -> PretendTracer:
            if refusal is not None:
                raise refusal
            return PretendTracer(*given, **options)

        monkeypatch.setattr(_check, "_read_bytes", read)
        monkeypatch.setattr(_check, "_link", lambda path: host[path])
        monkeypatch.setattr(_check, "_MARKS", ())
        monkeypatch.setattr("resource.getrlimit", lambda _: (limit, limit))
        monkeypatch.setattr("sys.executable", "/usr/bin/python3")
        monkeypatch.setattr("os.geteuid", lambda: 1000)
        monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
        monkeypatch.setattr(_check, "_attempts", lambda _: steps)
        monkeypatch.setattr(_check, "Tracer", tracer)
        return rawtp.check()

    return check


def blocked(check: rawtp.Check) -> list[str]:
    return [finding.name for finding in check.findings if finding.state == "blocked"]


def test_data() -> None:
    check = rawtp.Check(FINDINGS)
    assert not check.ok
    assert rawtp.Check(FINDINGS[3:]).ok
    assert check["raw_tp"] is FINDINGS[2]
    with pytest.raises(KeyError, match="kprobe"):
        check["kprobe"]
    with pytest.raises(dataclasses.FrozenInstanceError):
        check.findings[0].state = "ok"  # type: ignore[misc]
    dict_ = check.as_dict()
    assert json.loads(json.dumps(dict_)) == dict_
    assert list(dict_) == ["ok", "findings"]
    assert dict_["findings"][3] == {"name": "io_uring", "state": "degraded", "detail": "not seen", "advice": "upgrade"}


def test_lines_obey_no_name_and_say_nothing_twice() -> None:
    assert str(rawtp.Check(FINDINGS)) == LINES


def test_all_is_well(on: Pretend) -> None:
    check = on()
    assert tuple(finding.name for finding in check.findings) == NAMES
    assert {finding.name: finding.state for finding in check.findings if finding.state != "ok"} == {}
    assert check["lsm"].detail == "capability, apparmor; this process is docker-default (enforce)"
    assert check["memlock"].detail == "unlimited"
    assert check.ok


def test_missing_capabilities_come_first(on: Pretend) -> None:
    hint = "Run it with: sudo x. To see what this host allows, run: python -m rawtp check"
    refusal = advised(PermissionError, "it lacks it", hint)
    check = on(steps=REFUSED, refusal=refusal, status="CapEff: 0\nCapBnd: 1ffffffffff\nSeccomp: 2\n", limit=65536)
    assert blocked(check) == ["capabilities", "ring_buffer", "raw_tp", "syscalls"]
    assert {check[name].advice for name in blocked(check)} == {"sudo /usr/bin/python3 -m rawtp"}
    assert check["syscalls"].detail == "it lacks it"


@pytest.mark.parametrize("limits", ["CapBnd: 0", "CapBnd: 1ffffffffff\nNoNewPrivs: 1"])
def test_where_sudo_is_no_help(limits: str, on: Pretend) -> None:
    check = on(steps=REFUSED, refusal=PermissionError(1, "no"), status=f"CapEff: 0\n{limits}\n")
    assert check["capabilities"].advice == "from a shell without these limits: sudo /usr/bin/python3 -m rawtp"


def test_sudo_is_no_help_in_a_user_namespace(on: Pretend) -> None:
    texts: dict[str, Any] = {"ns/user": "user:[7]", "status": "CapEff: 0\nCapBnd: 1ffffffffff\n"}
    check = on(steps=REFUSED, refusal=PermissionError("no"), **texts)
    assert blocked(check) == ["capabilities", "user_namespace", "ring_buffer", "raw_tp", "syscalls"]
    assert check["capabilities"].advice == "from a shell without these limits: sudo /usr/bin/python3 -m rawtp"


def test_memlock_is_to_blame_where_the_kernel_counts_to_it(on: Pretend) -> None:
    old = HOST["/sys/kernel/btf/vmlinux"] + "bpf_map_memory\0"
    check = on(steps=REFUSED, refusal=PermissionError("no"), vmlinux=old, limit=65536)
    assert blocked(check) == ["memlock", "ring_buffer", "raw_tp", "syscalls"]
    assert check["ring_buffer"].advice == check["memlock"].advice


def test_a_security_module_is_to_blame_where_nothing_else_is(on: Pretend) -> None:
    check = on(steps=REFUSED, refusal=PermissionError("no"), limit=65536)
    assert blocked(check) == ["lsm", "ring_buffer", "raw_tp", "syscalls"]
    assert check["syscalls"].advice == "sudo dmesg | grep -iE 'apparmor|avc|lsm|bpf'"


def test_a_filter_is_to_blame(on: Pretend) -> None:
    steps = [("bpf", errno.EPERM), *REFUSED[1:]]
    status = HOST["/proc/thread-self/status"].replace("Seccomp:\t0", "Seccomp:\t2")
    assert blocked(on(steps=steps, refusal=PermissionError("no"), status=status)) == [
        *("seccomp", "ring_buffer", "raw_tp", "syscalls"),
    ]


def test_the_verifiers_reason(on: Pretend) -> None:
    refusal = rawtp.LoadError("the verifier rejected a program; see verifier_log")
    refusal.reason = "the verifier rejected a program"
    refusal.verifier_log = "0: R1=ctx()\nR1 invalid mem access 'scalar'\nprocessed 1 insns\n\n"
    check = on(refusal=refusal)
    assert blocked(check) == ["syscalls"]
    assert check["syscalls"].detail == "the verifier rejected a program: R1 invalid mem access 'scalar'"
    assert check["syscalls"].advice == "report it, with the output of: /usr/bin/python3 -m rawtp check --json"
    assert check["io_uring_results"].state == "degraded"
    with_lockdown = on(refusal=refusal, lockdown="none integrity [confidentiality]")
    assert blocked(with_lockdown) == ["lockdown", "syscalls"]
    assert with_lockdown["syscalls"].advice == with_lockdown["lockdown"].advice


def test_what_works_outweighs_what_is_read(on: Pretend) -> None:
    check = on(
        lockdown="none integrity [confidentiality]",
        status="CapEff: 0\n",
        vmlinux=None,
        **{"ns/user": "user:[7]"},
    )
    assert check.ok
    for name in ("lockdown", "capabilities", "btf", "user_namespace"):
        assert check[name].detail.endswith("; a tracer works all the same")


def test_nothing_can_be_read(on: Pretend) -> None:
    nothing: dict[str, Any] = dict.fromkeys((path.removeprefix("/") for path in HOST), None)
    check = on(**nothing)
    assert tuple(finding.name for finding in check.findings) == NAMES
    assert check.ok
    assert [finding.name for finding in check.findings if finding.state == "degraded"] == ["cgroup"]


def test_hostile_text_is_shown_as_escapes(on: Pretend) -> None:
    check = on(**{"attr/current": "\x1b]0;x\x07\xff", "lsm": "a\nraw_tp ok"})
    [line] = [line for line in str(check).splitlines() if line.startswith("lsm ")]
    assert line.endswith(r"a\x0araw_tp ok; this process is \x1b]0;x\x07\\xff")
    assert json.loads(json.dumps(check.as_dict())) == check.as_dict()


@pytest.mark.parametrize(("findings", "code"), [(FINDINGS, 1), (FINDINGS[3:], 0)])
def test_command(
    findings: tuple[rawtp.Finding, ...],
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    check = rawtp.Check(findings)
    monkeypatch.setattr(rawtp, "check", lambda: check)
    assert main(["check"]) == code
    assert capsys.readouterr() == (f"{check}\n", "")
    assert main(["check", "--json"]) == code
    assert json.loads(capsys.readouterr().out) == check.as_dict()


@pytest.mark.parametrize("wrong", ["--colour", "-d", "more"])
def test_wrong_usage(wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", wrong]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == f"rawtp: error: unrecognized arguments: {wrong}"


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--help"]) == 0
    assert "--json" in capsys.readouterr().out
    assert main(["--help"]) == 0
    assert f"{shlex.quote(sys.executable)} -m rawtp check\n" in capsys.readouterr().out


def test_only_who_asks_pays_for_it() -> None:
    source = "import sys, rawtp; print('rawtp._check' in sys.modules, callable(rawtp.check), rawtp.Finding.__name__)"
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("False True Finding\n", "")


def test_the_page_shows_every_finding() -> None:
    shown = section("docs/troubleshooting.md", "$ .venv/bin/rawtp check\n", "```").splitlines()[1:]
    assert [line.split()[0] for line in shown if not line.startswith(" ")] == list(NAMES)
