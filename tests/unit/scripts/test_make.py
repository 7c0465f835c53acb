"""The Makefile's own: what it hands to pytest, and of which files it makes a wheel."""

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


def told_by_make(*arguments: str, root: Path = ROOT) -> str:
    make = shutil.which("make")
    if make is None:
        pytest.skip("there is no make")
    return subprocess.run([make, *arguments], cwd=root, capture_output=True, text=True, check=True).stdout


def pytest_options(target: str, arguments: str, command: str) -> list[str]:
    """What make would run, as it says itself; of that, what stands behind ``command``."""
    told = told_by_make("--dry-run", "--always-make", target, f"ARGS={arguments}")
    found = re.search(rf"^scripts/.*{command} ?(.*)$", told, re.MULTILINE)
    assert found, told
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


def test_a_wheel_is_made_again_for_what_is_in_it_and_for_no_bytecode(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    in_it = {"cli/show/row.py", "py.typed", "_core.pyi"}
    for name in (*in_it, "_core.abi3.so", "__pycache__/event.cpython-311.pyc", "cli/__pycache__/late.cpython-311.pyc"):
        path = tmp_path / "python" / "rawtp" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    told = told_by_make("--print-data-base", "--dry-run", "help", root=tmp_path)
    found = re.search(r"^dist/\.wheel:(.*)$", told, re.MULTILINE)
    assert found, told
    of_python = {word.removeprefix("python/rawtp/") for word in found[1].split() if word.startswith("python/")}
    assert of_python == in_it
