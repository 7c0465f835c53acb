"""`path=` against a model of the tree: nothing is missed, and nobody is accused.

Two processes, one of them in a mount namespace of its own, delete and rename by any names: through symbolic links,
bind mounts, `..`, working directories and descriptors. The model knows which directory each name leads to.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

import rawtp
from helpers.support import assert_ledger_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.kernel

OPERATIONS = int(os.environ.get("RAWTP_OPERATIONS", "2000"))

# Makes one call a line, and gives its errno.
WORKER = """
import ctypes, json, os, subprocess, sys
top, mounts = sys.argv[1], json.loads(sys.argv[2])
if mounts is not None:
    libc = ctypes.CDLL(None, use_errno=True)
    assert not libc.unshare(0x20000) and not libc.mount(None, b"/", None, 0x4000 | 0x40000, None)
    for source, point in mounts:
        assert not libc.mount(os.fsencode(f"{top}/{source}"), os.fsencode(f"{top}/{point}"), None, 0x1000, None)
print("ready", flush=True)
for line in sys.stdin:
    call, directory, how, old, new = json.loads(line)
    fd = None
    try:
        if how == "cwd":
            os.chdir(directory)
        elif how == "dirfd":
            fd = os.open(directory, os.O_DIRECTORY)
        if call == "unlink":
            os.unlink(old, dir_fd=fd)
        elif call == "rmdir":
            os.rmdir(old, dir_fd=fd)
        else:
            os.rename(old, new, src_dir_fd=fd, dst_dir_fd=fd)
        error = 0
    except OSError as failed:
        error = failed.errno
    finally:
        if fd is not None:
            os.close(fd)
        os.chdir("/")
    print(error, flush=True)
"""


@dataclass
class Node:
    """A file, a directory or a symbolic link of the model."""

    parent: Node | None
    name: str
    kind: str
    target: str = ""
    children: dict[str, Node] = field(default_factory=dict)

    def add(self, name: str, kind: str, target: str = "") -> Node:
        self.children[name] = Node(self, name, kind, target)
        return self.children[name]

    def way(self) -> list[Node]:
        """Itself and the directories above it, in the file system."""
        return [self, *(self.parent.way() if self.parent else [])]

    def path(self) -> str:
        return "/".join(node.name for node in reversed(self.way()))


Place = tuple[int, Node]
"""A directory as seen through a mount, by the mount's number."""


class Model:
    """What names lead to. `mounts` maps a mount point to what is mounted there, for each process."""

    def __init__(self, top: str) -> None:
        self.top = Node(None, top, "directory")
        self.mounts: list[dict[tuple[int, int], Place]] = [{}, {}]

    def find(self, worker: int, name: str, start: list[Place], depth: int = 0) -> list[Place] | None:
        """The directory that a name leads to, with the directories that `..` goes back to."""
        if depth > 8:
            return None
        way = list(start)
        if name.startswith(self.top.name):
            way, name = [(0, self.top)], name[len(self.top.name) :]
        for part in name.split("/"):
            if part in {"", "."}:
                continue
            if part == "..":
                if len(way) == 1:
                    return None  # out of the model
                way.pop()
                continue
            mount, directory = way[-1]
            node = directory.children.get(part)
            if node is None or node.kind == "file":
                return None
            if node.kind == "link":
                found = self.find(worker, node.target, way, depth + 1)
                if found is None:
                    return None
                way = found
            else:
                way.append(self.mounts[worker].get((mount, id(node)), (mount, node)))
        return way


def build(model: Model) -> None:
    """The tree; `wanted` is in `mid`."""
    for path in ("mid", "mid/wanted", "mid/wanted/a", "mid/wanted/a/b", "mid/other", "out", "out/a", "out/p", "out/q"):
        parent, _, name = path.rpartition("/")
        found = model.find(0, parent, [(0, model.top)])
        assert found
        found[-1][1].add(name, "directory")
        os.mkdir(f"{model.top.name}/{path}")  # noqa: PTH102
    links = {
        "in": "mid/wanted",
        "mid/up": "../out",
        "out/far": f"{model.top.name}/mid/wanted/a",
        "mid/wanted/leave": "../../out/a",
        "mid/wanted/a/self": ".",
    }
    for path, target in links.items():
        parent, _, name = path.rpartition("/")
        found = model.find(0, parent, [(0, model.top)])
        assert found
        found[-1][1].add(name, "link", target)
        os.symlink(target, f"{model.top.name}/{path}")  # noqa: PTH211


@contextmanager
def workers(model: Model) -> Iterator[list[subprocess.Popen[str]]]:
    """One on the host, where `wanted/a` is mounted on `out/p`; one in a namespace with other mounts."""
    top = model.top.name
    there = [("mid/wanted", "out/q"), ("out/a", "mid/wanted/a/b")]
    subprocess.run(["mount", "--bind", f"{top}/mid/wanted/a", f"{top}/out/p"], check=True)
    started = []
    try:
        for mounts in (None, there):
            command = [sys.executable, "-c", WORKER, top, json.dumps(mounts)]
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            started.append(process)
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for worker, mounted in enumerate([[("mid/wanted/a", "out/p")], [("mid/wanted/a", "out/p"), *there]]):
            for number, (source, point) in enumerate(mounted, 1):
                [found, at] = [model.find(worker, path, [(0, model.top)]) for path in (source, point)]
                assert found
                assert at
                mount, node = at[-1]
                model.mounts[worker][mount, id(node)] = (number, found[-1][1])
        yield started
    finally:
        for process in started:
            process.kill()
            process.communicate()
        subprocess.run(["umount", f"{top}/out/p"], check=True)


def answer(process: subprocess.Popen[str], *request: object) -> int:
    assert process.stdin is not None
    assert process.stdout is not None
    print(json.dumps(request), file=process.stdin, flush=True)
    return int(process.stdout.readline())


