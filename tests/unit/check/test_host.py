"""What the texts of /proc and /sys mean: samples of kernels from 5.10 to 7.x."""

from __future__ import annotations

import pytest

from rawtp._check import host as _host
from rawtp._check.host import Environment

USER = Environment("/usr/bin/python3", root=False)
ROOT = Environment("/usr/bin/python3", root=True)
IN_DOCKER = Environment("/usr/bin/python3", root=True, engine="docker")
IN_A_POD = Environment("/usr/bin/python3", root=False, engine="kubernetes")

DOCKER_RUN = "docker run --cap-add BPF --cap-add PERFMON {}IMAGE /usr/bin/python3 -m rawtp"
IN_THE_SPEC = "in the pod's spec: securityContext: {runAsUser: 0, capabilities: {add: [BPF, PERFMON]}}"

FIRST: dict[str, str | None] = {
    "cgroup": "cgroup:[4026531835]",
    "ipc": "ipc:[4026531839]",
    "pid": "pid:[4026531836]",
    "user": "user:[4026531837]",
    "uts": "uts:[4026531838]",
}


def status(effective: int, seccomp: str = "0") -> dict[str, str]:
    text = f"Name:\ta: b\nCapPrm:\tffffffffffffffff\nCapEff:\t{effective:016x}\nNoNewPrivs:\t0\nSeccomp:\t{seccomp}\n"
    return _host.status_of(text)


def test_a_status_is_taken_apart() -> None:
    assert status(5, "2") == {
        "Name": "a: b",
        "CapPrm": "f" * 16,
        "CapEff": "0" * 15 + "5",
        "NoNewPrivs": "0",
        "Seccomp": "2",
    }
    assert _host.status_of(None) == {}


@pytest.mark.parametrize(
    ("bits", "state", "detail"),
    [
        # All of Linux 5.10 and later, and of one without CAP_SYS_RESOURCE.
        (0x1FFFFFFFFFF, "ok", "CAP_BPF and CAP_PERFMON, in effect"),
        (0x1FFFEFFFFFF, "ok", "CAP_BPF and CAP_PERFMON, in effect"),
        (1 << 38 | 1 << 39, "ok", "CAP_BPF and CAP_PERFMON, in effect"),
        (1 << 21, "ok", "CAP_SYS_ADMIN, in effect"),
        (1 << 38, "blocked", "lacks CAP_BPF"),
        (1 << 39, "blocked", "lacks CAP_PERFMON"),
        (0, "blocked", "lacks CAP_BPF and CAP_PERFMON"),
        # docker's default set.
        (0xA80425FB, "blocked", "lacks CAP_BPF and CAP_PERFMON"),
    ],
)
def test_capabilities(bits: int, state: str, detail: str) -> None:
    finding = _host.capabilities(status(bits), USER)
    assert (finding.state, finding.detail) == (state, detail)
    assert finding.advice == (None if state == "ok" else "sudo /usr/bin/python3 -m rawtp")


@pytest.mark.parametrize("fields", [{}, {"CapEff": ""}, {"CapEff": "zz"}])
def test_capabilities_that_nothing_tells(fields: dict[str, str]) -> None:
    finding = _host.capabilities(fields, USER)
    assert (finding.state, finding.detail) == ("ok", "not known: /proc does not say")


def test_how_to_come_by_the_capabilities() -> None:
    assert USER.privileged() == "sudo /usr/bin/python3 -m rawtp"
    assert Environment("/opt/a b/python", root=False).privileged() == "sudo '/opt/a b/python' -m rawtp"
    elsewhere = "from a shell without these limits: sudo /usr/bin/python3 -m rawtp"
    assert ROOT.privileged() == elsewhere
    assert Environment("/usr/bin/python3", root=False, limited=True).privileged() == elsewhere
    assert IN_DOCKER.privileged() == DOCKER_RUN.format("")
    nobody_in_podman = Environment("/usr/bin/python3", root=False, engine="podman")
    assert nobody_in_podman.privileged() == (
        "podman run --cap-add BPF --cap-add PERFMON --user root IMAGE /usr/bin/python3 -m rawtp"
    )
    assert IN_A_POD.privileged() == IN_THE_SPEC
    assert IN_A_POD.container("--pid", "host") == f"{IN_THE_SPEC}, and what these do: docker run --pid host"


def test_architecture() -> None:
    assert _host.architecture("aarch64", "aarch64").state == "ok"
    unknown = _host.architecture("riscv64", "x86_64")
    assert (unknown.state, unknown.detail) == (
        "blocked",
        "riscv64, which rawtp does not know; it was built for x86_64",
    )


