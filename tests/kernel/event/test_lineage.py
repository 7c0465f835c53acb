"""The processes above, with their arguments, also of those that have ended; the working directory; names of users."""

from __future__ import annotations

import os
import pwd
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import rawtp
from helpers.support import HANG_S, assert_ledger_of, attached_programs, run, stopped, wait_for

# Forks and execs of the whole host go through the ring: a flood of another test leaves them no room.
pytestmark = [pytest.mark.kernel, pytest.mark.quiet_host]

FIELDS = ("filename", "pid", "ppid", "comm", "parent_comm", "parent_argv", "ancestors", "cwd")
SELF = tuple(os.fsdecode(word) for word in Path("/proc/self/cmdline").read_bytes().split(b"\0"))[:-1]


def tracer_of(path: Path | str, *more: str, **options: Any) -> rawtp.Tracer:
    return rawtp.Tracer(path=str(path), fields=(*FIELDS, *more), **options)


def only(tracer: rawtp.Tracer) -> rawtp.Event:
    """The one event, read as late as can be. Another process's path may be unknown, and then comes too."""
    tracer.close()
    [event] = [event for event in tracer if (event["filename"] or "").endswith("/a")]
    assert_ledger_of(tracer)
    assert tracer.stats().lost_processes == 0
    return event


def script(directory: Path, text: str) -> None:
    (directory / "clean.sh").write_bytes(os.fsencode(text))


def test_which_script(tmp_path: Path) -> None:
    script(tmp_path, f"rm -f {tmp_path}/a\ntrue\n")
    with tracer_of(tmp_path / "a") as tracer:
        shell = run(["sh", "./clean.sh", "b c"], cwd=tmp_path)
    event = only(tracer)
    assert (event["ppid"], event["parent_argv"]) == (shell, ("sh", "./clean.sh", "b c"))
    assert event["cwd"] == str(tmp_path)
    assert event["ancestors"][0] == (shell, "sh", ("sh", "./clean.sh", "b c"))
    pid, _, argv = event["ancestors"][1]
    assert pid == os.getpid()
    assert argv is not None
    assert argv == tuple("\0".join(SELF)[:1023].split("\0"))[: len(argv)]


def test_a_script_in_the_background_stands_below_what_started_it(tmp_path: Path) -> None:
    """Its parent is init, or a subreaper, when it deletes."""
    script(tmp_path, f"while kill -0 $1 2>/dev/null; do sleep 0.01; done\nrm -f {tmp_path}/a\n: > done\n")
    command = "setsid sh ./clean.sh $$ & :"
    with tracer_of(tmp_path / "a") as tracer:
        starter = run(["sh", "-c", command], cwd=tmp_path)
        wait_for((tmp_path / "done").exists, "the script")
    event = only(tracer)
    (_, comm, argv), (above, above_comm, above_argv), (top, *_), *_ = event["ancestors"]
    assert (comm, argv) == ("sh", ("sh", "./clean.sh", str(starter)))
    assert (above, above_comm, above_argv) == (starter, "sh", ("sh", "-c", command))
    assert top == os.getpid()
    assert event["parent_argv"] == argv


ORPHAN = """
import os, sys, time
def remove():
    try:
        os.unlink(sys.argv[1])
    except OSError:
        pass
first = os.getpid()
if not (second := os.fork()):
    if not os.fork():
        while os.getppid() == int(open(sys.argv[2]).read() or 0) or os.path.exists(f"/proc/{first}"):
            time.sleep(0.01)
        remove()
        open(sys.argv[2] + "-done", "w").close()
        os._exit(0)
    open(sys.argv[2], "w").write(str(os.getpid()))
    os._exit(0)
os.waitpid(second, 0)
"""


def test_a_process_that_was_forked_twice(tmp_path: Path) -> None:
    """Neither of its forkers is there any more, and none has executed anything."""
    (tmp_path / "second").write_text("")
    command = [sys.executable, "-I", "-c", ORPHAN, str(tmp_path / "a"), str(tmp_path / "second")]
    with tracer_of(tmp_path / "a") as tracer:
        first = run(command)
        wait_for((tmp_path / "second-done").exists, "the orphan")
    event = only(tracer)
    second = int((tmp_path / "second").read_text())
    shown = tuple("\0".join(command)[:1023].split("\0"))
    comm = Path(sys.executable).name[:15]
    assert event["ancestors"][:2] == ((second, comm, shown), (first, comm, shown))
    assert event["ancestors"][2][0] == os.getpid()
    assert event["ppid"] not in (first, second)


