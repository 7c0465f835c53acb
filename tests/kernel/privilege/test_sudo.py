"""``sudo=True``, as nobody, by real sudo with rules of the test's own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from helpers.sudoers import PERMITTED, sudoer
from helpers.support import HANG_S, tells_cancelled_requests, wait_for
from helpers.unprivileged import (
    NOBODY,
    as_user,
    copy_of_package,
    names_with,
    processes_with,
    python,
    start,
    told,
    watch,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.skipif(shutil.which("sudo") is None, reason="there is no sudo here"),
]

ASKED = "nobody ALL=(root) ALL\n"

WATCH = watch("sudo=True, ")


@pytest.fixture
def another() -> Iterator[Path]:
    """One to be changed."""
    with copy_of_package() as made:
        yield made


def helper_of(package: Path, source: str) -> None:
    """Puts another helper in the place of the package's."""
    (package / "rawtp" / "_privilege" / "sudo_helper.py").write_text(source)


def attempted(package: Path, *prefix: str, program: str = "tell(attempt(sudo=True))", **options: Any) -> list[str]:
    found: list[str] = told(package, program, *prefix, **options)
    return found


def assert_nothing_left(package: Path) -> None:
    wait_for(
        lambda: processes_with(str(package / "rawtp" / "_privilege" / "sudo_helper.py")) == [], "an end of the helper"
    )


def test_events_and_ledger(package: Path, place: Path) -> None:
    with_root = told(package, WATCH.replace("sudo=True, ", ""))
    found = told(package, WATCH, *sudoer(place, PERMITTED))
    assert found["coverage"] == with_root["coverage"]
    hooks = [name for name, hook in found["coverage"].items() if hook is not None]
    # Two programs tell of cgroups, and where the kernel tells of cancelled requests one more does. A hook on functions
    # has a link for each of the two that delete, unless one link takes several.
    of_functions = found["coverage"]["truth"]
    several = of_functions is not None and not of_functions.startswith("kprobe.multi/")
    expected = len(hooks) + hooks.count("cgroup_changes") + several + tells_cancelled_requests()
    assert found["links"] == with_root["links"] == expected
    assert (found["names"], found["results"], found["own"], found["rest"]) == (True, True, True, ["/nonexistent/last"])
    assert found["live"] == [1000, 1000, True]
    assert found["final"] == [1001, 1001, 0, 0, True]
    assert found["missed"] == with_root["missed"]
    assert not found["leaked"]
    assert_nothing_left(package)


@pytest.mark.slow
def test_the_whole_configuration_is_handed_on(package: Path, place: Path) -> None:
    program = r"""
wanted = os.fsdecode(b"/nonexistent/\xff\xfe")
names = [wanted, "/nonexistent/other", "/elsewhere/x"]
def seen(**options):
    with rawtp.Tracer(sudo=True, uid=os.getuid(), ring_bytes=1 << 16, **options) as tracer:
        for name in names:
            delete(name)
    events = [event for event in tracer if (event["filename"] or "").startswith(("/nonexistent", "/elsewhere"))]
    return [names.index(event["filename"]) for event in events], sorted(events[0]) if events else None
basic = sorted(rawtp.BASIC_FIELDS)
tell([
    seen(path=[wanted])[0],
    seen(path="/nonexistent")[0],
    seen(comm="python*")[0],
    seen(comm=os.fsdecode(b"\xff"))[0],
    seen(exclude_self=True)[0],
    seen(pid=os.getpid(), follow=True)[0],
    seen(outcome="ok")[0],
    seen(outcome="failed")[0],
    seen(fields=rawtp.BASIC_FIELDS)[1] == basic,
    seen(syscalls=rawtp.RENAME)[0],
    seen(results=False, fields=["filename"])[1],
    seen(fields=["filename", *rawtp.OPT_IN_FIELDS])[1] == sorted(["filename", *rawtp.OPT_IN_FIELDS]),
])
"""
    everything = [0, 1, 2]
    python_is_its_name = os.path.basename(python()).startswith("python")  # noqa: PTH119
    assert python_is_its_name
    assert told(package, program, *sudoer(place, PERMITTED)) == [
        [0],
        [0, 1],
        everything,
        [],
        [],
        everything,
        [],
        everything,
        True,
        [],
        ["filename"],
        True,
    ]


def test_a_forked_child_keeps_no_link(package: Path, place: Path) -> None:
    program = """
tracer = rawtp.Tracer(sudo=True, pid=os.getpid())
pid = os.fork()
if not pid:
    os._exit(links())
tell([links() > 0, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])])
tracer.close()
"""
    assert told(package, program, *sudoer(place, PERMITTED)) == [True, 0]


