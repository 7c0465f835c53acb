"""Findings from the texts of /proc and /sys. Pure: text to findings.

A text is ``None`` when it could not be read. No finding here knows whether a tracer works: what was tried outweighs it.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

from rawtp._check.finding import Finding

# linux/capability.h
_CAPABILITIES = {"CAP_BPF": 39, "CAP_PERFMON": 38, "CAP_SYS_ADMIN": 21, "CAP_DAC_READ_SEARCH": 2}
_BOTH = {"CAP_BPF", "CAP_PERFMON"}
# linux/proc_ns.h: the first namespace of a kind always has the same number.
_FIRST = {"cgroup": 4026531835, "pid": 4026531836, "user": 4026531837, "uts": 4026531838, "ipc": 4026531839}
_BTF_MAGIC = b"\x9f\xeb", b"\xeb\x9f"
_UNKNOWN_BPF = "not known: this kernel has no such setting, or /proc does not say"


@dataclass(frozen=True)
class Environment:
    """The surroundings of this process, as far as they change the advice."""

    python: str
    """The interpreter."""
    root: bool
    """True where the effective uid is 0."""
    engine: str | None = None
    """The engine of the container that this is: ``"docker"``, ``"podman"`` or ``"kubernetes"``; else ``None``."""
    limited: bool = False
    """True where sudo cannot help: in another user namespace, without the capabilities in the bounding set, or with
    ``no_new_privs``."""

    def command(self, *options: str) -> str:
        """rawtp's command line, to run as root."""
        command = shlex.join([self.python, "-m", "rawtp", *options])
        return command if self.root else f"sudo {command}"

    def container(self, *options: str) -> str:
        """The command that starts this container anew, with the capabilities and these options of ``docker run``."""
        if self.engine == "kubernetes":
            both = "securityContext: {runAsUser: 0, capabilities: {add: [BPF, PERFMON]}}"
            more = f", and what these do: docker run {shlex.join(options)}" if options else ""
            return f"in the pod's spec: {both}{more}"
        grants = ("--cap-add", "BPF", "--cap-add", "PERFMON", *options, *(() if self.root else ("--user", "root")))
        return shlex.join([str(self.engine), "run", *grants, "IMAGE", self.python, "-m", "rawtp"])

    def privileged(self) -> str:
        """The command that gets the capabilities."""
        if self.engine is not None:
            return self.container()
        if self.root or self.limited:
            return f"from a shell without these limits: {shlex.join(['sudo', self.python, '-m', 'rawtp'])}"
        return self.command()


def status_of(status: str | None) -> dict[str, str]:
    """The fields of a ``/proc/*/status``."""
    return {name: value.strip() for name, _, value in (line.partition(":") for line in (status or "").splitlines())}


def held(fields: dict[str, str], which: str) -> set[str] | None:
    """The capabilities of interest that are in a set: ``CapEff``, ``CapBnd``."""
    try:
        bits = int(fields[which], 16)
    except (KeyError, ValueError):
        return None
    return {name for name, bit in _CAPABILITIES.items() if bits >> bit & 1}


def enough(capabilities: set[str]) -> bool:
    """Tell whether these capabilities load and attach a tracer's programs."""
    return "CAP_SYS_ADMIN" in capabilities or capabilities >= _BOTH


def capabilities(fields: dict[str, str], environment: Environment) -> Finding:
    """Judge the effective capabilities."""
    effective = held(fields, "CapEff")
    if effective is None:
        return Finding("capabilities", "ok", "not known: /proc does not say", None)
    if enough(effective):
        needed = "CAP_BPF and CAP_PERFMON" if effective >= _BOTH else "CAP_SYS_ADMIN"
        return Finding("capabilities", "ok", f"{needed}, in effect", None)
    lacks = " and ".join(sorted(_BOTH - effective))
    return Finding("capabilities", "blocked", f"lacks {lacks}", environment.privileged())