def test_processes_that_are_older_than_the_tracer(tmp_path: Path) -> None:
    """Their arguments are read from /proc, also of one that has ended by then."""
    inner = f"read _; (sleep 0.3; rm -f {tmp_path}/a; : > {tmp_path}/done) & :"
    with stopped(["sh", "-c", inner, "an old one"]) as process:
        wait_for(lambda: b"an old one" in Path(f"/proc/{process.pid}/cmdline").read_bytes(), "the exec")
        with tracer_of(tmp_path / "a") as tracer:
            process.communicate("\n", timeout=HANG_S)
            wait_for((tmp_path / "done").exists, "the deletion")
    event = only(tracer)
    subshell, old, own, *_ = event["ancestors"]
    assert subshell[1:] == old[1:] == ("sh", ("sh", "-c", inner, "an old one"))
    assert (old[0], own[0]) == (process.pid, os.getpid())
    assert event["parent_argv"] == subshell[2]
    assert len(event["ancestors"]) > 3 or os.getppid() == 0


@pytest.mark.parametrize(
    "words",
    [
        [b"\xff\xfe", b"caf\xc3\xa9", b"", b"a\nb\x1b[31m"],
        [b"x" * 1020, b"end"],
        [b"x" * 5000],
        [b""],
        [b"", b"", b""],
    ],
)
def test_hostile_arguments(tmp_path: Path, words: list[bytes]) -> None:
    command = [b"sh", b"-c", b"rm -f " + os.fsencode(tmp_path) + b"/a; true", *words]
    with tracer_of(tmp_path / "a") as tracer:
        run(command)
    shown = (b"\0".join(command) + b"\0")[:1023].removesuffix(b"\0").split(b"\0")
    event = only(tracer)
    assert [os.fsencode(word) for word in event["parent_argv"] or ()] == shown
    assert event["ancestors"][0][2] == event["parent_argv"]


def test_what_a_process_ran_when_it_deleted_not_what_it_ran_later(tmp_path: Path) -> None:
    """All is read at the end, when the shell has executed another program, and that another one."""
    last = f"rm -f {tmp_path}/c; true"
    then = f"rm -f {tmp_path}/b; exec sh -c {shlex.quote(last)}"
    first = f"rm -f {tmp_path}/a; exec sh -c {shlex.quote(then)}"
    with tracer_of(tmp_path) as tracer:
        shell = run(["sh", "-c", first])
    tracer.close()
    events = {Path(event["filename"] or "").name: event for event in tracer}
    for name, text in (("a", first), ("b", then), ("c", last)):
        assert (events[name]["ppid"], events[name]["parent_argv"]) == (shell, ("sh", "-c", text))


def test_batches_have_the_same(tmp_path: Path) -> None:
    script(tmp_path, f"rm -f {tmp_path}/a {tmp_path}/\udcff\n(rm -f {tmp_path}/b; true)\n")
    options: dict[str, Any] = {"path": str(tmp_path), "fields": (*FIELDS, "user", "login", "fsuid")}
    with rawtp.Tracer(**options) as one, rawtp.Tracer(**options) as other:
        run(["sh", "./clean.sh", os.fsdecode(b"\xff")], cwd=tmp_path)
        events, batch = one.get_many(), other.batch()
    assert len(events) == 3
    assert batch.to_dicts() == events
    assert events[0]["parent_argv"] == ("sh", "./clean.sh", os.fsdecode(b"\xff"))


def test_execs_that_find_no_room_are_counted(tmp_path: Path) -> None:
    """A page of a ring, and a queue that nobody reads: what is known is right, and the rest is None."""
    old = "read _; rm -f $0/a; true"
    with stopped(["sh", "-c", old, tmp_path]) as process:
        with tracer_of(tmp_path, ring_bytes=4096) as tracer:

            def is_lost() -> bool:
                many = [subprocess.Popen(["true", "x" * 900]) for _ in range(50)]
                assert all(one.wait(HANG_S) == 0 for one in many)
                return tracer.stats().lost_processes > 0

            wait_for(is_lost, "a report that was lost")
            process.communicate("\n", timeout=HANG_S)
        events = list(tracer)
        assert_ledger_of(tracer)
        for event in events:
            assert (event["ppid"], event["parent_argv"]) in (
                (process.pid, None),
                (process.pid, ("sh", "-c", old, str(tmp_path))),
            )


def test_who_does_not_ask_has_no_such_program() -> None:
    before = attached_programs(os.getpid())
    with rawtp.Tracer(fields=(*rawtp.ALL_FIELDS, "cwd", "user", "login")):
        usual = attached_programs(os.getpid()) - before
    with rawtp.Tracer() as tracer:
        assert attached_programs(os.getpid()) - before == usual
        run(["true"])
        assert tracer.stats().lost_processes == 0
    for key in ("ancestors", "parent_argv"):
        with rawtp.Tracer(fields=(*rawtp.ALL_FIELDS, key)):
            assert attached_programs(os.getpid()) - before == usual + 2