def test_btf() -> None:
    path = "/sys/kernel/btf/vmlinux"
    assert _host.btf(b"\x9f\xeb\x01" + b"\0" * (3 << 20), USER).detail == f"{path}, 3.0 MiB"
    assert _host.btf(b"\xeb\x9f\x01", USER).state == "ok"
    other = _host.btf(b"", USER)
    assert (other.state, other.detail) == ("blocked", f"{path} holds something else")
    absent = _host.btf(None, USER)
    assert (absent.state, absent.detail) == ("blocked", f"{path} is not there")
    assert absent.advice == "boot a kernel with CONFIG_DEBUG_INFO_BTF=y: grep DEBUG_INFO_BTF /boot/config-$(uname -r)"
    assert _host.btf(None, IN_DOCKER).advice == DOCKER_RUN.format("-v /sys/kernel/btf:/sys/kernel/btf:ro ")


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("0\n", "0: others may load a few kinds of programs; a tracer's kinds need the capabilities"),
        ("1\n", "1: BPF needs the capabilities, until the next boot"),
        ("2\n", "2: BPF needs the capabilities"),
        ("3\n", "3"),
        (None, "not known: this kernel has no such setting, or /proc does not say"),
    ],
)
def test_unprivileged_bpf_disabled(text: str | None, detail: str) -> None:
    finding = _host.unprivileged_bpf_disabled(text)
    assert (finding.state, finding.detail, finding.advice) == ("ok", detail, None)


@pytest.mark.parametrize(
    ("text", "state", "detail"),
    [
        ("[none] integrity confidentiality\n", "ok", "none"),
        ("none [integrity] confidentiality\n", "ok", "integrity"),
        (
            "none integrity [confidentiality]\n",
            "blocked",
            "confidentiality: BPF programs may not read the kernel's memory",
        ),
        ("something new\n", "ok", "something new"),
        (None, "ok", "not known: this kernel has none, or securityfs is not mounted"),
    ],
)
def test_lockdown(text: str | None, state: str, detail: str) -> None:
    finding = _host.lockdown(text)
    assert (finding.state, finding.detail) == (state, detail)
    assert (finding.advice is not None) == (state == "blocked")


def test_lsm() -> None:
    debian = _host.lsm("lockdown,capability,landlock,yama,apparmor,tomoyo,bpf", "unconfined\n", False, USER)
    assert debian.detail == ("lockdown, capability, landlock, yama, apparmor, tomoyo, bpf; this process is unconfined")
    fedora = _host.lsm("lockdown,capability,selinux,bpf", "system_u:system_r:container_t:s0:c1,c2\0", True, IN_DOCKER)
    assert (fedora.state, fedora.detail) == (
        "blocked",
        "lockdown, capability, selinux, bpf; this process is system_u:system_r:container_t:s0:c1,c2: "
        "nothing else explains why the kernel does not permit it",
    )
    assert fedora.advice == DOCKER_RUN.format("--security-opt apparmor=unconfined --security-opt label=disable ")
    assert _host.lsm(None, None, True, USER).advice == "sudo dmesg | grep -iE 'apparmor|avc|lsm|bpf'"
    assert _host.lsm(None, None, False, USER).detail == "not known: securityfs is not mounted"


def test_namespaces() -> None:
    assert _host.namespaces(FIRST) == set()
    assert _host.namespaces({**FIRST, "user": "user:[4026532177]", "pid": None}) == {"user"}


def test_user_namespace() -> None:
    assert _host.user_namespace("user:[4026531837]", "0 0 4294967295\n", USER).detail == "the initial one"
    assert _host.user_namespace(None, None, USER).detail == "not known: /proc does not say"
    # A map of everything is no sign of the initial one.
    whole = _host.user_namespace("user:[4026532177]", "         0          0 4294967295\n", USER)
    assert (whole.state, whole.detail) == (
        "blocked",
        "not the initial one, where capabilities count (uid_map: 0 0 4294967295)",
    )
    assert whole.advice == "outside of it: sudo /usr/bin/python3 -m rawtp"
    rootless = _host.user_namespace("user:[4026532177]", "0 1000 1\n1 100000 65536\n", IN_DOCKER)
    assert rootless.detail.endswith("(uid_map: 0 1000 1, 1 100000 65536)")
    assert rootless.advice == "sudo " + DOCKER_RUN.format("--userns host ")


