"""What wheels are built for."""

from __future__ import annotations

import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Target:
    """One wheel."""

    machine: str
    """The kernel's word: x86_64 or aarch64."""
    libc: str
    """As a platform tag names it: manylinux or musllinux."""

    @property
    def name(self) -> str:
        return self.machine if self.libc == "manylinux" else f"{self.machine}-musl"

    @property
    def triple(self) -> str:
        return f"{self.machine}-unknown-linux-{'gnu' if self.libc == 'manylinux' else 'musl'}"

    @property
    def policy(self) -> str:
        """The oldest libc that it runs with: glibc of 2012, musl of 2021."""
        return "manylinux_2_17" if self.libc == "manylinux" else "musllinux_1_2"

    @property
    def variable(self) -> str:
        """The triple in the names of environment variables."""
        return self.triple.replace("-", "_")


TARGETS = tuple(Target(machine, libc) for libc in ("manylinux", "musllinux") for machine in ("x86_64", "aarch64"))


def native() -> Target:
    """That of this machine."""
    return of(platform.machine())


def of(name: str) -> Target:
    """By its name; ``ValueError`` says which there are."""
    known = {target.name: target for target in TARGETS}
    if name not in known:
        raise ValueError(f"no wheels for {name}; there are {', '.join(known)}")
    return known[name]


def can_be_built(target: Target) -> bool:
    """Whether Rust has its standard library for it here."""
    rustc = ["rustc", "--print", "target-libdir", "--target", target.triple]
    libraries = subprocess.run(rustc, capture_output=True, text=True, check=True).stdout.strip()
    return any(Path(libraries).glob("libstd-*.rlib"))
