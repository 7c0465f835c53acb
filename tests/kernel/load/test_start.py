"""However a tracer comes by the kernel's types, it sees the same."""

from __future__ import annotations

import subprocess
import sys

import pytest

SEES = """
import os, resource
import rawtp
{before}
with rawtp.Tracer(pid=os.getpid()) as tracer:
    try:
        os.remove("/not-there")
    except FileNotFoundError:
        pass
[event] = tracer
assert (event["action"], event["path"], event["errno"]) == ("delete", "/not-there", "ENOENT"), event
assert event["tid"] == os.getpid(), event
print(event["argv"][0])
"""


@pytest.mark.kernel
@pytest.mark.parametrize(
    ("before", "command"),
    [
        ("", ()),
        # Nothing can be written: the file of the types that are needed stays empty.
        ("resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))", ()),
        # No file can be opened by its descriptor.
        ("", ("unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /proc && exec "$0" "$@"')),
    ],
    ids=["needed", "unwritable", "no-proc"],
)
def test_it_sees_the_same(before: str, command: tuple[str, ...]) -> None:
    program = ["-c", SEES.format(before=before)]
    done = subprocess.run([*command, sys.executable, *program], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr, done.returncode) == (f"{sys.executable}\n", "", 0)
