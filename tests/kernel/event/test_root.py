"""``root=``: paths as the host has them, told by a tracer in a container."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import rawtp
from helpers import pods

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Found = list[tuple[str | None, str | None]]

pytestmark = pytest.mark.kernel

TRACER = """
import rawtp
tracer = rawtp.Tracer(calls, root="/host", **options)
"""
EVENTS = """
found = []
while end not in (paths := [event["path"] for event in found]):
    found += tracer.get_many(timeout=1)
result = [{key: event[key] for key in keys} for event in found[: paths.index(end)]]
"""
KEYS = ("path", "real_path", "new_real_path", "real_path_by")
DELETE = "import os\nfor path in paths:\n    os.unlink(path)"


@pytest.fixture(params=[True, False], ids=["host-pids", "own-pids"])
def both(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[pods.Remote, pods.Remote]]:
    with pods.node_and_pod(tmp_path, sees_first=request.param) as both:
        yield both


@pytest.fixture
def node(both: tuple[pods.Remote, pods.Remote]) -> pods.Remote:
    return both[0]


@pytest.fixture
def pod(both: tuple[pods.Remote, pods.Remote]) -> pods.Remote:
    return both[1]


@pytest.fixture
def trace(node: pods.Remote, pod: pods.Remote, tmp_path: Path) -> Callable[..., Callable[[], list[dict[str, Any]]]]:
    """Starts a tracer in the pod; gives what gives its events about the test's paths up to then."""
    end = f"{tmp_path}/end"

    def trace(calls: Any = (), path: str | None = None, **options: Any) -> Callable[[], list[dict[str, Any]]]:
        if path is not None:
            options["path"] = [path, end]
        pod(TRACER, calls=[*rawtp.DELETE, *calls], options=options)

        def events() -> list[dict[str, Any]]:
            own = (str(tmp_path), pods.DATA, pods.OWN, "/host")
            node("from pathlib import Path\nPath(path).unlink(missing_ok=True)", path=end)
            found: list[dict[str, Any]] = pod(EVENTS, end=end, keys=KEYS)
            return [event for event in found if (event["path"] or "").startswith(own)]

        return events

    return trace


def shown(events: list[dict[str, Any]]) -> Found:
    return [(event["path"], event["real_path"]) for event in events]


def touch(*paths: Path | str) -> list[str]:
    for path in paths:
        Path(path).touch()
    return [str(path) for path in paths]


MAKE = "from pathlib import Path\nfor path in paths:\n    Path(path).parent.mkdir(parents=True, exist_ok=True)\n" + (
    "    Path(path).touch()"
)


