"""``exe`` of files that are deleted, or that never had a directory: what ``/proc/PID/exe`` says at the same time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import rawtp
from helpers.frames import by_pyarrow
from helpers.support import events_of, of_own_family, read_to_end, release, stopped
from rawtp.formats.ecs import Ecs
from rawtp.formats.ocsf import Ocsf

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

pytestmark = pytest.mark.kernel

NOWHERE = {"version": "0", "host": "h", "machine_id": None, "boot_id": None, "kernel": "6", "architecture": "x86_64"}


def exe_of(command: Sequence[str | Path], change: Callable[[int], object]) -> tuple[str | None, str]:
    """Of an event of the command, to which something was done before: its ``exe``, and what ``/proc`` said."""
    with stopped([*command, "1"]) as process, rawtp.Tracer(pid=process.pid) as tracer:
        change(process.pid)
        link = os.readlink(f"/proc/{process.pid}/exe")  # noqa: PTH115 - a Path would take parts out
        release(process)
        [event] = read_to_end(tracer, process)
    return event["exe"], link


def in_memory(name: str, content: bytes) -> int:
    descriptor = os.memfd_create(name)
    os.write(descriptor, content)
    os.set_inheritable(descriptor, True)
    return descriptor


@pytest.mark.parametrize(
    "name",
    ["hidden", "", "a/../b//", "x (deleted)", "new\nline", "\udcff", "n" * 249],
    ids=lambda name: repr(name[:12]),
)
def test_a_file_in_memory(name: str, program: Callable[[str], Path]) -> None:
    """The longest name is 255 bytes with the kernel's beginning."""
    descriptor = in_memory(name, program("burst").read_bytes())
    try:
        command = [f"/proc/self/fd/{descriptor}", "1", "/nonexistent/memfd"]
        with of_own_family() as tracer:
            process = subprocess.Popen(command, pass_fds=[descriptor], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
            link = ""
            # The exec may be under way.
            while not link.startswith("/memfd:"):
                link = os.readlink(f"/proc/{process.pid}/exe")  # noqa: PTH115 - a Path would take parts out
                assert process.poll() is None
            process.communicate(b"\n")
            [event] = events_of(tracer, process.pid)
    finally:
        os.close(descriptor)
    assert event["exe"] == link == f"/memfd:{name} (deleted)"


def test_columns_and_schemas_have_the_same(program: Callable[[str], Path]) -> None:
    descriptor = in_memory("\udcff", program("burst").read_bytes())
    command = [f"/proc/self/fd/{descriptor}", "2"]
    try:
        with of_own_family(["unlinkat"]) as one, of_own_family(["unlinkat"]) as other:
            process = subprocess.Popen(command, pass_fds=[descriptor], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
            process.communicate(b"\n")
            rows = [row for row in by_pyarrow(other.to_arrow(duration=0.5)) if row["pid"] == process.pid]
    finally:
        os.close(descriptor)
    events = [event for event in one if event["pid"] == process.pid]
    assert [event["exe"] for event in events] == ["/memfd:\udcff (deleted)"] * 2
    shown, raw = "/memfd:\\xff (deleted)", b"/memfd:\xff (deleted)"
    assert [(row["exe"], row["exe_bytes"]) for row in rows] == [(shown, raw)] * 2
    assert json.loads(Ecs(NOWHERE).event(events[0]))["process"]["executable"] == shown
    of_ocsf = json.loads(Ocsf(NOWHERE).event(events[0]))["actor"]["process"]
    assert (of_ocsf["path"], of_ocsf["file"]["name"]) == (shown, shown[1:])


def test_deleted(program: Callable[[str], Path], tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.write_bytes(program("burst").read_bytes())
    copy.chmod(0o755)
    assert exe_of([copy], lambda _: copy.unlink()) == (f"{copy} (deleted)",) * 2


def test_replaced(program: Callable[[str], Path], tmp_path: Path) -> None:
    """As by an upgrade: the name is there again, and is another file's."""
    copy, newer = tmp_path / "copy", tmp_path / "newer"
    for made in (copy, newer):
        made.write_bytes(program("burst").read_bytes())
        made.chmod(0o755)
    assert exe_of([copy], lambda _: newer.replace(copy)) == (f"{copy} (deleted)",) * 2
    assert exe_of([copy], lambda _: None) == (str(copy),) * 2


def test_with_its_directory(program: Callable[[str], Path], tmp_path: Path) -> None:
    copy = tmp_path / "gone" / "copy"
    copy.parent.mkdir()
    copy.write_bytes(program("burst").read_bytes())
    copy.chmod(0o755)

    def remove(_: int) -> None:
        copy.unlink()
        copy.parent.rmdir()

    assert exe_of([copy], remove) == (f"{copy} (deleted)",) * 2


def test_a_name_that_looks_like_it(program: Callable[[str], Path], tmp_path: Path) -> None:
    """The kernel shows a file that is there, and whose name ends like that, as one that is not."""
    copy = tmp_path / "x (deleted)"
    copy.write_bytes(program("burst").read_bytes())
    copy.chmod(0o755)
    assert exe_of([copy], lambda _: None) == (str(copy),) * 2
    assert exe_of([copy], lambda _: copy.unlink()) == (f"{copy} (deleted)",) * 2


def test_in_a_mount_that_was_detached(program: Callable[[str], Path], tmp_path: Path) -> None:
    script = f'mount -t tmpfs none "{tmp_path}" && cp "$0" "{tmp_path}/copy" && exec "{tmp_path}/copy" 1'
    namespace: list[str | Path] = ["unshare", "--mount", "sh", "-c", script, program("burst")]
    with stopped(namespace) as process, rawtp.Tracer(syscalls=["unlinkat"], pid=process.pid) as tracer:
        while os.readlink(f"/proc/{process.pid}/exe") != f"{tmp_path}/copy":  # noqa: PTH115 - in another namespace
            assert process.poll() is None
        subprocess.run(["nsenter", f"--mount=/proc/{process.pid}/ns/mnt", "umount", "-l", tmp_path], check=True)
        link = os.readlink(f"/proc/{process.pid}/exe")  # noqa: PTH115 - in another namespace
        release(process)
        event = read_to_end(tracer, process)[-1]
    assert (event["exe"], link) == ("/copy", "/copy")


CHANGES = """
import os, sys
def delete(name):
    try: os.unlink(name)
    except FileNotFoundError: pass
    print(os.readlink("/proc/self/exe"))
own = sys.argv[1]
delete("/nonexistent/1")
delete("/nonexistent/2")
os.rename(own, own + "-renamed")
delete("/nonexistent/3")
os.unlink(own + "-renamed")
delete("/nonexistent/4")
"""


def test_what_changes_while_it_runs(tracer: rawtp.Tracer, tmp_path: Path) -> None:
    """It is sent once, and again when the file's own name changes or goes: also in the middle of one process."""
    copy = tmp_path / "python"
    copy.write_bytes(Path(sys.executable).resolve().read_bytes())
    copy.chmod(0o755)
    environment = {**os.environ, "PYTHONHOME": sys.base_prefix}
    process = subprocess.Popen(
        [copy, "-I", "-S", "-c", CHANGES, copy],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    told = process.communicate()[0].splitlines()
    assert process.returncode == 0
    events = [event for event in events_of(tracer, process.pid) if "/nonexistent/" in (event["filename"] or "")]
    assert told == [str(copy), str(copy), f"{copy}-renamed", f"{copy}-renamed (deleted)"]
    assert [event["exe"] for event in events] == told
    assert {event["argv"] and event["argv"][:3] for event in events} == {(str(copy), "-I", "-S")}