def test_root_needs_no_sudo(package: Path) -> None:
    assert told(package, "tell(attempt(sudo=True))", environment={"PATH": "/nonexistent"}) is None


def test_no_rule_and_no_terminal(package: Path, place: Path) -> None:
    kind, text = attempted(package, *sudoer(place, ASKED))
    assert kind == "PermissionError"
    assert text.startswith("sudo asks for a password, and there is no terminal to type it on.")
    helper = package / "rawtp" / "_privilege" / "sudo_helper.py"
    assert f"nobody ALL=(root) NOPASSWD: {os.path.realpath(python())} -I -S -B {helper} *" in text


def test_the_rule_that_is_named_is_enough(package: Path, place: Path) -> None:
    _, text = attempted(package, *sudoer(place, ASKED))
    rule = text.partition("does not: ")[2].partition("  (")[0]
    assert attempted(package, *sudoer(place, rule + "\n")) is None


@pytest.mark.parametrize(
    ("prefix", "environment", "message"),
    [
        (as_user(), {}, 'sudo does not run the helper: exit code 1; sudo: The "no new privileges" flag is set'),
        (as_user(), {"PATH": "/nonexistent"}, "sudo=True needs sudo, and there is none on the PATH"),
    ],
)
def test_sudo_cannot(package: Path, prefix: list[str], environment: dict[str, str], message: str) -> None:
    prefix = [shutil.which(prefix[0]) or "", *prefix[1:]]
    kind, text = attempted(package, *prefix, environment=environment)
    assert (kind, text[: len(message)]) == ("PermissionError", message)


def test_an_error_of_the_helpers_comes_back_as_what_it_is(package: Path, place: Path) -> None:
    prefix = sudoer(place, PERMITTED, also="mount -t tmpfs none /sys/kernel/btf")
    kind, text = attempted(package, *prefix)
    assert kind == "UnsupportedKernelError"
    assert text.startswith("this kernel has no type information at /sys/kernel/btf/vmlinux")


def test_a_load_error_brings_its_log(another: Path, place: Path) -> None:
    source = (another / "rawtp" / "_privilege" / "sudo_helper.py").read_text()
    load = "kinds.load(request, pid=pid, owner=None, tell_cgroups=True)"
    assert source.count(load) == 1
    helper_of(another, source.replace(load, "__import__('rawtp._core')._core._load_rejected()"))
    program = """
try:
    rawtp.Tracer(sudo=True)
except rawtp.LoadError as error:
    tell([str(error), "invalid mem access" in error.verifier_log])
"""
    text, has_log = attempted(another, *sudoer(place, PERMITTED), program=program)
    assert text.startswith("the kernel's verifier rejected a program (")
    assert has_log


STRANGE = """
import array, json, os, signal, socket, sys, time
peer = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
peer.connect(sys.argv[1])
peer.recv(1 << 20)
def answer(message, *descriptors):
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
    peer.sendmsg([message if isinstance(message, bytes) else json.dumps(message).encode()], rights)
coverage = [["syscalls", "raw_tp/sys_enter", None]]
good = {"rawtp": VERSION, "slots": 4, "coverage": coverage, "maps": 3, "links": 0, "programs": 0}
null = os.open("/dev/null", os.O_RDWR)
"""


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (
            "os.kill(os.getpid(), signal.SIGKILL)",
            "RawtpError: the helper that sudo runs ended without an answer (exit ",
        ),
        ("sys.exit('no luck')", "RawtpError: the helper that sudo runs ended without an answer (exit code 1; "),
        ("answer(b'{')", "MalformedError: a message that is no JSON"),
        ("answer(b'[' * 100000)", "MalformedError: a message that is no JSON"),
        ("answer(b' ' * 140000)", "MalformedError: a message of more than 131072 bytes"),
        (
            "answer(good, *[null] * 100)",
            "MalformedError: not all descriptors of a message came through: there are more",
        ),
        ("answer({**good, 'rawtp': '9.9'})", "MalformedError: the other side is rawtp 9.9, and this is "),
        ("answer(good, null, null)", "MalformedError: an answer with 2 descriptors in place of 3"),
        ("answer({**good, 'links': -1}, null, null)", "MalformedError: an answer with numbers that none has"),
        (
            "answer({**good, 'maps': 2}, null, null)",
            "RawtpError: what was handed over is not a tracer's: it has another number of maps",
        ),
        (
            "answer({**good, 'slots': 0}, null, null, null)",
            "RawtpError: what was handed over is not a tracer's: 0 slots",
        ),
        ("answer(good, null, null, null)", "RawtpError: what was handed over is not a tracer's: the ring has map_type"),
        (
            "answer({**good, 'coverage': [['x', None, None]]}, null, null, null)",
            'RawtpError: what was handed over is not a tracer\'s: it covers "x", which nothing does',
        ),
    ],
)
def test_a_helper_that_is_not_ours(another: Path, place: Path, answer: str, expected: str) -> None:
    version = told(another, "tell(rawtp.__version__)")
    helper_of(another, STRANGE.replace("VERSION", repr(version)) + answer + "\n")
    program = "before = fds(); found = attempt(sudo=True); gc.collect(); tell([*found, fds() == before])"
    kind, text, is_clean = attempted(another, *sudoer(place, PERMITTED), program=program)
    assert f"{kind}: {text}".startswith(expected)
    assert "no luck" not in answer or text.endswith("no luck)")
    assert is_clean
    assert_nothing_left(another)