@pytest.mark.slow
def test_the_table_is_bounded(tmp_path: Path) -> None:
    """More forks than there is room for: what lives, such as this process, is still known."""
    forks = (
        "import os\nfor _ in range(20000):\n    pid = os.fork()\n    if not pid: os._exit(0)\n    os.waitpid(pid, 0)\n"
    )
    with tracer_of(tmp_path / "a") as tracer:
        run(["sh", "-c", f"rm -f {tmp_path}/a; true"])
        run([sys.executable, "-I", "-S", "-c", forks])
        run([sys.executable, "-I", "-S", "-c", forks])
        run(["sh", "-c", f"rm -f {tmp_path}/a; : again"])
    tracer.close()
    events = [event for event in tracer if event["filename"] == f"{tmp_path}/a"]
    stats = tracer.stats()
    assert (stats.lost_ring, stats.lost_state, stats.lost_processes, len(events)) == (0, 0, 0, 2)
    first, second = events
    assert second["parent_argv"] == ("sh", "-c", f"rm -f {tmp_path}/a; : again")
    # The first one's parent has ended, and 40,000 forks came after it.
    assert first["parent_argv"] is None
    assert [one[2] for one in first["ancestors"]][1:] == [one[2] for one in second["ancestors"]][1:]
    assert second["ancestors"][1][2] is not None


def cwd_of(command: str, name: str, **options: Any) -> str | None:
    """The working directory of a shell's deletion of ``name``, an absolute path as it sees it."""
    with rawtp.Tracer(path=name, fields=("cwd", "filename")) as tracer:
        run(["sh", "-c", command], **options)
    [event] = [event for event in tracer if (event["filename"] or "").endswith("a")]
    return event["cwd"]


def test_the_working_directory(tmp_path: Path) -> None:
    hostile = tmp_path / os.fsdecode(b"a\n\xff dir")
    hostile.mkdir()
    assert cwd_of(f"unlink {tmp_path}/a", f"{tmp_path}/a", cwd=hostile) == str(hostile)
    assert cwd_of(f"cd / && unlink {tmp_path}/a", f"{tmp_path}/a") == "/"
    long = tmp_path.joinpath(*["d" * 200] * 15)
    long.mkdir(parents=True)
    assert cwd_of("unlink a", f"{long}/a", cwd=long) == str(long)


def test_the_working_directory_that_is_gone(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    assert cwd_of(f"rmdir {gone} && unlink {tmp_path}/a", f"{tmp_path}/a", cwd=gone) is None


def test_the_working_directory_in_a_chroot(tmp_path: Path) -> None:
    """From the root of the mount namespace; ``path`` is as the process sees it."""
    jail = tmp_path / "jail"
    (jail / "in").mkdir(parents=True)
    source = f"import os; os.chroot({str(jail)!r}); os.chdir('/in')\ntry: os.unlink('x')\nexcept OSError: pass"
    with rawtp.Tracer(path=jail / "in/x", fields=("cwd", "path", "host_path")) as tracer:
        run([sys.executable, "-I", "-c", source])
    [event] = [event for event in tracer if event["path"] == "/in/x"]
    assert (event["cwd"], event["host_path"]) == (f"{jail}/in", f"{jail}/in/x")


def test_names_of_users(tmp_path: Path) -> None:
    nameless = 1_234_567
    with pytest.raises(KeyError):
        pwd.getpwuid(nameless)
    with rawtp.Tracer(path=str(tmp_path), fields=("uid", "user", "auid", "login")) as tracer:
        for uid in (0, 65534, nameless):
            run(["setpriv", f"--reuid={uid}", "--clear-groups", "unlink", f"{tmp_path}/none"])
        if os.access("/proc/self/loginuid", os.W_OK):
            run(["sh", "-c", f"echo 65534 > /proc/self/loginuid && exec unlink {tmp_path}/none"])
    events = list(tracer)
    own = Path("/proc/self/loginuid")
    login = int(own.read_text()) if own.exists() else 0xFFFF_FFFF
    logins = {0xFFFF_FFFF: None, 65534: pwd.getpwuid(65534).pw_name, 0: "root"}
    assert [event["user"] for event in events[:3]] == ["root", pwd.getpwuid(65534).pw_name, None]
    assert [event["login"] for event in events[:3]] == [logins.get(login, events[0]["login"])] * 3
    for event in events[3:]:
        assert (event["auid"], event["login"]) == (65534, logins[65534])
