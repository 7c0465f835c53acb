"""What the steps to a tracer mean, whichever way they go."""

from __future__ import annotations

import errno

import pytest

from rawtp._check import attempts
from rawtp._check.finding import Finding
from rawtp._check.host import Environment
from rawtp.event import Hook

USER = Environment("/usr/bin/python3", root=False)
IN_DOCKER = Environment("/usr/bin/python3", root=True, engine="docker")
DOCKER_RUN = "docker run --cap-add BPF --cap-add PERFMON {}IMAGE /usr/bin/python3 -m rawtp"
MIB = 1 << 20


def test_names_of_types() -> None:
    assert attempts.has_type(b"\0bpf_map\0bpf_map_memory\0", "bpf_map_memory")
    assert not attempts.has_type(b"\0bpf_map_memory_alloc\0my_bpf_map_memory\0", "bpf_map_memory")


@pytest.mark.parametrize(
    ("mode", "step", "capable", "state", "detail"),
    [
        ("0", errno.EPERM, True, "ok", "no filter"),
        (None, errno.EINVAL, True, "ok", "not known: /proc does not say"),
        ("2", errno.EINVAL, False, "ok", "a filter, which lets bpf(2) through"),
        ("2", errno.EPERM, False, "ok", "a filter; whether it forbids bpf(2) shows only with the capabilities"),
        ("2", errno.EPERM, True, "blocked", "a filter, which forbids bpf(2): EPERM, Operation not permitted"),
        ("2", errno.ENOSYS, True, "blocked", "a filter, which forbids bpf(2): ENOSYS, Function not implemented"),
    ],
)
def test_seccomp(mode: str | None, step: int, capable: bool, state: str, detail: str) -> None:
    finding = attempts.seccomp(mode, step, capable, IN_DOCKER)
    assert (finding.state, finding.detail) == (state, detail)
    assert finding.advice == (DOCKER_RUN.format("--security-opt seccomp=unconfined ") if state == "blocked" else None)


@pytest.mark.parametrize(
    ("limit", "step", "counted", "unexplained", "state", "detail"),
    [
        (-1, errno.EPERM, True, True, "ok", "unlimited"),
        (64 << 10, 0, False, False, "ok", "64 KiB, to which this kernel counts no BPF maps: a ring of 4 MiB was made"),
        (8 << 20, 0, False, False, "ok", "8 MiB, to which this kernel counts no BPF maps"),
        # 5.10: root's libbpf has raised it, and nobody's cannot.
        (64 << 10, 0, True, False, "ok", "64 KiB, which this process may raise: a ring of 4 MiB was made"),
        (
            64 << 10,
            errno.EPERM,
            True,
            True,
            "blocked",
            "64 KiB, to which this kernel counts BPF maps: 4 MiB and more are needed",
        ),
        # The ring has found room, and the maps beside it have not.
        (5 << 20, 0, True, True, "blocked", "5 MiB, to which this kernel counts BPF maps: 4 MiB and more are needed"),
        (64 << 10, errno.EPERM, True, False, "ok", "64 KiB"),
        (64 << 10, errno.EPERM, None, True, "ok", "64 KiB"),
        (64 << 10, errno.EPERM, False, True, "ok", "64 KiB, to which this kernel counts no BPF maps"),
    ],
)
def test_memlock(limit: int, step: int, counted: bool | None, unexplained: bool, state: str, detail: str) -> None:
    finding = attempts.memlock(limit, 4 * MIB, step, counted=counted, unexplained=unexplained)
    assert (finding.state, finding.detail) == (state, detail)
    assert finding.advice == (
        "ulimit -l unlimited (a service's unit: LimitMEMLOCK=infinity)" if state == "blocked" else None
    )


@pytest.mark.parametrize(
    ("step", "cause", "what", "advice"),
    [
        (errno.EPERM, "do that", "EPERM, Operation not permitted", "do that"),
        (errno.EPERM, None, "EPERM, Operation not permitted", "sudo /usr/bin/python3 -m rawtp"),
        (
            errno.ENOMEM,
            "do that",
            "ENOMEM, Cannot allocate memory",
            "ask for less: sudo /usr/bin/python3 -m rawtp --ring-bytes 262144",
        ),
        (errno.EMFILE, None, "EMFILE, Too many open files", "ulimit -n 1024"),
        (
            errno.EINVAL,
            None,
            "EINVAL, Invalid argument",
            "boot Linux 5.10 or later with CONFIG_BPF_SYSCALL and CONFIG_BPF_EVENTS: uname -r",
        ),
        (
            4095,
            None,
            "4095, Unknown error 4095",
            "boot Linux 5.10 or later with CONFIG_BPF_SYSCALL and CONFIG_BPF_EVENTS: uname -r",
        ),
    ],
)
def test_a_step_that_failed(step: int, cause: str | None, what: str, advice: str) -> None:
    detail = f"one of 4 MiB could not be made: {what}"
    assert attempts.ring_buffer(4 * MIB, step, cause, USER) == Finding("ring_buffer", "blocked", detail, advice)
    detail = f"a program could not be loaded: {what}"
    assert attempts.raw_tp(step, 0, cause, USER) == Finding("raw_tp", "blocked", detail, advice)
    detail = f"a program could not be attached to raw_tp/sys_enter: {what}"
    assert attempts.raw_tp(0, step, cause, USER) == Finding("raw_tp", "blocked", detail, advice)