def architecture(machine: str, native_abi: str) -> Finding:
    """Judge the architecture of the machine and of the extension."""
    if machine in {"x86_64", "aarch64"}:
        return Finding("architecture", "ok", machine, None)
    detail = f"{machine}, which rawtp does not know; it was built for {native_abi}"
    return Finding("architecture", "blocked", detail, "a machine with x86_64 or aarch64: uname -m")


def btf(start: bytes | None, environment: Environment) -> Finding:
    """The kernel's description of its types."""
    path = "/sys/kernel/btf/vmlinux"
    if start is not None and start[:2] in _BTF_MAGIC:
        return Finding("btf", "ok", f"{path}, {len(start) / (1 << 20):.1f} MiB", None)
    if start is not None:
        return Finding("btf", "blocked", f"{path} holds something else", f"mount /sys anew: ls -l {path}")
    if environment.engine is not None:
        advice = environment.container("-v", "/sys/kernel/btf:/sys/kernel/btf:ro")
    else:
        advice = "boot a kernel with CONFIG_DEBUG_INFO_BTF=y: grep DEBUG_INFO_BTF /boot/config-$(uname -r)"
    return Finding("btf", "blocked", f"{path} is not there", advice)


def unprivileged_bpf_disabled(text: str | None) -> Finding:
    """Judge the sysctl. A tracer needs its capabilities whatever the value is."""
    meaning = {
        "0": "others may load a few kinds of programs; a tracer's kinds need the capabilities",
        "1": "BPF needs the capabilities, until the next boot",
        "2": "BPF needs the capabilities",
    }
    value = (text or "").strip()
    detail = f"{value}: {meaning[value]}" if value in meaning else value or _UNKNOWN_BPF
    return Finding("unprivileged_bpf_disabled", "ok", detail, None)


def lockdown(text: str | None) -> Finding:
    """``[none] integrity confidentiality``."""
    if text is None:
        return Finding("lockdown", "ok", "not known: this kernel has none, or securityfs is not mounted", None)
    level_in_use = re.search(r"\[(\w+)\]", text)
    level = level_in_use[1] if level_in_use else text.strip()
    if level == "confidentiality":
        advice = "boot with lockdown=integrity at the most: grep -o 'lockdown=[a-z]*' /proc/cmdline"
        return Finding("lockdown", "blocked", f"{level}: BPF programs may not read the kernel's memory", advice)
    return Finding("lockdown", "ok", level, None)


def lsm(text: str | None, label: str | None, forbids: bool, environment: Environment) -> Finding:
    """The security modules, and what they call this process. ``forbids``: nothing else can be what does."""
    modules = (text or "").strip().replace(",", ", ") or "not known: securityfs is not mounted"
    name = (label or "").strip("\0\n ")
    detail = f"{modules}; this process is {name}" if name else modules
    if not forbids:
        return Finding("lsm", "ok", detail, None)
    advice = "sudo dmesg | grep -iE 'apparmor|avc|lsm|bpf'"
    if environment.engine is not None:
        advice = environment.container("--security-opt", "apparmor=unconfined", "--security-opt", "label=disable")
    return Finding("lsm", "blocked", f"{detail}: nothing else explains why the kernel does not permit it", advice)


def namespaces(links: dict[str, str | None]) -> set[str]:
    """The kinds of which this process has another namespace than the host, by ``/proc/self/ns``."""
    return {kind for kind, link in links.items() if link is not None and link != f"{kind}:[{_FIRST[kind]}]"}


def user_namespace(link: str | None, uid_map: str | None, environment: Environment) -> Finding:
    """Capabilities count for BPF in the first one only."""
    if link is None:
        return Finding("user_namespace", "ok", "not known: /proc does not say", None)
    if not namespaces({"user": link}):
        return Finding("user_namespace", "ok", "the initial one", None)
    uids = ", ".join(" ".join(line.split()) for line in (uid_map or "").splitlines()) or "empty"
    detail = f"not the initial one, where capabilities count (uid_map: {uids})"
    if environment.engine is not None:
        advice = f"sudo {environment.container('--userns', 'host')}"
    else:
        advice = f"outside of it: sudo {shlex.join([environment.python, '-m', 'rawtp'])}"
    return Finding("user_namespace", "blocked", detail, advice)