class Random:
    """Operations by chance."""

    NAMES = ("a", "b", "mid", "wanted", "other", "out", "p", "q", "in", "up", "far", "leave", "self", "..", ".")

    def __init__(self, model: Model, seed: int) -> None:
        self.model = model
        self.chance = random.Random(seed)  # noqa: S311 - a test that can be repeated

    def directory(self, worker: int, start: list[Place]) -> tuple[str, list[Place]]:
        """A name that leads to a directory of the model, and that directory."""
        while True:
            name = "/".join(self.chance.choices(self.NAMES, k=self.chance.randint(0, 4)))
            found = self.model.find(worker, name, start)
            if found is not None:
                return name, found

    def start(self, worker: int) -> tuple[str, str, list[Place]]:
        how = self.chance.choice(["absolute", "cwd", "dirfd"])
        name, found = self.directory(worker, [(0, self.model.top)])
        return how, f"{self.model.top.name}/{name}", found


def is_wanted(model: Model, node: Node, name: str, *, is_rename: bool) -> bool:
    """Whether an entry of a directory is the wanted one, below it, or, for a rename, a directory above it."""
    path = f"{node.path()}/{name}"
    wanted = f"{model.top.name}/mid/wanted"
    if path == wanted or path.startswith(f"{wanted}/"):
        return True
    return is_rename and wanted.startswith(f"{path}/")


def spelled(how: str, base: str, prefix: str, name: str) -> str:
    joined = f"{prefix}/{name}" if prefix else name
    return f"{base}/{joined}" if how == "absolute" else joined


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(2))
def test_nothing_is_missed_and_nobody_accused(tmp_path: Path, seed: int) -> None:
    model = Model(str(tmp_path.resolve()))
    build(model)
    chance = Random(model, seed)
    seen = {True: 0, False: 0}
    with workers(model) as processes:
        pids = [process.pid for process in processes]
        calls = rawtp.DELETE + rawtp.RENAME
        fields = (*rawtp.BASIC_FIELDS, "path", "real_path", "real_path_by", "new_real_path")
        with (
            rawtp.Tracer(calls, pid=pids, path=tmp_path / "mid/wanted", fields=fields) as direct,
            rawtp.Tracer(calls, pid=pids, path=tmp_path / "in", fields=fields) as linked,
        ):
            for number in range(OPERATIONS // 2):
                worker = chance.chance.randrange(2)
                how, base, at = chance.start(worker)
                prefix, way = chance.directory(worker, at)
                node = way[-1][1]
                step = step_of(model, chance, worker, node, number)
                call, name, new_name = step
                new_prefix, new_way = (prefix, way) if call != "rename" else chance.directory(worker, at)
                # A name that leads through what the call itself moves cannot be looked up later.
                while call == "rename" and name in new_prefix.split("/"):
                    new_prefix, new_way = chance.directory(worker, at)
                old = spelled(how, base, prefix, name)
                new = spelled(how, base, new_prefix, new_name)
                errno = answer(processes[worker], call, base, how, old, new)
                expected = is_wanted(model, node, name, is_rename=call == "rename") or (
                    call == "rename" and is_wanted(model, new_way[-1][1], new_name, is_rename=True)
                )
                what = (number, worker, call, how, base, old, new, errno, expected)
                apply(model, call, errno, node, name, new_way[-1][1], new_name)
                for tracer in (direct, linked):
                    events = tracer.get_many(timeout=0)
                    assert len(events) == expected, f"{what} {events}"
                    if errno == 0 and expected:
                        real = events[0]["real_path"]
                        assert real is None or real.rpartition("/")[2] == name, (what, events)
                seen[expected] += 1
                # What was looked up may be kept for 5 ms.
                time.sleep(0.006)
        for tracer in (direct, linked):
            tracer.close()
            assert list(tracer) == []
            assert_ledger_of(tracer)
    assert min(seen.values()) > OPERATIONS / 20, seen


def step_of(model: Model, chance: Random, worker: int, node: Node, number: int) -> tuple[str, str, str]:
    """A call on an entry of a directory, which is made first where it must be there."""
    kind = chance.chance.randrange(10)
    mounted = {point for mounts in model.mounts for _, point in mounts}
    movable = [
        child
        for child in node.children.values()
        if child.kind == "directory" and not mounted & {id(one) for one in below(child)}
    ]
    if kind == 0:
        return "unlink", "missing", ""
    if kind == 1:
        made(node, f"d{number}", "directory")
        return "rmdir", f"d{number}", ""
    if kind == 2 and movable:
        # Away from its name and, in the next such step, to it again.
        child = chance.chance.choice(movable)
        other = child.name.removesuffix("-away") if child.name.endswith("-away") else f"{child.name}-away"
        return "rename", child.name, other
    made(node, f"f{number}", "file")
    if kind in {3, 4}:
        return "rename", f"f{number}", f"g{number}"
    return "unlink", f"f{number}", ""


def below(node: Node) -> list[Node]:
    return [node, *(one for child in node.children.values() for one in below(child))]


def made(node: Node, name: str, kind: str) -> None:
    path = node.path()
    node.add(name, kind)
    if kind == "file":
        os.close(os.open(f"{path}/{name}", os.O_CREAT | os.O_WRONLY, 0o600))
    else:
        os.mkdir(f"{path}/{name}")  # noqa: PTH102


def apply(model: Model, call: str, errno: int, node: Node, name: str, new_node: Node, new_name: str) -> None:
    """Keeps the model true."""
    del model
    if errno:
        return
    child = node.children.pop(name)
    if call == "rename":
        child.parent, child.name = new_node, new_name
        new_node.children[new_name] = child
