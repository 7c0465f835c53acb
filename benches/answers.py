"""``python -m benches.answers``: what each tool prints of the same five actions, as root.

docs/explanation/comparison.md quotes it.

A tool that is not installed, or that this kernel refuses, is named with its own last words. Each is asked in the way
that its documentation gives, for the same directory.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from benches.build import PROGRAMS
from benches.tools import DEBIAN_PYTHON

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

STARTS_S, SETTLES_S, ENDS_S = 20.0, 1.5, 10.0
SHOWN_AS = "/srv/x"
"""What the directory is called in what is printed."""
CANARY = "canary"
_CALLS = "unlink,unlinkat,rename,renameat,renameat2,open,openat,truncate"

_BPFTRACE = """\
tracepoint:syscalls:sys_enter_unlink,tracepoint:syscalls:sys_enter_unlinkat {
  printf("%d %s %s %s\\n", pid, comm, probe, str(args->pathname)) }
tracepoint:syscalls:sys_enter_rename,tracepoint:syscalls:sys_enter_renameat,tracepoint:syscalls:sys_enter_renameat2 {
  printf("%d %s %s %s %s\\n", pid, comm, probe, str(args->oldname), str(args->newname)) }
tracepoint:syscalls:sys_enter_openat /args->flags & 01000/ {
  printf("%d %s %s %s O_TRUNC\\n", pid, comm, probe, str(args->filename)) }
"""


class Action(NamedTuple):
    """Something that makes a name or content go."""

    what: str
    command: Callable[[Path], list[str]]


ACTIONS = (
    Action("a deletion through a symbolic link above it", lambda at: ["rm", f"{at}/link/a"]),
    Action("a rename over another file", lambda at: ["mv", "-f", f"{at}/new", f"{at}/old"]),
    Action("a truncation by O_TRUNC", lambda at: ["sh", "-c", f": > {at}/emptied"]),
    Action(
        "a deletion that is refused",
        lambda at: ["setpriv", "--reuid=65534", "--clear-groups", "--regid=65534", "unlink", f"{at}/kept"],
    ),
    Action("a deletion by io_uring", lambda at: [f"{at}/bin/uring_unlink", f"{at}/ring"]),
)


class Watcher(NamedTuple):
    """A tool, and how it is run."""

    name: str
    program: str
    """What it needs on the PATH."""
    command: Callable[[Path], list[str]]
    prepare: Callable[[Path], list[list[str]]] = lambda at: []
    """Commands between its start and the actions."""
    collect: Callable[[Path], list[list[str]]] = lambda at: []
    """Commands whose output is what it has to tell, where that is not its own."""
    wraps: bool = False
    """Whether it runs the actions as its children."""
    lacks: Callable[[], str] = str
    """Why it cannot be tried; empty when it can."""


def _auditd(at: Path) -> list[str]:
    """The daemon with a log of its own."""
    conf = at / "audit"
    (conf / "plugins.d").mkdir(parents=True)
    conf.chmod(0o700)
    (conf / "audit.log").touch(0o600)
    # Without a word it ends where the log, or a line of these, is missing.
    (conf / "auditd.conf").write_text(
        f"local_events = yes\nwrite_logs = yes\nlog_file = {conf}/audit.log\nlog_group = root\nlog_format = ENRICHED\n"
        "flush = INCREMENTAL_ASYNC\nfreq = 1\nmax_log_file = 8\nnum_logs = 5\npriority_boost = 4\nname_format = NONE\n"
        "max_log_file_action = ROTATE\nspace_left = 75\nspace_left_action = SYSLOG\nverify_email = no\n"
        "action_mail_acct = root\nadmin_space_left = 50\nadmin_space_left_action = SUSPEND\n"
        "disk_full_action = SUSPEND\ndisk_error_action = SUSPEND\nuse_libwrap = no\ndistribute_network = no\n"
        f"q_depth = 2000\noverflow_action = SYSLOG\nmax_restarts = 10\nplugin_dir = {conf}/plugins.d\n"
        "end_of_event_timeout = 2\n"
    )
    (conf / "auditd.conf").chmod(0o640)
    return ["auditd", "-n", "-c", str(conf)]


def _audits() -> str:
    """Why auditd cannot be tried: the host's own would lose its rules."""
    status = subprocess.run(["auditctl", "-s"], capture_output=True, text=True, check=False).stdout
    return (
        "" if re.search(r"^enabled 0\npid 0$", re.sub(r"\nfailure.*", "", status), re.M) else "this host audits already"
    )


def _bcc(tool: str) -> Callable[[Path], list[str]]:
    return lambda at: ["unshare", "-m", str(PROGRAMS / "namespace.sh"), DEBIAN_PYTHON, "-u", shutil.which(tool) or tool]


def _namespaced(*command: str) -> Callable[[Path], list[str]]:
    return lambda at: ["unshare", "-m", str(PROGRAMS / "namespace.sh"), *command]


