"""The kernels that the tests run on, and where Debian has them."""

from __future__ import annotations

from dataclasses import dataclass

CGROUPS_OF_VERSION_1 = """\
busybox umount /sys/fs/cgroup
busybox mount -t tmpfs cgroups /sys/fs/cgroup
busybox mkdir /sys/fs/cgroup/pids
busybox mount -t cgroup -o pids pids /sys/fs/cgroup/pids"""

NO_32_BITS = """\
tests/kernel/syscall/test_deletions.py tests/kernel/syscall/test_ways.py \\
--deselect tests/kernel/syscall/test_ways.py::test_of_a_32_bit_program"""


@dataclass(frozen=True)
class Kernel:
    """One machine to boot."""

    version: str
    """As its packages begin: "6.1". The newest there is, whatever its number: "newest"."""
    arch: str
    """Debian's word: amd64 or arm64."""
    release: str
    """Whose userland, and so whose Python, runs on it."""
    variant: str = ""
    """How it differs from the machine of the same kernel, in a word."""
    append: str = ""
    """What its command line has more."""
    before: str = ""
    """What its shell does before the tests."""
    tests: str = "tests/kernel tests/vm/test_features.py tests/vm/test_power.py"
    """What pytest is given."""
    packages: tuple[str, ...] = ()
    """What its userland has more."""

    @property
    def name(self) -> str:
        parts = (self.version, self.arch if self.arch != "amd64" else "", self.variant)
        return "-".join(part for part in parts if part)


def _variant(variant: str, append: str = "", before: str = "", tests: str = "") -> Kernel:
    """A machine whose kernel allows less, or other things. Whole suites run on those that do not."""
    return Kernel("6.12", "amd64", "bookworm", variant, append, before, f"tests/vm/test_variants.py {tests}")


def _with_systemd(version: str, release: str) -> Kernel:
    """A machine whose first process is systemd."""
    append = "systemd.show_status=off systemd.firstboot=off"
    tests = "tests/vm/test_systemd.py"
    return Kernel(version, "amd64", release, "systemd", append, tests=tests, packages=("systemd",))


KERNELS = (
    Kernel("5.10", "amd64", "bookworm"),
    Kernel("6.1", "amd64", "bookworm"),
    Kernel("6.12", "amd64", "bookworm"),
    Kernel("6.18", "amd64", "trixie"),
    Kernel("newest", "amd64", "bookworm"),
    Kernel("5.10", "arm64", "bookworm"),
    Kernel("6.1", "arm64", "bookworm"),
    Kernel("6.12", "arm64", "trixie"),
    Kernel("newest", "arm64", "bookworm"),
    _variant("integrity", append="lockdown=integrity"),
    _variant("confidentiality", append="lockdown=confidentiality"),
    _variant("no-btf", before="busybox mount -t tmpfs nothing /sys/kernel/btf"),
    _variant("one-lsm", append="lsm=bpf"),
    _variant("no-compat", append="ia32_emulation=0", tests=NO_32_BITS),
    _variant(
        "cgroup1",
        before=CGROUPS_OF_VERSION_1,
        tests="tests/kernel/event/test_who.py tests/kernel/filter/test_filters.py",
    ),
    _with_systemd("5.10", "bookworm"),
    _with_systemd("6.18", "trixie"),
    _with_systemd("newest", "bookworm"),
)

SUITES = ("bullseye-security", "bookworm", "bookworm-security", "trixie", "trixie-security", "trixie-backports")
"""Where kernels are looked for."""

PYTHONS = {"bookworm": "3.11", "trixie": "3.13"}
"""Which Python a release has."""


def chosen(names: list[str]) -> list[Kernel]:
    """Those named, all without a name; ``ValueError`` says which names there are."""
    known = {kernel.name: kernel for kernel in KERNELS}
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"no kernel {', '.join(unknown)} here; there are {', '.join(known)}")
    return [known[name] for name in names] or [*KERNELS]
