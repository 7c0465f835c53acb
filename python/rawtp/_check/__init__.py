"""Finds out what this host allows: :func:`rawtp.check`."""

from __future__ import annotations

import errno
import os
import resource
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from rawtp._check import attempts, host
from rawtp._check.finding import Check, Finding
from rawtp._core import (
    _NATIVE_ABI,
    ALL_FIELDS,
    LOSS,
    OPT_IN_FIELDS,
    RawtpError,
    Tracer,
    _attempts,
    _verifier_reason,
)
from rawtp._errors import reason

if TYPE_CHECKING:
    from rawtp.event import Hook

_RING_BYTES, _QUEUE_BYTES = 4 << 20, 64 << 20  # the tracer's defaults
_TEXT_BYTES = 4 << 20  # a host of many containers has a mountinfo of a megabyte
_BTF_BYTES = 64 << 20
_PIECE_BYTES = 1 << 16
_MARKS = ("/.dockerenv", "/run/.containerenv")
_KUBERNETES = "KUBERNETES_SERVICE_HOST"


def check() -> Check:
    """Find out what this host allows this process, and what stands in a tracer's way.

    It reads ``/proc`` and ``/sys``, which every user may; it makes a ring of the default size and a raw tracepoint's
    program that does nothing; and it makes a :class:`rawtp.Tracer` of all calls and all fields. All of it is gone when
    it returns, some milliseconds later. No kernel version is compared. ::

        for finding in rawtp.check().findings:
            print(finding.name, finding.state, finding.detail)

    The findings, always all of them and in this order:

    =============================  =================================================================================
    ``kernel``, ``architecture``   uname(2)
    ``btf``                        ``/sys/kernel/btf/vmlinux``
    ``capabilities``               ``CapEff`` of the calling thread's ``/proc/thread-self/status``
    ``unprivileged_bpf_disabled``  the sysctl of that name
    ``user_namespace``             ``/proc/self/ns/user``, ``uid_map``
    ``container``                  ``/proc/self/ns``; ``/.dockerenv``, ``/run/.containerenv``, Kubernetes' environment
    ``cgroup``                     ``/proc/self/mountinfo``
    ``lockdown``                   ``/sys/kernel/security/lockdown``
    ``seccomp``                    ``Seccomp`` of the status; bpf(2), tried
    ``lsm``                        ``/sys/kernel/security/lsm``, ``/proc/thread-self/attr/current``
    ``memlock``                    getrlimit(2); a ring, tried; the kernel's types
    ``memory``                     ``MemAvailable`` of ``/proc/meminfo``
    ``ring_buffer``, ``raw_tp``    tried
    ``syscalls``                   a tracer, tried: by which hook (see :attr:`rawtp.Tracer.coverage`), or why not
    ``io_uring``,                  the tracer's coverage; where there is none, the kernel's types
    ``syscall_results``,
    ``io_uring_results``,
    ``cgroup_changes``, ``truth``,
    ``kernel_threads``
    =============================  =================================================================================

    ``truth`` also says whether ``Tracer(hook="vfs")`` is possible.

    What was tried outweighs what was read: where a tracer works, nothing that was read is ``"blocked"``, and where none
    does, at least ``syscalls`` is.

    Returns:
        The findings. ``ok`` says whether ``Tracer()`` works here.

    Raises:
        Nothing of its own: what cannot be read is a finding that says so.
    """
    status = host.status_of(_read("/proc/thread-self/status"))
    links = {kind: _link(f"/proc/self/ns/{kind}") for kind in ("cgroup", "ipc", "pid", "user", "uts")}
    environment = _environment(status, host.namespaces(links))
    btf = _read_bytes("/sys/kernel/btf/vmlinux", _BTF_BYTES)
    # Before the rest: libbpf raises the limit where it may.
    limit = resource.getrlimit(resource.RLIMIT_MEMLOCK)[0]
    steps = dict(_attempts(_RING_BYTES))
    made = _try_tracer()
    refusal = made if isinstance(made, Exception) else None

    read = _read_host(status, links, environment, btf, steps["bpf"])
    # A refusal that no finding explains comes from the limit on locked memory, or else from a security module.
    unexplained = isinstance(refusal, PermissionError) and not _blocked(read)
    # The kernel's structure that charges a map to its owner. Since Linux 5.11 cgroups are charged instead.
    counted = None if btf is None else attempts.has_type(btf, "bpf_map_memory")
    memlock = attempts.memlock(limit, _RING_BYTES, steps["ring_buffer"], counted=counted, unexplained=unexplained)
    modules = host.lsm(
        _read("/sys/kernel/security/lsm"),
        _read("/proc/thread-self/attr/current"),
        unexplained and memlock.state == "ok",
        environment,
    )
    memory = host.memory(_read("/proc/meminfo"), _RING_BYTES, _QUEUE_BYTES)
    read = [*read, modules, memlock, memory]

    cause = next((finding.advice for finding in _blocked(read)), None)
    tried = [
        attempts.ring_buffer(_RING_BYTES, steps["ring_buffer"], cause, environment),
        attempts.raw_tp(steps["raw_tp_load"], steps.get("raw_tp_attach", 0), cause, environment),
    ]
    if isinstance(made, Exception):
        return Check((*read, *tried, *attempts.findings_without_tracer(_reason(made), cause or _advice(made), btf)))
    return Check((*map(attempts.downgrade, read + tried), *attempts.findings_with_tracer(made, environment)))