def engine(own: set[str], marks: set[str], kubernetes: bool) -> str | None:
    """The engine of the container that this is. A mark alone may come from an image that a machine was made of."""
    if not own & {"pid", "ipc", "uts", "cgroup"}:
        return None
    if "/run/.containerenv" in marks:
        return "podman"
    if "/.dockerenv" in marks:
        return "docker"
    return "kubernetes" if kubernetes else None


def container(links: dict[str, str | None], environment: Environment) -> Finding:
    """Judge what a container hides of the host."""
    if None in links.values():
        return Finding("container", "ok", "not known: /proc does not say", None)
    own = namespaces(links)
    kinds = ", ".join(sorted(own - {"user"}))
    detail = f"{environment.engine or 'none'}{', with namespaces of its own: ' if kinds else ''}{kinds}"
    if "pid" not in own:
        return Finding("container", "ok", detail, None)
    detail += "; pid, ppid and Tracer(pid=) are the host's numbers, not those seen in here"
    return Finding(
        "container", "degraded", detail, environment.container("--pid", "host") if environment.engine else None
    )


def cgroup(mountinfo: str | None, own: set[str], handles: bool, environment: Environment) -> Finding:
    """Judge the mounted versions. ``handles``: what lies outside of a mounted part is found all the same."""
    if mountinfo is None:
        detail = "not known, /proc does not say: container_id, pod_id and unit are None"
        return Finding("cgroup", "degraded", detail, "sudo mount -t proc proc /proc")
    mounts = [line.partition(" - ") for line in mountinfo.splitlines()]
    roots = {(kind.split(" ")[0], fields.split(" ")[3]) for fields, _, kind in mounts if fields.count(" ") >= 4}
    versions = [version for kind, version in (("cgroup", "1"), ("cgroup2", "2")) if kind in dict(roots)]
    if not versions:
        detail = "none is mounted here: container_id, pod_id and unit are None"
        return Finding("cgroup", "degraded", detail, "sudo mount -t cgroup2 none /sys/fs/cgroup")
    detail = f"version{'s' * (len(versions) - 1)} {' and '.join(versions)}"
    whole = all(any(kind == name and root == "/" for kind, root in roots) for name in dict(roots) if "cgroup" in name)
    if ("cgroup" in own or not whole) and not handles:
        detail += ", only a part: container_id, pod_id and unit of what is outside are None (CAP_DAC_READ_SEARCH helps)"
        advice = environment.container("--cap-add", "DAC_READ_SEARCH") if environment.engine else None
        return Finding("cgroup", "degraded", detail, advice)
    return Finding("cgroup", "ok", detail, None)


def memory(meminfo: str | None, ring_bytes: int, queue_bytes: int) -> Finding:
    """``MemAvailable`` against what a tracer may take."""
    kib = re.search(r"^MemAvailable:\s+(\d+) kB$", meminfo or "", re.MULTILINE)
    if kib is None:
        return Finding("memory", "ok", "not known: /proc does not say", None)
    free = int(kib[1]) << 10
    wanted = f"{mib(ring_bytes)} for the ring and up to {mib(queue_bytes)} for the queue"
    if free < ring_bytes + queue_bytes:
        detail = f"{mib(free)} available, {wanted}: events may be lost, or processes killed"
        return Finding("memory", "degraded", detail, "free some, or ask for less: Tracer(ring_bytes=, queue_bytes=)")
    return Finding("memory", "ok", f"{mib(free)} available, {wanted}", None)


def mib(size: int) -> str:
    """Bytes for people."""
    return f"{size >> 20} MiB" if size >= 1 << 20 else f"{size >> 10} KiB"
