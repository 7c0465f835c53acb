"""qemu: boots a kernel, and gives back what came over its serial port."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.vm.apt import Apt
from scripts.vm.kernels import SUITES

if TYPE_CHECKING:
    from scripts.vm.kernels import Kernel

TRIES = 8
MEMORY_MIB = 2048
CPUS = 2
ARGUMENTS = "rdinit=/init quiet loglevel=4 mitigations=off panic=-1"
# A kernel takes a timer for broken that a busy host is late with, and stops.
ARGUMENTS_OF_X86 = "no_timer_check"


def image(cache: Path, kernel: Kernel) -> tuple[str, Path] | None:
    """A kernel's package and its image, fetched once with its modules; ``None`` when the mirror has none."""
    apt = Apt(cache / f"apt-kernels-{kernel.arch}", kernel.arch, SUITES)
    apt.update()
    # A mirror's list can name what the mirror has no longer.
    for package in apt.kernels(kernel.version)[:TRIES]:
        place = unpacked(cache, package)
        if (found := _image_in(place)) and any(place.rglob("*.ko*")):
            return package, found
        # The modules first: where there is an image, all is there.
        names = dict.fromkeys((apt.modules(package), package))
        if all(_unpack(apt, name, place) for name in names) and (found := _image_in(place)):
            return package, found
    return None


def _unpack(apt: Apt, package: str, to: Path) -> bool:
    archive = apt.download(package)
    if archive is None:
        return False
    to.mkdir(parents=True, exist_ok=True)
    subprocess.run(["dpkg-deb", "-x", archive, to], check=True)
    archive.unlink()
    return True


def unpacked(cache: Path, package: str) -> Path:
    """Where a package of :func:`image` is."""
    return cache / "kernels" / package


def _image_in(unpacked: Path) -> Path | None:
    return next((path for path in unpacked.rglob("vmlinuz*") if path.is_file()), None)


def command(kernel: Kernel, linux: Path, initrd: Path) -> list[str]:
    """Emulated: it runs everywhere, and the same everywhere."""
    amd64 = kernel.arch == "amd64"
    if amd64:
        machine = ["qemu-system-x86_64", "-cpu", "Nehalem,+rdrand"]
        console = f"ttyS0 {ARGUMENTS_OF_X86}"
    else:
        machine = ["qemu-system-aarch64", "-M", "virt,gic-version=3", "-cpu", "cortex-a72"]
        console = "ttyAMA0"
    return [
        *machine,
        # With a thread for each CPU, qemu 7.2 can miss that the other one changed code, as jump labels do: an x86
        # kernel stops, and on arm64 a tracepoint that was just enabled stays off on one of the CPUs.
        *("-accel", "tcg,thread=single"),
        *("-m", str(MEMORY_MIB), "-smp", str(CPUS), "-display", "none", "-nodefaults", "-no-reboot"),
        *("-kernel", str(linux), "-initrd", str(initrd)),
        *("-append", f"console={console} {ARGUMENTS} {kernel.append}"),
    ]


def boot(qemu: list[str], timeout_s: float, *, quiet: bool) -> tuple[str, float]:
    """What the machine said until it was off, shown meanwhile unless ``quiet``, and how long that took.

    At the timeout it is turned off.
    """
    start = time.monotonic()
    said = bytearray()
    with subprocess.Popen([*qemu, "-serial", "stdio"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        output = process.stdout.fileno()  # type: ignore[union-attr]
        timer = threading.Timer(timeout_s, process.kill)
        timer.start()
        try:
            while chunk := os.read(output, 65536):
                said += chunk
                if not quiet and b"=== rawtp junit" not in said:
                    sys.stdout.buffer.write(chunk)
                    sys.stdout.flush()
        finally:
            timer.cancel()
            process.kill()
    return said.replace(b"\r", b"").decode("utf-8", "replace"), time.monotonic() - start
