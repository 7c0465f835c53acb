"""The kernels that the tests run on, and where Debian has them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Kernel:
    """One machine to boot."""

    version: str
    """As its packages begin: "6.1". The newest there is, whatever its number: "newest"."""
    arch: str
    """Debian's word: amd64 or arm64."""
    release: str
    """Whose userland, and so whose Python, runs on it."""

    @property
    def name(self) -> str:
        return self.version if self.arch == "amd64" else f"{self.version}-{self.arch}"


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