def _read_host(
    status: dict[str, str], links: dict[str, str | None], environment: host.Environment, btf: bytes | None, step: int
) -> list[Finding]:
    machine = os.uname()
    own = host.namespaces(links)
    capabilities = host.capabilities(status, environment)
    handles = "user" not in own and "CAP_DAC_READ_SEARCH" in (host.held(status, "CapEff") or ())
    return [
        Finding("kernel", "ok", f"{machine.sysname} {machine.release}", None),
        host.architecture(machine.machine, _NATIVE_ABI),
        host.btf(btf, environment),
        capabilities,
        host.unprivileged_bpf_disabled(_read("/proc/sys/kernel/unprivileged_bpf_disabled")),
        host.user_namespace(links["user"], _read("/proc/self/uid_map"), environment),
        host.container(links, environment),
        host.cgroup(_read("/proc/self/mountinfo"), own, handles, environment),
        host.lockdown(_read("/sys/kernel/security/lockdown")),
        attempts.seccomp(status.get("Seccomp"), step, capabilities.state == "ok", environment),
    ]


def _environment(status: dict[str, str], own: set[str]) -> host.Environment:
    bounding = host.held(status, "CapBnd")
    return host.Environment(
        python=sys.executable or "python3",
        root=os.geteuid() == 0,
        engine=host.engine(own, {mark for mark in _MARKS if Path(mark).exists()}, _KUBERNETES in os.environ),
        limited=(status.get("NoNewPrivs") == "1" or "user" in own or not (bounding is None or host.enough(bounding))),
    )


def _try_tracer() -> dict[str, Hook] | Exception:
    """The coverage of a tracer of everything, or the error of making one."""
    fields = (*ALL_FIELDS, *OPT_IN_FIELDS)
    try:
        # The filter keeps other processes' events, which nobody reads, out of the ring.
        with Tracer(LOSS, fields=fields, pid=os.getpid(), ring_bytes=_RING_BYTES) as tracer:
            return tracer.coverage
    except (RawtpError, OSError) as error:
        return error


def _blocked(findings: list[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.state == "blocked"]


def _reason(refusal: Exception) -> str:
    """The message of the refusal and the verifier's own line. The hint is left out: it points to this very check."""
    message = reason(refusal)
    why = _verifier_reason(getattr(refusal, "verifier_log", ""))
    return f"{message}: {why}" if why else message


def _advice(refusal: Exception) -> str:
    if getattr(refusal, "errno", None) == errno.EMFILE:
        return "ulimit -n 1024"
    return f"report it, with the output of: {shlex.join([sys.executable, '-m', 'rawtp', 'check', '--json'])}"


def _read(path: str) -> str | None:
    raw = _read_bytes(path, _TEXT_BYTES)
    return None if raw is None else raw.decode(errors="backslashreplace")


def _read_bytes(path: str, most: int) -> bytes | None:
    pieces: list[bytes] = []
    try:
        with Path(path).open("rb", buffering=0) as file:
            # A sysctl refuses reads of megabytes.
            while most > 0 and (piece := file.read(min(most, _PIECE_BYTES))):
                pieces.append(piece)
                most -= len(piece)
    except OSError:
        return None
    return b"".join(pieces)


def _link(path: str) -> str | None:
    try:
        return os.readlink(path)  # noqa: PTH115 (Path would take it for a path)
    except OSError:
        return None
