"""What need not run on a kernel, and why. A skip that is not here fails the run."""

from __future__ import annotations

from fnmatch import fnmatchcase

LEFT_OUT = {
    "tests/kernel/test_bench_run.py": "the benchmark compiles its programs, and a machine has no compiler",
    "tests/kernel/test_notebooks.py": "a machine has no Jupyter",
}

# Kernel, test, reason: patterns of the shell's.
KNOWN: tuple[tuple[str, str, str], ...] = ()


def is_known(kernel: str, test: str, reason: str) -> bool:
    return any(
        fnmatchcase(kernel, kernels) and fnmatchcase(test, tests) and fnmatchcase(reason, reasons)
        for kernels, tests, reasons in KNOWN
    )
