"""What the kernel did, beside what a process said, in every format."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from helpers.support import HANG_S

pytestmark = pytest.mark.kernel

FORMATS = ("columns", "jsonl", "csv", "ecs", "ocsf")
EXCHANGE = """
import ctypes, sys
from rawtp.syscalls import number
libc = ctypes.CDLL(None, use_errno=True)
done = libc.syscall(number("renameat2"), -100, sys.argv[1].encode(), -100, sys.argv[2].encode(), 2)
sys.exit(ctypes.get_errno() if done else 0)
"""


def watched(output: str, *command: object, calls: str = "loss", **changes: str) -> str:
    """What is shown of a command."""
    line = [sys.executable, "-m", "rawtp", "-s", calls, "-o", output, "--", *map(str, command)]
    environment = {**os.environ, **changes}
    done = subprocess.run(line, capture_output=True, timeout=HANG_S, env=environment, check=False)
    assert done.returncode == 0, done
    return done.stdout.decode()


def documents(out: str) -> list[dict[str, Any]]:
    return [found for found in map(json.loads, out.splitlines()) if found.get("type") in {None, "event"}]


def records(out: str) -> list[dict[str, Any]]:
    return list(csv.DictReader(io.StringIO(out, newline="")))


@pytest.fixture
def names(tmp_path: Path) -> Path:
    """Two files, and a symbolic link to their directory."""
    (tmp_path / "real").mkdir()
    for name in "ab":
        (tmp_path / "real" / name).write_text(name)
    (tmp_path / "link").symlink_to("real")
    return tmp_path


@pytest.mark.parametrize("output", FORMATS)
def test_an_exchange_is_told(names: Path, output: str) -> None:
    one, other = names / "real/a", names / "real/b"
    out = watched(output, sys.executable, "-c", EXCHANGE, one, other, calls="rename")
    assert one.read_text() == "b"
    if output == "columns":
        assert out.endswith(f" {one} <-> {other}\n")
    elif output == "csv":
        [found] = records(out)
        assert (found["exchange"], found["real_path"], found["new_real_path"]) == ("true", str(one), str(other))
    else:
        [found] = documents(out)
        beside = {"jsonl": found, "ecs": found.get("rawtp"), "ocsf": found.get("unmapped")}[output]
        assert beside
        assert (beside["exchange"], beside["new_real_path"]) == (True, str(other))
        if output == "ocsf":
            assert (found["file"]["path"], found["file_result"]["path"]) == (str(one), str(other))


@pytest.mark.parametrize("output", FORMATS)
def test_the_real_path_is_told(names: Path, output: str) -> None:
    said, real = f"{names}/link/a", f"{names}/real/a"
    out = watched(output, "rm", said)
    if output == "columns":
        assert out.endswith(f" {said} → {real}\n")
    elif output == "csv":
        [found] = records(out)
        assert (found["path"], found["real_path"]) == (said, real)
    elif output == "jsonl":
        [event] = documents(out)
        assert (event["path"], event["real_path"]) == (said, real)
    else:
        [found] = documents(out)
        beside = found["rawtp" if output == "ecs" else "unmapped"]
        assert (found["file"]["path"], found["file"]["name"], beside["path"]) == (real, "a", said)


def test_where_the_arrow_has_no_bytes_it_is_another(names: Path) -> None:
    out = watched("columns", "rm", f"{names}/link/a", PYTHONIOENCODING="ascii")
    assert out.isascii()
    assert out.endswith(f" {names}/link/a => {names}/real/a\n")


def test_the_summary_counts_where_the_files_were(names: Path) -> None:
    line = [sys.executable, "-m", "rawtp", "-q", "--summary", "--", "rm", f"{names}/link/a", f"{names}/real/b"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=HANG_S, check=False)
    assert done.returncode == 0
    assert f"deleted, by directory:\n          2  {names}/real\n" in done.stderr
