"""The step of action.yml, as a runner would run it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.support import HANG_S

ROOT = Path(__file__).parents[3]
STEP = ROOT / "scripts" / "action.sh"


@pytest.mark.kernel
@pytest.mark.parametrize(("conditions", "code"), [("", 3), ("\n  \noutside=.\ncount>1\n", 5), ("count>9", 3)])
def test_the_step(tmp_path: Path, conditions: str, code: int) -> None:
    program = tmp_path / "rawtp"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m rawtp "$@"\n')
    program.chmod(0o755)
    given = {
        "RUNNER_TEMP": str(tmp_path),
        "GITHUB_STEP_SUMMARY": f"{tmp_path}/page",
        "GITHUB_OUTPUT": f"{tmp_path}/out",
        "RAWTP_PROGRAM": str(program),
        "RAWTP_FAIL_IF": conditions,
        "RAWTP_OPTIONS": "--outcome=ok\n",
        "RAWTP_RUN": 'touch "a b" c\nrm "a b" c\nexit 3',
    }
    (tmp_path / "work").mkdir()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SUDO_")}
    done = subprocess.run(["bash", STEP], cwd=tmp_path / "work", env={**environment, **given}, timeout=HANG_S)
    assert done.returncode == code
    assert "| `a b` |" in (tmp_path / "page").read_text()
    outputs = dict(line.split("=", 1) for line in (tmp_path / "out").read_text().splitlines())
    assert json.loads(Path(outputs["json"]).read_text())["returncode"] == 3
    assert json.loads(Path(outputs["sarif"]).read_text())["version"] == "2.1.0"


def test_inputs_are_no_code() -> None:
    """No input is put into the text of a script: a pull request could name it."""
    text = (ROOT / "action.yml").read_text()
    assert re.findall(r"^ *run: (.*)$", text, re.MULTILINE) == ['bash "$GITHUB_ACTION_PATH/scripts/action.sh"']
    inputs = set(re.findall(r"^  ([\w-]+):$", text.partition("inputs:")[2].partition("outputs:")[0], re.MULTILINE))
    assert inputs == set(re.findall(r"inputs\.([\w-]+)", text))