def test_what_the_node_does(trace: Any, node: pods.Remote, tmp_path: Path) -> None:
    """Absolute and relative names, symbolic links, and a mount that came after the tracer."""
    for name in ("real/sub", "later"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    names = touch(*(tmp_path / "real/sub" / name for name in "abcd"))
    events = trace()
    node(DELETE, paths=[names[0], f"{tmp_path}/link/sub/b", f"{tmp_path}/link/sub/../sub/c"])
    node(f"import os\nos.chdir({str(tmp_path / 'link')!r})\nos.unlink('sub/d')\nos.chdir('/')")
    node(
        "import subprocess\nsubprocess.run(['mount', '-t', 'tmpfs', 'none', path], check=True)",
        path=f"{tmp_path}/later",
    )
    node(MAKE + "\n" + DELETE, paths=[f"{tmp_path}/later/x/y"])
    assert shown(events()) == [
        (names[0], names[0]),
        (f"{tmp_path}/link/sub/b", names[1]),
        (f"{tmp_path}/link/sub/c", names[2]),
        (names[3], names[3]),
        (f"{tmp_path}/later/x/y", f"{tmp_path}/later/x/y"),
    ]


def test_a_bind_mount_of_the_node(
    trace: Any, node: pods.Remote, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """As the node has it, where the pod sees the node's first process; else by one of its paths."""
    for name in ("source", "bind"):
        (tmp_path / name).mkdir()
    touch(tmp_path / "source/x")
    node(
        "import subprocess\nsubprocess.run(['mount', '--bind', *paths], check=True)",
        paths=[f"{tmp_path}/source", f"{tmp_path}/bind"],
    )
    events = trace()
    node(DELETE, paths=[f"{tmp_path}/bind/x"])
    [(_, real)] = shown(events())
    told = "bind" if "host-pids" in request.node.name else "source"
    assert real == f"{tmp_path}/{told}/x"


def test_what_the_pod_does(trace: Any, node: pods.Remote, pod: pods.Remote, tmp_path: Path) -> None:
    """A file that both names lead to has the node's; one that only the pod has, none."""
    here, there = touch(tmp_path / "here", tmp_path / "there")
    node(MAKE, paths=[f"{pods.DATA}/x"])
    pod(MAKE, paths=[f"{pods.DATA}/x", f"{pods.OWN}/x"])
    events = trace()
    pod(DELETE, paths=[here, f"/host{there}", f"/host{pods.DATA}/x", f"{pods.DATA}/x", f"{pods.OWN}/x"])
    found = events()
    assert shown(found) == [
        (here, here),
        (f"/host{there}", there),
        (f"/host{pods.DATA}/x", f"{pods.DATA}/x"),
        (f"{pods.DATA}/x", None),
        (f"{pods.OWN}/x", None),
    ]
    assert [event["real_path_by"] for event in found[3:]] == [None, None]


def test_a_rename(trace: Any, node: pods.Remote, pod: pods.Remote, tmp_path: Path) -> None:
    touch(tmp_path / "a", tmp_path / "c")
    rename = "import os\nos.rename(*paths)"
    events = trace(rawtp.RENAME)
    node(rename, paths=[f"{tmp_path}/a", f"{tmp_path}/b"])
    pod(rename, paths=[f"/host{tmp_path}/c", f"/host{tmp_path}/d"])
    real = [(event["real_path"], event["new_real_path"]) for event in events()]
    assert real == [(f"{tmp_path}/a", f"{tmp_path}/b"), (f"{tmp_path}/c", f"{tmp_path}/d")]


IN_ANOTHER = """
import subprocess
script = 'mount -t tmpfs none "$1" && touch "$1/own" "$2/out" && cd "$1" && rm own && cd "$2" && rm out'
subprocess.run(["unshare", "-m", "--propagation", "private", "sh", "-c", script, "sh", *paths], check=True)
"""


def test_another_container(trace: Any, node: pods.Remote, tmp_path: Path) -> None:
    """Of its own file systems the host has none."""
    for name in ("hidden", "seen"):
        (tmp_path / name).mkdir()
    events = trace()
    node(IN_ANOTHER, paths=[f"{tmp_path}/hidden", f"{tmp_path}/seen"])
    assert shown(events()) == [(f"{tmp_path}/hidden/own", None), (f"{tmp_path}/seen/out", f"{tmp_path}/seen/out")]


@pytest.mark.parametrize("path", ["{data}", "{data}/sub", "{data}/*/x", "{tmp}/link", "{tmp}/link/x"])
def test_a_filter_by_path_is_the_host_s(
    path: str, trace: Any, node: pods.Remote, pod: pods.Remote, tmp_path: Path
) -> None:
    """The link leads to a directory of the node's, and not to the pod's of that name."""
    (tmp_path / "link").symlink_to(f"{pods.DATA}/sub")
    names = [f"{pods.DATA}/sub/x"]
    node(MAKE, paths=names)
    pod(MAKE, paths=names)
    other = touch(tmp_path / "other")
    events = trace(path=path.format(data=pods.DATA, tmp=tmp_path))
    pod(DELETE, paths=names)
    node(DELETE, paths=[*other, f"{tmp_path}/link/x"])
    assert shown(events()) == [(f"{tmp_path}/link/x", names[0])]


def test_a_root_that_is_unmounted(
    trace: Any, node: pods.Remote, pod: pods.Remote, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """What is below its directory then is not the host's."""
    there, later = touch(tmp_path / "there", tmp_path / "later")
    events = trace()
    pod(DELETE, paths=[f"/host{there}"])
    assert shown(events()) == [(f"/host{there}", there)]
    pod("import subprocess\nsubprocess.run(['umount', '-l', '/host'], check=True)")
    pod(MAKE, paths=["/host/x"])
    pod(DELETE, paths=["/host/x"])
    node(DELETE, paths=[later])
    told = later if "host-pids" in request.node.name else None
    assert shown(events()) == [("/host/x", None), (later, told)]


def test_names_of_users_are_the_host_s(trace: Any, node: pods.Remote, pod: pods.Remote, tmp_path: Path) -> None:
    touch(tmp_path / "x")
    events = trace(fields=[*KEYS, "uid", "user"])
    node(DELETE, paths=[f"{tmp_path}/x"])
    node("from pathlib import Path\nPath(path).unlink(missing_ok=True)", path=f"{tmp_path}/end")
    found = pod(EVENTS, end=f"{tmp_path}/end", keys=["path", "uid", "user"])
    assert [event for event in found if event["path"] == f"{tmp_path}/x"] == [
        {"path": f"{tmp_path}/x", "uid": 0, "user": pods.ROOT_NAME}
    ]
    del events


RECORD = """
import subprocess, sys
recorder = subprocess.Popen([sys.executable, "-m", "rawtp", "record", *words], stderr=subprocess.PIPE, text=True)
result = recorder.stderr.readline()
"""
STOP = """
recorder.terminate()
result = recorder.communicate(timeout=60)[1], recorder.returncode
"""
SHOW = """
done = subprocess.run([sys.executable, "-m", "rawtp", *words], capture_output=True, text=True)
result = done.stdout, done.stderr, done.returncode
"""


def test_a_recorder(node: pods.Remote, pod: pods.Remote, tmp_path: Path) -> None:
    """``who`` has the node's spelling, the session says the root, and the machine is the node."""
    node(MAKE, paths=[f"{pods.DATA}/report.txt", f"{pods.DATA}/other"])
    words = ["--root", "/host", "--directory", f"{tmp_path}/history", "-P", pods.DATA]
    assert "recording into" in pod(RECORD, words=words)
    node(DELETE, paths=[f"{pods.DATA}/report.txt"])
    said = pod(SHOW, words=["who", "--directory", f"{tmp_path}/history", f"{pods.DATA}/report.txt"])
    assert said[2] == 0, said
    assert pods.ROOT_NAME in said[0], "names of users are the node's"
    status = pod(SHOW, words=["record", "--status", "--json", "--directory", f"{tmp_path}/history"])
    assert json.loads(status[0])["is_well"], status
    assert pod(STOP)[1] == 0
    history = rawtp.History(tmp_path / "history")
    [session] = history.sessions()
    assert json.loads(session["info"])["root"] == "/host"
    assert (session["machine_id"], json.loads(session["info"])["machine_id"]) == (pods.MACHINE_ID, pods.MACHINE_ID)
    [event] = history.who(f"{pods.DATA}/report.txt")
    assert event["real_path"] == f"{pods.DATA}/report.txt"


def test_who_and_history_take_paths_as_the_node_has_them(node: pods.Remote, pod: pods.Remote, tmp_path: Path) -> None:
    """A link leads to where it does on the node, a relative path begins at the node's directory, and names of users are
    the node's: without being told, as the recorder had it."""
    (tmp_path / "link").symlink_to(pods.DATA)
    (tmp_path / "sub").mkdir()
    name = f"{pods.DATA}/report.txt"
    node(MAKE, paths=[name, f"{tmp_path}/sub/x"])
    # In the pod the same link leads to a directory of the pod's own, which is a link to elsewhere.
    pod(f"import os\nos.rmdir({pods.DATA!r})\nos.symlink({pods.OWN!r}, {pods.DATA!r})")
    history = f"{tmp_path}/history"
    assert "recording into" in pod(RECORD, words=["--root", "/host", "--directory", history])
    node(DELETE, paths=[name, f"{tmp_path}/sub/x"])

    def real_paths(lines: str) -> list[str]:
        """Those that are known: a test beside this one has the same names in pods of its own."""
        found = [json.loads(line) for line in lines.splitlines()]
        return [line["real_path"] for line in found if line["type"] == "event" and line["real_path"] is not None]

    def who(path: str, *words: str) -> list[str]:
        return real_paths(pod(SHOW, words=["who", "--json", "--directory", history, *words, path])[0])

    assert who(f"{tmp_path}/link/report.txt") == [name]
    assert who(f"{tmp_path}/link/report.txt", "--root", "/host") == [name]
    assert who(f"{tmp_path}/link/report.txt", "--root", "/") == [], "there the pod's links are followed"
    pod(f"import os\nos.chdir('/host{tmp_path}/sub')")
    assert who("x") == [f"{tmp_path}/sub/x"]
    pod(f"import os\nos.chdir({pods.OWN!r})")
    said = pod(SHOW, words=["who", "--directory", history, "x"])
    assert said[2] == 2
    assert f"'x' is relative, and the working directory '{pods.OWN}' is not below the host's root, '/host'" in said[1]
    for words in (["--under", pods.DATA, "-u", pods.ROOT_NAME], ["--glob", f"{pods.DATA}/*", "--root", "/host"]):
        said = pod(SHOW, words=["history", "-o", "jsonl", "-f", "real_path", "--directory", history, *words])
        assert real_paths(said[0]) == [name], said
    said = pod(SHOW, words=["history", "-u", pods.ROOT_NAME, "--root", "/", "--directory", history])
    assert said[2] == 2
    assert f"argument -u/--user: there is no user '{pods.ROOT_NAME}'" in said[1]
    said = pod(SHOW, words=["who", "--root", "/nonexistent-rawtp", "--directory", history, "/x"])
    assert said[2] == 2
    assert "argument --root: '/nonexistent-rawtp': No such file or directory" in said[1]
    assert pod(f"import rawtp\nresult = rawtp.History({history!r}).root") == "/host"
    assert pod(STOP)[1] == 0
    # Here, on the node's side, no host is at /host.
    assert rawtp.History(history).root == "/"


def test_a_recorder_whose_directory_is_only_the_pod_s(pod: pods.Remote) -> None:
    """A filter by path cannot let the heartbeat through."""
    words = ["--root", "/host", "--directory", f"{pods.OWN}/history", "-P", pods.DATA]
    assert "recording into" in pod(RECORD, words=words)
    said = ""
    while "heartbeat" not in said:
        said = pod("result = recorder.stderr.readline()")
        assert said
    assert "no heartbeat: --path leaves the recorder's directory out, which is not below --root" in said
    assert pod(STOP)[1] == 0


def test_a_relative_path_is_the_host_s(pod: pods.Remote, tmp_path: Path) -> None:
    """Of the working directory as the host has it; of one that it has not, an error."""
    (tmp_path / "sub").mkdir()
    code = "import os\nos.chdir(directory)\n" + RECORD + STOP.replace("result = recorder", "result = result, recorder")
    words = ["--root", "/host", "--directory", f"{tmp_path}/history", "-P", "."]
    pod(code, words=words, directory=f"/host{tmp_path}/sub")
    [session] = rawtp.History(tmp_path / "history").sessions()
    assert json.loads(session["info"])["filters"] == {"path": [f"{tmp_path}/sub/."]}
    (said, _), _ = pod(
        "import os\nos.chdir(directory)\n" + RECORD + "result = (result + recorder.stderr.read(), 0), 0",
        words=words,
        directory=pods.OWN,
    )
    assert (
        f"argument -P/--path: '.' is relative, and the working directory '{pods.OWN}' is not below --root '/host'"
        in said
    )


@pytest.mark.parametrize(
    ("root", "kind", "message"),
    [
        ("host", ValueError, 'root must be absolute, and without NUL, not "host"'),
        ("", ValueError, "root must be absolute"),
        ("/nul\0", ValueError, "root must be absolute, and without NUL"),
        ("/nonexistent-rawtp", FileNotFoundError, r"\[Errno 2\] No such file or directory: '/nonexistent-rawtp'"),
        ("/proc/self/status", NotADirectoryError, r"\[Errno 20\] Not a directory: '/proc/self/status'"),
        (7, TypeError, "root must be a path, not int"),
        (None, TypeError, "root must be a path, not NoneType"),
    ],
)
def test_a_wrong_root_is_an_error_at_once(root: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        rawtp.Tracer(root=root)


@pytest.mark.parametrize(
    ("root", "kind", "message"),
    [
        ("host", ValueError, 'root must be absolute, and without NUL, not "host"'),
        ("/nonexistent-rawtp", FileNotFoundError, "No such file or directory"),
        (7, TypeError, "root must be a path, not int"),
    ],
)
def test_a_wrong_root_of_a_history_is_an_error_at_once(
    root: Any, kind: type[Exception], message: str, tmp_path: Path
) -> None:
    with pytest.raises(kind, match=message):
        rawtp.History(tmp_path, root=root)


def test_a_root_in_another_namespace_is_an_error(pod: pods.Remote, both: Any) -> None:
    """Its mounts are not in the list of this process's own."""
    code = """
import os, rawtp
try:
    rawtp.Tracer(root=f"/proc/{os.getppid()}/root")
except ValueError as error:
    result = str(error)
"""
    assert "leads out of this process's mount namespace: mount the host's root in it" in pod(code)
    del both


def test_this_process_s_own_root_changes_nothing(tmp_path: Path) -> None:
    with rawtp.Tracer(pid=os.getpid(), root=Path("/")) as tracer:
        assert "root" not in repr(tracer)
        (tmp_path / "x").touch()
        (tmp_path / "x").unlink()
        assert tracer.get(timeout=60)["real_path"] == f"{tmp_path.resolve()}/x"
    with rawtp.Tracer(pid=os.getpid(), root=tmp_path) as tracer:
        assert repr(tracer) == f'<rawtp.Tracer open pid={os.getpid()} root="{tmp_path.resolve()}">'
        (tmp_path / "x").touch()
        (tmp_path / "x").unlink()
        event = tracer.get(timeout=60)
        assert (event["path"], event["real_path"]) == (f"{tmp_path}/x", "/x")
