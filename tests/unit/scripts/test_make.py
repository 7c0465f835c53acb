"""The Makefile's own: what it hands to pytest."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
TESTS = "def test_good(): pass\ndef test_bad(): assert {}\n"


def pytest_options(target: str, arguments: str, command: str) -> list[str]:
    """What make would run, as it says itself; of that, what stands behind ``command``."""
    make = shutil.which("make")
    if make is None:
        pytest.skip("there is no make")
    done = subprocess.run(
        [make, "--dry-run", "--always-make", target, f"ARGS={arguments}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    found = re.search(rf"^scripts/.*{command} ?(.*)$", done.stdout, re.MULTILINE)
    assert found, done.stdout
    return shlex.split(found[1])


def test_arguments_reach_pytest_and_it_keeps_what_failed(tmp_path: Path) -> None:
    options = pytest_options("test", "--lf", "-m pytest")
    assert options == ["-o", f"cache_dir=/run/rawtp-pytest{ROOT}", "-n", "2", "--dist", "worksteal", "--lf"]
    # Elsewhere, that this run's own is left alone.
    options[1] = f"cache_dir={tmp_path}/cache"
    module = tmp_path / "test_it.py"
    # Workers take seconds to start.
    command = [sys.executable, "-B", "-m", "pytest", "-q", *options, "-n0", str(module)]
    told = []
    for good in (False, False, True, True):
        module.write_text(TESTS.format(good))
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        told.append((done.returncode, re.sub(r" in [\d.]+s$", "", done.stdout.strip().splitlines()[-1])))
    assert told == [
        (1, "1 failed, 1 passed"),
        (1, "1 failed, 1 deselected"),
        (0, "1 passed, 1 deselected"),
        (0, "2 passed"),
    ]


def test_the_watched_tests_take_the_same(tmp_path: Path) -> None:
    options = pytest_options("test-asan", "--lf", "asan.sh")
    assert options == ["-o", f"cache_dir=/run/rawtp-pytest{ROOT}", "--lf"]
    assert "no:cacheprovider" not in (ROOT / "scripts" / "asan.sh").read_text()