def test_who_connects_must_be_root(package: Path, place: Path) -> None:
    fake = place / "bin" / "sudo"
    fake.parent.mkdir()
    connect = "import socket,sys; s=socket.socket(1,5); s.connect(sys.argv[1]); s.recv(1)"
    fake.write_text(f'#!/bin/sh\nfor last; do :; done\nexec {python()} -c "{connect}" "$last"\n')
    for path in (fake, fake.parent):
        path.chmod(0o755)
    kind, text = attempted(package, *as_user(), environment={"PATH": f"{fake.parent}:{os.environ['PATH']}"})
    assert (kind, text) == (
        "PermissionError",
        f"user {NOBODY} came in root's place: sudo is to run the helper as root",
    )


def test_the_helper_serves_only_who_called_sudo(package: Path, place: Path) -> None:
    """The client listens as one user, and another one calls sudo: SUDO_UID is not who listens there."""
    program = """
import socket, struct, subprocess
listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
listener.bind(sys.argv[1]); listener.listen(1)
tell("listens"); sys.stdin.readline()
peer, _ = listener.accept()
tell(peer.recv(10).decode())
"""
    place.chmod(0o777)
    address = str(place / "socket")
    with start(package, program, *as_user(1234), arguments=[address]) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == '"listens"\n'
        command = [
            "sudo",
            "-n",
            "--",
            python(),
            "-I",
            "-S",
            "-B",
            str(package / "rawtp" / "_privilege" / "sudo_helper.py"),
            address,
        ]
        done = subprocess.run(
            [*sudoer(place, PERMITTED), *command], capture_output=True, text=True, timeout=HANG_S, check=False
        )
        out, _ = other.communicate("\n", timeout=HANG_S)
    # Before it, sudo may complain of the host's name.
    last = done.stderr.splitlines()[-1]
    assert (done.returncode, last) == (1, f"rawtp: user 1234 listens there, but user {NOBODY} called sudo")
    assert out == '""\n'


def test_an_interrupt_ends_the_helper(another: Path, place: Path) -> None:
    helper_of(another, STRANGE.replace("VERSION", "''") + "open('/proc/self/comm', 'w').write('waits')\npeer.recv(1)\n")
    program = "before = fds(); tell(os.getpid()); tell([attempt(sudo=True), fds() == before])"
    helper = str(another / "rawtp" / "_privilege" / "sudo_helper.py")
    with start(another, program, *sudoer(place, PERMITTED)) as process:
        assert process.stdout is not None
        caller = int(process.stdout.readline())
        wait_for(lambda: "waits" in names_with(helper), "a helper that waits")
        os.kill(caller, signal.SIGINT)
        out, error = process.communicate(timeout=HANG_S)
    assert (json.loads(out), error) == ([["KeyboardInterrupt", ""], True], "")
    assert_nothing_left(another)


def test_what_others_can_replace_is_warned_of(another: Path, place: Path) -> None:
    program = """
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    refused = attempt(sudo=True)
tell([refused, [[one.category.__name__, str(one.message)] for one in caught]])
"""
    assert told(another, program, *sudoer(place, PERMITTED)) == [None, []]
    os.chown(another / "rawtp", NOBODY, 0)
    refused, [[category, message]] = told(another, program, *sudoer(place, PERMITTED))
    assert (refused, category) == (None, "ReplaceableWarning")
    assert f"as root, which others can replace: {another / 'rawtp'} belongs to user {NOBODY}" in message
