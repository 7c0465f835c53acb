"""A node and a pod on it, as Kubernetes makes them: two mount namespaces, in the second the first one's root at /host.

Both are processes that do what the test sends them. The node has a directory of its own at :data:`DATA` and an /etc of
its own; the pod has a root of its own, with the node's programs in it.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import select
import shutil
import subprocess
import sys
import traceback
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from helpers.support import HANG_S

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO

DATA = next(name for name in ("/srv", "/mnt", "/media", "/opt") if Path(name).is_dir())
"""A directory of the node's that is another one in the pod."""
OWN = "/own"
"""A directory that only the pod has."""
MACHINE_ID = "0123456789abcdef0123456789abcdef"
ROOT_NAME = "node-root"
"""The name of the user 0 on the node."""
_ETC = ("group", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "alternatives", "nsswitch.conf", "localtime", "ssl")
_MNT_DETACH = 2
_MS_MOVE = 8192


class Remote:
    """A process of the node or of the pod."""

    def __init__(self, to: IO[str], back: IO[str]) -> None:
        self._to = to
        self._back = back

    def __call__(self, code: str, **values: Any) -> Any:
        """Runs Python there, with these values, and gives its ``result``."""
        print(json.dumps({"code": code, "values": values}), file=self._to, flush=True)
        # Another process may hold the pipe when this one has died.
        assert select.select([self._back], [], [], 2 * HANG_S)[0], "it does not answer"
        answer = json.loads(self._back.readline() or '{"error": "it has ended"}')
        assert "error" not in answer, answer["error"]
        return answer["result"]


@contextmanager
def node_and_pod(place: Path, *, sees_first: bool) -> Iterator[tuple[Remote, Remote]]:
    """Both. ``sees_first``: the node's process is the first one that the pod sees, as with ``hostPID``."""
    _make_etc(place / "etc")
    for name in ("root", "host"):
        (place / name).mkdir()
    pipes = [os.pipe() for _ in range(4)]
    theirs = [pipes[0][0], pipes[1][1], pipes[2][0], pipes[3][1]]
    command = ["unshare", "-m", "--propagation", "private"]
    if sees_first:
        command += ["--pid", "--fork", "--kill-child", "--mount-proc"]
    path = os.pathsep.join(entry for entry in sys.path if entry)
    process = subprocess.Popen(
        [*command, sys.executable, __file__, "node", place, *map(str, theirs)],
        pass_fds=theirs,
        env={**os.environ, "PYTHONPATH": path},
    )
    for fd in theirs:
        os.close(fd)
    node_in, node_out = os.fdopen(pipes[0][1], "w"), os.fdopen(pipes[1][0])
    pod_in, pod_out = os.fdopen(pipes[2][1], "w"), os.fdopen(pipes[3][0])
    try:
        pod = Remote(pod_in, pod_out)
        assert pod("result = True")
        yield Remote(node_in, node_out), pod
    finally:
        # They end where their input does.
        for pipe in (pod_in, node_in, pod_out, node_out):
            pipe.close()
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _make_etc(etc: Path) -> None:
    etc.mkdir()
    for name in _ETC:
        source = Path("/etc") / name
        if source.is_dir():
            shutil.copytree(source, etc / name, symlinks=True)
        elif source.exists():
            shutil.copy(source, etc / name, follow_symlinks=False)
    passwd = Path("/etc/passwd").read_text()
    (etc / "passwd").write_text(f"{ROOT_NAME}:x:0:0::/root:/bin/sh\n{passwd}")
    (etc / "machine-id").write_text(f"{MACHINE_ID}\n")


def _mount(*words: str | Path) -> None:
    subprocess.run(["mount", *words], check=True)


def _be_node(place: Path, fds: list[int]) -> None:
    _mount("--make-rshared", "/")
    _mount("-t", "tmpfs", "none", DATA)
    original = place / "pod-etc"
    shutil.copytree(place / "etc", original, symlinks=True)
    shutil.copy("/etc/passwd", original / "passwd")
    (original / "machine-id").unlink()
    _mount("--bind", place / "etc", "/etc")
    words = ["unshare", "-m", "--propagation", "slave", sys.executable, __file__, "pod", str(place)]
    pod = subprocess.Popen(
        [*words, *map(str, fds[2:])],
        pass_fds=fds[2:],
    )
    for fd in fds[2:]:
        os.close(fd)
    _serve(*fds[:2])
    pod.wait()


def _be_pod(place: Path, fds: list[int]) -> None:
    root = place / "root"
    _mount("--rbind", "/", place / "host")
    _mount("-t", "tmpfs", "none", root)
    (root / "host").mkdir()
    _mount("--move", place / "host", root / "host")
    for entry in Path("/").iterdir():
        new = root / entry.name
        if entry.name in {"etc", "host", DATA.strip("/"), OWN.strip("/")}:
            continue
        if entry.is_symlink():
            new.symlink_to(entry.readlink())
        elif entry.is_dir():
            new.mkdir()
            # Not the pod's own root in itself.
            _mount("--bind" if entry in place.parents else "--rbind", entry, new)
    shutil.copytree(place / "pod-etc", root / "etc", symlinks=True)
    (root / OWN.strip("/")).mkdir()
    (root / DATA.strip("/")).mkdir()
    os.chdir(root)
    from rawtp import syscalls

    libc = ctypes.CDLL(None, use_errno=True)
    if not libc.syscall(syscalls.number("pivot_root"), b".", b"."):
        done = libc.umount2(b".", _MNT_DETACH)
    elif ctypes.get_errno() == errno.EINVAL:
        # The root of a machine that has just its initramfs stays where it is (pivot_root(2)).
        done = libc.mount(b".", b"/", None, _MS_MOVE, None)
        os.chroot(".")
    else:
        done = -1
    if done:
        raise OSError(ctypes.get_errno(), "pivot_root")
    os.chdir("/")
    _serve(*fds)


def _serve(read_from: int, write_to: int) -> None:
    names: dict[str, Any] = {}
    with os.fdopen(read_from) as lines, os.fdopen(write_to, "w") as answers:
        for line in lines:
            asked = json.loads(line)
            names |= {**asked["values"], "result": None}
            try:
                exec(asked["code"], names)  # noqa: S102 - the test's own
                answer = json.dumps({"result": names["result"]})
            except BaseException:
                answer = json.dumps({"error": traceback.format_exc()})
            print(answer, file=answers, flush=True)


if __name__ == "__main__":
    role, where, *numbers = sys.argv[1:]
    (_be_node if role == "node" else _be_pod)(Path(where), [*map(int, numbers)])