WATCHERS = (
    Watcher("rawtp", "python3", lambda at: [sys.executable, "-m", "rawtp", "-P", str(at), "-o", "columns"]),
    Watcher(
        "auditd",
        "auditd",
        _auditd,
        prepare=lambda at: [
            ["auditctl", "-w", str(at), "-p", "wa", "-k", "answers"],
            ["auditctl", "-a", "always,io_uring", "-S", "unlinkat", "-k", "answers"],
        ],
        collect=lambda at: [
            ["ausearch", "--input", f"{at}/audit/audit.log", "-k", "answers", "--format", "text"],
            ["auditctl", "-D"],
            ["auditctl", "-e", "0"],
        ],
        lacks=_audits,
    ),
    Watcher("fatrace", "fatrace", lambda at: ["fatrace"]),
    Watcher("inotifywait", "inotifywait", lambda at: ["inotifywait", "-m", "-r", str(at)]),
    Watcher("bpftrace", "bpftrace", _namespaced("bpftrace", "-e", _BPFTRACE)),
    Watcher("bcc's filegone", "filegone-bpfcc", _bcc("filegone-bpfcc")),
    Watcher("bcc's filelife", "filelife-bpfcc", _bcc("filelife-bpfcc")),
    Watcher("bcc's opensnoop", "opensnoop-bpfcc", _bcc("opensnoop-bpfcc")),
    Watcher("perf trace", "perf", _namespaced("perf", "trace", "-a", "-e", _CALLS.replace("open,", ""))),
    Watcher("strace", "strace", lambda at: ["strace", "-f", "-e", f"trace={_CALLS}"], wraps=True),
    Watcher("sysdig", "sysdig", lambda at: ["sysdig", f"fd.name contains {at} or evt.args contains {at}"]),
)


def laid_out(at: Path) -> None:
    """The files that the actions need."""
    for name in ("real", "bin"):
        (at / name).mkdir()
    (at / "link").symlink_to(at / "real")
    for name in ("real/a", "new", "old", "emptied", "kept", "ring"):
        (at / name).write_text("content\n")
    at.chmod(0o755)
    subprocess.run(["cc", "-O2", "-o", at / "bin" / "uring_unlink", PROGRAMS / "uring_unlink.c"], check=True)


def _act(at: Path, before: list[str]) -> None:
    for action in ACTIONS:
        subprocess.run([*before, *action.command(at)], capture_output=not before, check=False)
        # No tool is hurried.
        time.sleep(0.2)


def _wait(log: Path, at: Path, process: subprocess.Popen[bytes]) -> bool:
    """Deletes a file again and again until the tool tells of it; whether it did."""
    deadline_s = time.monotonic() + STARTS_S
    while time.monotonic() < deadline_s:
        (at / CANARY).touch()
        (at / CANARY).unlink()
        time.sleep(0.2)
        if process.poll() is not None:
            return False
        if CANARY in log.read_text(errors="replace"):
            return True
    return False


def watched(watcher: Watcher, at: Path) -> str:
    """All that it prints."""
    with tempfile.TemporaryDirectory(prefix="rawtp-answers-log-") as elsewhere:
        return _watched(watcher, at, Path(elsewhere, "log"))


def _watched(watcher: Watcher, at: Path, log: Path) -> str:
    with log.open("wb") as output:
        if watcher.wraps:
            for action in ACTIONS:
                subprocess.run([*watcher.command(at), *action.command(at)], stdout=output, stderr=output, check=False)
            return log.read_text(errors="replace")
        with subprocess.Popen(watcher.command(at), stdout=output, stderr=subprocess.STDOUT) as process:
            try:
                if watcher.prepare(at):
                    time.sleep(1)
                for command in watcher.prepare(at):
                    subprocess.run(command, stdout=output, stderr=output, check=False)
                if not watcher.collect(at):
                    _wait(log, at, process)
                _act(at, [])
                time.sleep(SETTLES_S)
                for command in watcher.collect(at):
                    subprocess.run(command, stdout=output, stderr=output, check=False)
            finally:
                process.send_signal(
                    signal.SIGINT if process.poll() is None and not watcher.collect(at) else signal.SIGTERM
                )
                try:
                    process.wait(ENDS_S)
                except subprocess.TimeoutExpired:
                    process.kill()
    return log.read_text(errors="replace")


def told(text: str, at: Path) -> Iterator[str]:
    """The lines about the actions; where there are none, the last words."""
    # perf shows no path.
    named = re.compile(rf"{SHOWN_AS}(/|\b)|\b(rm|mv|sh|unlink|uring_unlink)/\d+ (unlink|rename|.*TRUNC)")
    own = Path("/proc/self/comm").read_text().strip()
    others = re.compile(rf"{CANARY}|^{own}\(|{SHOWN_AS}/bin|add_rule|Setting up|execve|O_DIRECTORY|cannot unlink")
    lines = [line.replace(str(at), SHOWN_AS).rstrip() for line in text.splitlines()]
    found = [line for line in lines if named.search(line) and not others.search(line)]
    yield from found or [f"(nothing of them; its last words: {lines[-1] if lines else 'none'})"]


def main() -> int:
    if os.geteuid():
        print("answers: as root", file=sys.stderr)
        return 1
    for number, action in enumerate(ACTIONS, 1):
        print(f"{number}. {action.what}: {' '.join(action.command(Path(SHOWN_AS)))}")
    only = sys.argv[1:]
    for watcher in WATCHERS:
        if only and watcher.name not in only:
            continue
        print(f"\n## {watcher.name}\n")
        if lacks := watcher.lacks() if shutil.which(watcher.program) else "not installed":
            print(lacks)
            continue
        with tempfile.TemporaryDirectory(prefix="rawtp-answers-", dir="/var/tmp") as directory:
            at = Path(directory)
            laid_out(at)
            print(*told(watched(watcher, at), at), sep="\n", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
