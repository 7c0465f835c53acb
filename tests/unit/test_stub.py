"""The stub, which carries the documentation, says what the extension has."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

import rawtp


def test_stub_and_extension_agree() -> None:
    command = [sys.executable, "-m", "mypy.stubtest", "rawtp._core", "--concise"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


def test_all_is_there_and_documented() -> None:
    assert set(rawtp.__all__) <= set(dir(rawtp))
    assert rawtp.DELETE == ("unlink", "unlinkat", "rmdir")
    assert tuple(rawtp.Event.__annotations__) == (*rawtp.ALL_FIELDS, "ancestors")
    assert len(rawtp.BASIC_FIELDS) == 21
    assert list(rawtp.BASIC_FIELDS) == [key for key in rawtp.ALL_FIELDS if key in set(rawtp.BASIC_FIELDS)]


@pytest.mark.parametrize("error", [rawtp.LoadError, rawtp.UnsupportedKernelError])
def test_errors_have_one_base(error: type[Exception]) -> None:
    assert issubclass(error, rawtp.RawtpError)
    assert error.__module__ == "rawtp"
    assert inspect.getdoc(error)


def test_types_of_events_are_made_when_asked_for() -> None:
    program = """
import sys
before = set(sys.modules)
import rawtp
print(sorted({"re", "typing"} & set(sys.modules) - before), rawtp.Hook.__name__, hasattr(rawtp, "nothing"))
from rawtp import Event
from rawtp.event import Event as same
print(Event is same is rawtp.Event)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("[] Hook False\nTrue\n", "")