def test_engine() -> None:
    both = {"/.dockerenv", "/run/.containerenv"}
    # An image that a virtual machine was made of has the mark, too.
    assert _host.engine(set(), both, kubernetes=True) is None
    assert _host.engine({"user"}, both, kubernetes=False) is None
    assert _host.engine({"ipc"}, {"/.dockerenv"}, kubernetes=True) == "docker"
    assert _host.engine({"pid"}, both, kubernetes=False) == "podman"
    assert _host.engine({"uts"}, set(), kubernetes=True) == "kubernetes"
    assert _host.engine({"pid"}, set(), kubernetes=False) is None


def test_container() -> None:
    assert _host.container(FIRST, USER).detail == "none"
    assert _host.container({**FIRST, "uts": None}, USER).detail == "not known: /proc does not say"
    own_ipc: dict[str, str | None] = {**FIRST, "ipc": "ipc:[4026532178]", "user": "user:[4026532177]"}
    shares_pids = _host.container(own_ipc, IN_DOCKER)
    assert (shares_pids.state, shares_pids.detail) == ("ok", "docker, with namespaces of its own: ipc")
    own_pids = {**own_ipc, "pid": "pid:[4026532179]"}
    for place, name, advice in ((IN_DOCKER, "docker", DOCKER_RUN.format("--pid host ")), (USER, "none", None)):
        finding = _host.container(own_pids, place)
        assert finding.state == "degraded"
        assert finding.detail == (
            f"{name}, with namespaces of its own: ipc, pid; pid, ppid and Tracer(pid=) are the host's numbers, "
            "not those seen in here"
        )
        assert finding.advice == advice


def mount(kind: str, root: str = "/", options: str = "rw") -> str:
    return f"31 23 0:27 {root} /sys/fs/cgroup/x rw,nosuid shared:9 master:1 - {kind} none {options}\n"


@pytest.mark.parametrize(
    ("mountinfo", "detail"),
    [
        (mount("cgroup2"), "version 2"),
        (mount("cgroup", options="rw,memory") + mount("cgroup", options="rw,pids"), "version 1"),
        (mount("tmpfs") + mount("cgroup", options="rw,memory") + mount("cgroup2"), "versions 1 and 2"),
        # A part beside the whole.
        (mount("cgroup2", "/docker/0123") + mount("cgroup2"), "version 2"),
    ],
)
def test_cgroup_versions(mountinfo: str, detail: str) -> None:
    finding = _host.cgroup(mountinfo, set(), False, USER)
    assert (finding.state, finding.detail) == ("ok", detail)


def test_a_part_of_the_cgroups() -> None:
    parts: list[tuple[str, set[str]]] = [(mount("cgroup2", "/docker/0123"), set()), (mount("cgroup2"), {"cgroup"})]
    for mountinfo, own in parts:
        finding = _host.cgroup(mountinfo, own, False, IN_DOCKER)
        assert finding.state == "degraded"
        assert finding.detail == (
            "version 2, only a part: container_id, pod_id and unit of what is outside are None "
            "(CAP_DAC_READ_SEARCH helps)"
        )
        assert finding.advice == DOCKER_RUN.format("--cap-add DAC_READ_SEARCH ")
        assert _host.cgroup(mountinfo, own, True, IN_DOCKER).state == "ok"


@pytest.mark.parametrize("mountinfo", ["", mount("tmpfs"), "not a mountinfo\n - cgroup2 \n"])
def test_no_cgroups(mountinfo: str) -> None:
    finding = _host.cgroup(mountinfo, set(), True, USER)
    assert (finding.state, finding.detail, finding.advice) == (
        "degraded",
        "none is mounted here: container_id, pod_id and unit are None",
        "sudo mount -t cgroup2 none /sys/fs/cgroup",
    )


def test_no_mountinfo() -> None:
    assert _host.cgroup(None, set(), True, USER).advice == "sudo mount -t proc proc /proc"


def test_memory() -> None:
    meminfo = "MemTotal:       24684100 kB\nMemFree:        18335964 kB\nMemAvailable:   {} kB\nBuffers: 1 kB\n"
    needed_kib = 68 << 10
    plenty = _host.memory(meminfo.format(needed_kib), 4 << 20, 64 << 20)
    assert (plenty.state, plenty.detail) == (
        "ok",
        "68 MiB available, 4 MiB for the ring and up to 64 MiB for the queue",
    )
    short = _host.memory(meminfo.format(needed_kib - 1), 4 << 20, 64 << 20)
    assert (short.state, short.detail) == (
        "degraded",
        "67 MiB available, 4 MiB for the ring and up to 64 MiB for the queue: events may be lost, or processes killed",
    )
    assert short.advice == "free some, or ask for less: Tracer(ring_bytes=, queue_bytes=)"
    for unknown in (None, "", "MemFree: 1 kB\n", meminfo.format("many")):
        assert _host.memory(unknown, 1, 1).detail == "not known: /proc does not say"