def test_steps_that_went_well() -> None:
    assert attempts.ring_buffer(MIB, 0, "do that", USER) == Finding("ring_buffer", "ok", "one of 1 MiB was made", None)
    detail = "a program was loaded and attached to raw_tp/sys_enter"
    assert attempts.raw_tp(0, 0, "do that", USER) == Finding("raw_tp", "ok", detail, None)


def hook(name: str | None, reason: str | None = None) -> Hook:
    return {"hook": name, "reason": reason}


def test_what_a_tracer_sees() -> None:
    preempted = "this kernel preempts programs of raw tracepoints"
    exact = attempts.findings_with_tracer({"syscalls": hook("tracepoint/raw_syscalls/sys_enter", preempted)}, USER)
    assert exact == [Finding("syscalls", "ok", f"tracepoint/raw_syscalls/sys_enter: {preempted}", None)]
    coverage = {
        "syscalls": hook("raw_tp/sys_enter", preempted),
        "io_uring": hook(None, "this kernel has no tracepoint a or b"),
        "syscall_results": hook("tp_btf/sys_exit"),
        "io_uring_results": hook(None, "it has none"),
    }
    missing = f"raw_tp/sys_enter; events can be missed: {preempted}"
    rest = [
        Finding(
            "io_uring",
            "degraded",
            "what io_uring's requests delete is not seen: this kernel has no tracepoint a or b",
            None,
        ),
        Finding("syscall_results", "ok", "tp_btf/sys_exit", None),
        Finding(
            "io_uring_results",
            "degraded",
            "ret, errno and duration_ns of io_uring's requests are None: it has none",
            None,
        ),
    ]
    assert attempts.findings_with_tracer(coverage, USER) == [
        Finding("syscalls", "degraded", missing, "sudo /usr/bin/python3 -m rawtp"),
        *rest,
    ]
    advice = DOCKER_RUN.format("-v /sys/kernel/tracing:/sys/kernel/tracing:ro ")
    assert attempts.findings_with_tracer(coverage, IN_DOCKER) == [
        Finding("syscalls", "degraded", missing, advice),
        *rest,
    ]


def test_a_hook_on_functions_is_whole_absent_or_preempted() -> None:
    def finding(hook: str | None, reason: str | None) -> Finding:
        [found] = attempts.findings_with_tracer({"truth": {"hook": hook, "reason": reason}}, USER)
        return found

    detail = 'kprobe/security_path_*, as of hook="vfs"'
    assert finding("kprobe/security_path_*", None) == Finding("truth", "ok", detail, None)
    missing = 'fentry/security_path_*, as of hook="vfs"; it can be missed: it is preempted'
    assert finding("fentry/security_path_*", "it is preempted") == Finding("truth", "degraded", missing, None)
    none = "the keys of the file itself are None where only the kernel's own functions tell it"
    none += ', and hook="vfs" is not possible: EPERM'
    advice = (
        "a kernel has these hooks with CONFIG_KPROBES, CONFIG_FPROBE or CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS, where"
        " no security module or hypervisor forbids them"
    )
    assert finding(None, "EPERM") == Finding("truth", "degraded", none, advice)


def test_without_a_tracer_the_kernels_types_tell() -> None:
    # Linux 6.1 and before have the older name of the tracepoint.
    btf = b"\0btf_trace_sys_exit\0btf_trace_io_uring_submit_sqe\0security_path_unlink\0security_inode_unlink\0"
    untried = "; only a tracer tells whether it can be used"
    assert attempts.findings_without_tracer("it is so", "do that", btf) == [
        Finding("syscalls", "blocked", "it is so", "do that"),
        Finding("io_uring", "unknown", f"this kernel has raw_tp/io_uring_submit_sqe{untried}", None),
        Finding("syscall_results", "unknown", f"this kernel has tp_btf/sys_exit{untried}", None),
        Finding(
            "io_uring_results",
            "degraded",
            "ret, errno and duration_ns of io_uring's requests are None: this kernel has no raw_tp/io_uring_complete",
            None,
        ),
        Finding(
            "cgroup_changes",
            "degraded",
            "container_id, pod_id and unit are None where the cgroup is gone when the event is read: this kernel has "
            "no raw_tp/cgroup_mkdir",
            None,
        ),
        Finding("truth", "unknown", f"this kernel has security_path_unlink{untried}", None),
        Finding("kernel_threads", "unknown", f"this kernel has security_inode_unlink{untried}", None),
    ]
    unknown = attempts.findings_without_tracer("it is so", None, None)
    assert [finding.state for finding in unknown] == ["blocked", *["degraded"] * 6]
    assert unknown[1].detail.endswith("is not seen: not known without the kernel's types")


def test_what_works_is_not_blocked() -> None:
    blocked = Finding("lockdown", "blocked", "confidentiality", "boot")
    assert attempts.downgrade(blocked) == Finding(
        "lockdown", "ok", "confidentiality; a tracer works all the same", None
    )
    degraded = Finding("cgroup", "degraded", "none", "mount")
    assert attempts.downgrade(degraded) is degraded
