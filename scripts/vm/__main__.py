"""``python -m scripts.vm [KERNEL ...]``: the kernel tests on other kernels. ``--shell`` boots one for a human."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from scripts.vm import guest, machine
from scripts.vm.kernels import KERNELS, Kernel, chosen
from scripts.vm.matrix import matrix, runs
from scripts.vm.result import Result, last, read
from scripts.vm.skips import LEFT_OUT
from scripts.vm.userland import userland

TIMEOUT_S = 3600.0
TEST = """\
{before}
export RAWTP_PROGRAMS=/opt/programs RAWTP_REQUIRE_KERNEL=1 RAWTP_VM_KERNEL={name} RAWTP_SLOWER=4
python3 -m pytest -p no:cacheprovider -v --color=no -o timeout=900 --tb=short --durations=10 \\
	--junitxml=/run/junit.xml {left_out} {arguments}
status=$?
dmesg -n 1
echo "=== rawtp junit"
gzip -c /run/junit.xml | base64
echo "=== rawtp exit $status"
"""
NO_KERNEL = "the mirror has no such kernel"
MAKING = threading.Lock()
SHELL = """\
export RAWTP_PROGRAMS=/opt/programs
echo "$(uname -r) $(uname -m), the tests are here; Ctrl-A X turns it off"
# A terminal of its own: job control, and Ctrl-C.
setsid cttyhack bash
"""


def main() -> int:
    options = parser().parse_args()
    try:
        kernels = chosen(options.kernels)
    except ValueError as error:
        print(f"test-vm: {error}", file=sys.stderr)
        return 2
    cache = Path(os.environ.get("RAWTP_CACHE") or Path.home() / ".cache" / "rawtp") / "vm"
    guest.BUILT.mkdir(parents=True, exist_ok=True)
    wheels = {arch: guest.wheel(arch) for arch in sorted({kernel.arch for kernel in kernels})}
    if options.shell:
        return shell(cache, kernels[0], wheels[kernels[0].arch])
    several = options.jobs > 1
    with ThreadPoolExecutor(options.jobs) as pool:
        tests = [
            pool.submit(test, cache, kernel, wheels[kernel.arch], options.arguments, quiet=several)
            for kernel in kernels
        ]
        results = [result.result() for result in tests]
    print(f"\n{matrix(results)}\n\n{runs(results)}\n")
    for result in results:
        print(result)
    for path, reason in LEFT_OUT.items():
        print(f"left out everywhere: {path}: {reason}")
    untested = sum(bool(result.absent) for result in results)
    failed = sum(not (result.passed or result.absent) for result in results)
    print(f"{len(results)} kernels: {len(results) - untested - failed} passed, {failed} failed, {untested} NOT TESTED")
    # A mirror that has none of them is no success.
    return 1 if failed or untested == len(results) else 0


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m scripts.vm", description=__doc__)
    parser.add_argument("kernels", nargs="*", metavar="KERNEL", help=", ".join(kernel.name for kernel in KERNELS))
    parser.add_argument(
        "--jobs", type=at_least_one, default=1, help="machines at once; of several only the results are shown"
    )
    parser.add_argument("--shell", action="store_true", help="a shell in the first of them")
    parser.add_argument(
        "--arguments", help="what pytest is given (default: tests/kernel and more; of a variant, what it is about)"
    )
    return parser


def at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a number from 1 on, not {text!r}")
    return int(text)


def absent(kernel: Kernel, reason: str) -> Result:
    print(f"{kernel.name}: NOT TESTED: {reason}", file=sys.stderr, flush=True)
    return Result(kernel.name, absent=reason)


def test(cache: Path, kernel: Kernel, wheel: Path | None, arguments: str | None, *, quiet: bool) -> Result:
    left_out = " ".join(f"--ignore={path}" for path in LEFT_OUT)
    asked = {"arguments": arguments or kernel.tests, "left_out": left_out, "before": kernel.before}
    if wheel is None:
        return absent(kernel, guest.NO_WHEEL)
    # Machines share what they are made of.
    with MAKING:
        found = machine.image(cache, kernel)
        if found is None:
            return absent(kernel, NO_KERNEL)
        package, linux = found
        print(f"\n== {kernel.name}: {package}, {kernel.release}'s Python", flush=True)
        initrd = initial(cache, kernel, package, wheel, TEST.format(name=kernel.name, **asked))
    said, took_s = machine.boot(machine.command(kernel, linux, initrd), TIMEOUT_S, quiet=quiet)
    initrd.unlink()
    (guest.BUILT / f"{kernel.name}.log").write_text(said)
    result = read(kernel.name, package, said, took_s, guest.BUILT / f"{kernel.name}.xml")
    if quiet:
        print(result, flush=True)
        if not result.passed:
            print(f"what {kernel.name} said last:\n{last(said)}", flush=True)
    return result


def shell(cache: Path, kernel: Kernel, wheel: Path | None) -> int:
    found = machine.image(cache, kernel) if wheel else None
    if wheel is None or found is None:
        print(f"no {kernel.name}: {NO_KERNEL if wheel else guest.NO_WHEEL}", file=sys.stderr)
        return 1
    qemu = machine.command(kernel, found[1], initial(cache, kernel, found[0], wheel, SHELL))
    return subprocess.run([*qemu, "-serial", "mon:stdio"], check=False).returncode


def initial(cache: Path, kernel: Kernel, package: str, wheel: Path, task: str) -> Path:
    """The userland and what is laid over it: the kernel unpacks one after the other."""
    made = guest.BUILT / f"initrd-{kernel.name}"
    with made.open("wb") as file:
        for part in (userland(cache, kernel), guest.guest(kernel, machine.unpacked(cache, package), wheel, task)):
            file.write(part.read_bytes())
    return made


if __name__ == "__main__":
    sys.exit(main())
