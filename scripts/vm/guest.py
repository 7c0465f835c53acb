"""What a machine is to run: the wheel in its Python, the tests, and the programs that they start."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.vm.archive import Archive
from scripts.vm.kernels import PYTHONS
from scripts.vm.modules import add_modules
from scripts.wheels import build, targets

if TYPE_CHECKING:
    from scripts.vm.kernels import Kernel

ROOT = Path(__file__).parents[2]
BUILT = ROOT / "target" / "vm"
DIST = ROOT / "dist"
LOCK = ROOT / "scripts" / "lock.txt"
MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
SOURCES = ("tests", "benches", "scripts", "systemd", "docs", "README.md", "pyproject.toml")
NO_WHEEL = "Rust's standard library for this architecture is not installed, and there is no wheel without it"
# It has int 0x80 in it.
AMD64_ONLY = {"compat"}


def compiler(arch: str) -> str:
    native = MACHINES[arch] == platform.machine()
    return "gcc" if native else f"{MACHINES[arch]}-linux-gnu-gcc"


def wheel(arch: str) -> Path | None:
    """The wheel for an architecture, as it is released; ``None`` where Rust cannot build for it.

    This machine's own, make has built.
    """
    target = targets.of(MACHINES[arch])
    if not targets.can_be_built(target):
        return None
    made = [] if target != targets.native() else build.built(target, DIST)
    return made[0] if made else build.build(target, DIST)


def programs(arch: str) -> Path:
    """The programs of tests/programs, for an architecture."""
    out = BUILT / f"programs-{arch}"
    out.mkdir(parents=True, exist_ok=True)
    for source in (ROOT / "tests" / "programs").glob("*.c"):
        if source.stem in AMD64_ONLY and arch != "amd64":
            continue
        program = out / source.stem
        if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
            # The machine's libc may be older than this one's.
            subprocess.run([compiler(arch), "-O2", "-Wall", "-static", "-o", program, source], check=True)
    return out


def guest(kernel: Kernel, unpacked: Path, built: Path, task: str) -> Path:
    """An archive to lay over a userland. ``unpacked`` is the kernel, with its modules."""
    packages = BUILT / f"packages-{kernel.release}-{kernel.arch}"
    _install(kernel, built, packages)
    archive = Archive()
    archive.tree(packages, f"usr/local/lib/python{PYTHONS[kernel.release]}/dist-packages")
    archive.tree(programs(kernel.arch), "opt/programs")
    for name in SOURCES:
        path = ROOT / name
        if path.is_dir():
            archive.tree(path, f"opt/rawtp/{name}")
        else:
            archive.file(f"opt/rawtp/{name}", path.read_bytes())
    add_modules(archive, unpacked)
    archive.file("init", Path(__file__).with_name("init").read_bytes(), 0o755)
    archive.file("task", task.encode(), 0o755)
    archive.file("etc/systemd/system/task.service", Path(__file__).with_name("task.service").read_bytes())
    made = BUILT / f"guest-{kernel.name}.cpio"
    with made.open("wb") as file:
        archive.write(file)
    return made


def _install(kernel: Kernel, built: Path, to: Path) -> None:
    """The wheel alone, by its file, and what the tests import, by the group `vm`."""
    version = PYTHONS[kernel.release]
    stamp = to / ".of"
    of = " ".join(str(file.stat().st_mtime_ns) for file in (built, ROOT / "pyproject.toml", LOCK))
    if stamp.exists() and stamp.read_text() == of:
        return
    tag = built.stem.rsplit("-", 1)[1].split(".")[0]
    pip: list[str | Path] = [
        sys.executable,
        "-m",
        "pip",
        "--disable-pip-version-check",
        "install",
        "--quiet",
        "--upgrade",
    ]
    pip += ["--target", to, "--only-binary", ":all:", "--python-version", version, "--platform", tag]
    subprocess.run([*pip, "--no-deps", "--no-index", built], check=True)
    subprocess.run([*pip, "--constraint", LOCK, "--group", f"{ROOT / 'pyproject.toml'}:vm"], check=True)
    stamp.write_text(of)
