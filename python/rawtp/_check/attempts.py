"""Findings from the steps to a tracer, tried for real. Pure: an ``errno`` or a tracer's coverage to findings."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from rawtp._check.finding import Finding
from rawtp._check.host import Environment, mib

if TYPE_CHECKING:
    from rawtp.event import Hook

_UNLIMITED = -1  # resource.RLIM_INFINITY
LOST = {
    "io_uring": "what io_uring's requests delete is not seen",
    "syscall_results": "ret, errno and duration_ns are None",
    "io_uring_results": "ret, errno and duration_ns of io_uring's requests are None",
    "cgroup_changes": "container_id, pod_id and unit are None where the cgroup is gone when the event is read",
    "truth": "the keys of the file itself are None where only the kernel's own functions tell it",
    "kernel_threads": "what the kernel's own threads remove, such as an NFS server's, is not seen",
}
"""What is lost where a part of a tracer's coverage has no hook."""
_OF_FUNCTIONS = ("truth", "kernel_threads")
_FUNCTIONS = (
    "a kernel has these hooks with CONFIG_KPROBES, CONFIG_FPROBE or CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS, where no"
    " security module or hypervisor forbids them"
)
_VFS = ', as of hook="vfs"'
# For each part, the hooks that kernels have for it. A kernel with one of them has a type or a function of its name.
_HOOKS = {
    "io_uring": ("raw_tp/io_uring_submit_req", "raw_tp/io_uring_submit_sqe"),
    "syscall_results": ("tp_btf/sys_exit",),
    "io_uring_results": ("raw_tp/io_uring_complete",),
    "cgroup_changes": ("raw_tp/cgroup_mkdir",),
    "truth": ("security_path_unlink",),
    "kernel_threads": ("security_inode_unlink",),
}


def has_type(btf: bytes, name: str) -> bool:
    """Tell whether the kernel's types have the name among their strings."""
    return b"\0" + name.encode() + b"\0" in btf


def seccomp(mode: str | None, step: int, capable: bool, environment: Environment) -> Finding:
    """Judge ``Seccomp`` of the status and the step ``"bpf"``, which calls bpf(2) with an invalid command.

    EINVAL means that the call reached the kernel; any other errno comes from a seccomp filter.
    """
    if mode in {None, "0"}:
        return Finding("seccomp", "ok", "no filter" if mode else "not known: /proc does not say", None)
    if step == errno.EINVAL:
        return Finding("seccomp", "ok", "a filter, which lets bpf(2) through", None)
    if not capable:
        return Finding("seccomp", "ok", "a filter; whether it forbids bpf(2) shows only with the capabilities", None)
    advice = "start it without the filter: SystemCallFilter= of a service's unit, seccomp_rule of a sandbox"
    if environment.engine is not None:
        advice = environment.container("--security-opt", "seccomp=unconfined")
    return Finding("seccomp", "blocked", f"a filter, which forbids bpf(2): {_name(step)}", advice)


def memlock(limit: int, ring_bytes: int, step: int, *, counted: bool | None, unexplained: bool) -> Finding:
    """Judge the limit on locked memory, and whether it is in the way of a ring.

    ``counted``: whether BPF maps are charged to it, which the kernel's types tell. ``unexplained``: whether the kernel
    does not permit a tracer, with all else in order.
    """
    if limit == _UNLIMITED:
        return Finding("memlock", "ok", "unlimited", None)
    allowed = mib(limit)
    if counted and unexplained:
        detail = f"{allowed}, to which this kernel counts BPF maps: {mib(ring_bytes)} and more are needed"
        return Finding("memlock", "blocked", detail, "ulimit -l unlimited (a service's unit: LimitMEMLOCK=infinity)")
    if step == 0 and limit < ring_bytes:
        how = "which this process may raise" if counted else "to which this kernel counts no BPF maps"
        return Finding("memlock", "ok", f"{allowed}, {how}: a ring of {mib(ring_bytes)} was made", None)
    return Finding(
        "memlock", "ok", f"{allowed}{', to which this kernel counts no BPF maps' if counted is False else ''}", None
    )


def ring_buffer(ring_bytes: int, step: int, cause: str | None, environment: Environment) -> Finding:
    """Judge whether a map of the default size could be made. ``cause``: advice on an obstacle that was found."""
    size = mib(ring_bytes)
    if step == 0:
        return Finding("ring_buffer", "ok", f"one of {size} was made", None)
    return Finding(
        "ring_buffer", "blocked", f"one of {size} could not be made: {_name(step)}", _remedy(step, cause, environment)
    )


def raw_tp(load: int, attach: int, cause: str | None, environment: Environment) -> Finding:
    """Judge whether a program that does nothing could be loaded, and attached to ``sys_enter``."""
    if load == 0 == attach:
        return Finding("raw_tp", "ok", "a program was loaded and attached to raw_tp/sys_enter", None)
    detail = f"a program could not be {'loaded' if load else 'attached to raw_tp/sys_enter'}: {_name(load or attach)}"
    return Finding("raw_tp", "blocked", detail, _remedy(load or attach, cause, environment))


def findings_with_tracer(coverage: dict[str, Hook], environment: Environment) -> list[Finding]:
    """Describe what a tracer that could be made sees, and by which hook."""
    findings = []
    for name, part in coverage.items():
        hook, reason = part["hook"], part["reason"]
        if hook is None:
            and_so = ', and hook="vfs" is not possible' if name == "truth" else ""
            why = f"{LOST[name]}{and_so}: {reason}"
            findings.append(Finding(name, "degraded", why, _FUNCTIONS if name in _OF_FUNCTIONS else None))
        elif reason is not None and name == "truth":
            findings.append(Finding(name, "degraded", f"{hook}{_VFS}; it can be missed: {reason}", None))
        elif name == "truth":
            findings.append(Finding(name, "ok", f"{hook}{_VFS}", None))
        elif reason is not None and not hook.startswith("tracepoint/"):
            # It fell back to raw tracepoints where the classic ones would be exact.
            advice = environment.command() if environment.engine is None else _tracefs(environment)
            findings.append(Finding(name, "degraded", f"{hook}; events can be missed: {reason}", advice))
        else:
            findings.append(Finding(name, "ok", hook if reason is None else f"{hook}: {reason}", None))
    return findings


def findings_without_tracer(reason: str, advice: str | None, btf: bytes | None) -> list[Finding]:
    """Describe what a tracer would see, by the kernel's types, where none could be made."""
    findings = [Finding("syscalls", "blocked", reason, advice)]
    for name, hooks in _HOOKS.items():
        present = [hook for hook in hooks if has_type(btf or b"", _type_of(hook))]
        if present:
            why = f"this kernel has {present[0]}; only a tracer tells whether it can be used"
            findings.append(Finding(name, "unknown", why, None))
        else:
            why = "not known without the kernel's types" if btf is None else f"this kernel has no {' or '.join(hooks)}"
            findings.append(Finding(name, "degraded", f"{LOST[name]}: {why}", None))
    return findings


def _type_of(hook: str) -> str:
    """Give the name that the kernel's types have where it has the hook: a tracepoint's, or the function's own."""
    kind, _, tracepoint = hook.partition("/")
    return f"btf_trace_{tracepoint}" if tracepoint else kind


def downgrade(finding: Finding) -> Finding:
    """Turn ``"blocked"`` into ``"ok"``: what looks like an obstacle is none where a tracer works."""
    if finding.state != "blocked":
        return finding
    return Finding(finding.name, "ok", f"{finding.detail}; a tracer works all the same", None)


def _tracefs(environment: Environment) -> str:
    return environment.container("-v", "/sys/kernel/tracing:/sys/kernel/tracing:ro")


def _remedy(step: int, cause: str | None, environment: Environment) -> str:
    remedies = {
        errno.EPERM: cause or environment.privileged(),
        errno.EACCES: cause or environment.privileged(),
        errno.ENOMEM: f"ask for less: {environment.command('--ring-bytes', '262144')}",
        errno.EMFILE: "ulimit -n 1024",
    }
    return remedies.get(step, "boot Linux 5.10 or later with CONFIG_BPF_SYSCALL and CONFIG_BPF_EVENTS: uname -r")


def _name(step: int) -> str:
    return f"{errno.errorcode.get(step, str(step))}, {os.strerror(step)}"
