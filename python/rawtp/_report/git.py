"""What git still has of files that went.

The repositories may be hostile: names are bytes, the configuration may name programs, and objects may be missing on
purpose. So git runs as the owner of the repository where this process is root, without a shell, by commands that run no
hook, filter, pager or signature check, with every transport refused, and in bounded time.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rawtp._report.losses import Loss

MAX_S = 10.0
"""Seconds that all of it may take."""
MAX_FILES = 20_000
"""The number of files that are looked up."""
_MAX_STASHES = 10
_MAX_BYTES = 64 << 20  # of git's output at a time
_AT_ONCE_BYTES = 96 << 10  # of names, on one command line
_CONFIGURATION = (
    *("core.fsmonitor=false", "core.hooksPath=/dev/null", "core.untrackedCache=false", "core.pager=cat"),
    *("protocol.allow=never", "core.sshCommand=false", "core.askPass=false", "core.gitProxy=false"),
)
_ENTRY = re.compile(
    rb"([0-7]{6}) ([0-9a-f]{40,64}) ([0-3])\t([^\0]+)\0"
    rb"  ctime: \d+:\d+\n  mtime: (\d+):(\d+)\n  dev: \d+\tino: \d+\n  uid: \d+\tgid: \d+\n"
    rb"  size: (\d+)\tflags: [0-9a-f]+\n"
)
_TREE = re.compile(rb"([0-7]{6}) blob ([0-9a-f]{40,64}) +(\d+|-)\t([^\0]+)\0")


@dataclass(frozen=True)
class Recovery:
    """Where git has a version of a file."""

    worktree: str
    path: str
    """Relative to the work tree."""
    where: tuple[str, ...]
    """``"HEAD"``, ``"index"``, ``"stash@{0}"`` and so on: each has a version, the likeliest first."""
    is_unchanged: bool | None
    """True when time and size say that the file was as the index has it; ``None``: not known."""
    size: int | None
    """The size in bytes of the first version, where it is known."""

    @property
    def command(self) -> list[str]:
        """The words that bring the first version back."""
        source = [] if self.where[0] == "index" else [f"--source={self.where[0]}"]
        return ["git", "-C", self.worktree, "--literal-pathspecs", "restore", *source, "--", self.path]


class Answer(NamedTuple):
    """What was found out."""

    found: dict[str, Recovery]
    """By path."""
    problems: list[str]
    """Why that may not be all."""


class _Entry(NamedTuple):
    mtime_ns: int
    size: int
    blob: bytes


def recoveries(losses: Iterable[Loss], max_s: float = MAX_S) -> Answer:
    """Look up the files in the work trees that they are in."""
    wanted: defaultdict[str, dict[bytes, Loss]] = defaultdict(dict)
    problems: list[str] = []
    known: dict[str, str | None] = {}
    count = skipped = 0
    for loss in losses:
        if not loss.is_of_content or loss.path is None or (top := _worktree(loss.path, known)) is None:
            continue
        name = os.path.relpath(loss.path, top)
        if name == ".git" or name.startswith((".git/", "../")):
            continue
        count += 1
        if count > MAX_FILES:
            skipped += 1
        else:
            wanted[top].setdefault(os.fsencode(name), loss)
    if skipped:
        problems.append(f"{skipped} files were not looked up: more than {MAX_FILES}")
    found: dict[str, Recovery] = {}
    if not wanted:
        return Answer(found, problems)
    program = shutil.which("git")
    if program is None:
        return Answer(found, [*problems, "there is no git here to ask"])
    end_s = time.monotonic() + max_s
    for top, files in wanted.items():
        try:
            repository = _Repository(program, top, end_s)
            for key, recovery in repository.versions(files):
                path = files[key].path
                if path is not None:
                    found[path] = recovery
        except _GitError as error:
            problems.append(f"{top}: {error}")
    return Answer(found, problems)


def _worktree(path: str, known: dict[str, str | None]) -> str | None:
    """The directory with ``.git`` in it that the path is in."""
    directory = os.path.dirname(path)  # noqa: PTH120 - bytes of any kind, and many of them
    passed = []
    top = None
    while True:
        if directory in known:
            top = known[directory]
            break
        passed.append(directory)
        if os.path.lexists(os.path.join(directory, ".git")):  # noqa: PTH118
            top = directory
            break
        if directory in {"/", ""}:
            break
        directory = os.path.dirname(directory)  # noqa: PTH120
    known.update(dict.fromkeys(passed, top))
    return top


class _GitError(Exception):
    """git cannot be asked, or gives no answer."""


class _Repository:
    """One work tree, and the git that reads it."""

    def __init__(self, program: str, top: str, end_s: float) -> None:
        self._top = top
        self._end_s = end_s
        options = [word for setting in _CONFIGURATION for word in ("-c", setting)]
        self._words = [program, "-C", top, "--no-pager", "--literal-pathspecs", *options]
        self._environment = {
            "PATH": os.defpath,
            "LC_ALL": "C",
            "HOME": "/nonexistent",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_ALLOW_PROTOCOL": "none",
            "GIT_NO_LAZY_FETCH": "1",
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_OPTIONAL_LOCKS": "0",
            "GIT_TERMINAL_PROMPT": "0",
        }
        self._user: dict[str, object] = {}
        if os.geteuid() == 0:
            try:
                owner = os.lstat(os.path.join(top, ".git"))  # noqa: PTH118
            except OSError as error:
                raise _GitError(f"it is gone: {error.strerror}") from None
            if owner.st_uid:
                self._user = {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []}

    def versions(self, files: dict[bytes, Loss]) -> Iterator[tuple[bytes, Recovery]]:
        """The versions of these files that there are."""
        self._run(["rev-parse", "--git-dir"])  # says why, where it refuses
        names = list(files)
        index = self._index(names)
        head = self._tree("HEAD", names)
        stashes = self._stashes(names)
        for name, loss in files.items():
            entry = index.get(name)
            unchanged = (
                entry is not None
                and loss.mtime_ns is not None
                and loss.size is not None
                and (loss.mtime_ns, loss.size & 0xFFFF_FFFF) == (entry.mtime_ns, entry.size)
            ) or None
            where = []
            size = None
            if name in head:
                where.append("HEAD")
                size = head[name][1]
            if entry is not None:
                # What was added last is nearer to what was lost than what was committed before.
                newer = name not in head or head[name][0] != entry.blob
                if newer:
                    size = entry.size or None
                where.insert(0 if newer else 1, "index")
            for stash, tree in stashes:
                if name in tree:
                    size = size if where else tree[name][1]
                    where.append(stash)
            if where:
                yield name, Recovery(self._top, os.fsdecode(name), tuple(where), unchanged, size)

    def _index(self, names: Sequence[bytes]) -> dict[bytes, _Entry]:
        found = {}
        for some in _portions(names):
            text = self._run([b"ls-files", b"-z", b"--stage", b"--debug", b"--full-name", b"--", *some])
            for _, blob, stage, name, seconds, ns, size in _ENTRY.findall(text):
                if stage == b"0":
                    found[name] = _Entry(int(seconds) * 1_000_000_000 + int(ns), int(size), blob)
        return found

    def _tree(self, revision: str, names: Sequence[bytes]) -> dict[bytes, tuple[bytes, int | None]]:
        """Blob and size by name; nothing where there is no such revision."""
        if not self._run(["rev-parse", "--verify", "--quiet", f"{revision}^{{tree}}"], may_fail=True):
            return {}
        found = {}
        for some in _portions(names):
            text = self._run([b"ls-tree", b"-z", b"-l", b"--full-tree", revision.encode(), b"--", *some])
            for _, blob, size, name in _TREE.findall(text):
                found[name] = blob, None if size == b"-" else int(size)
        return found

    def _stashes(self, names: Sequence[bytes]) -> list[tuple[str, dict[bytes, tuple[bytes, int | None]]]]:
        found = []
        for number in range(_MAX_STASHES):
            stash = f"stash@{{{number}}}"
            if not self._run(["rev-parse", "--verify", "--quiet", stash], may_fail=True):
                break
            found.append((stash, self._tree(stash, names)))
            # Files that git did not know are in a commit of their own.
            if untracked := self._tree(f"{stash}^3", names):
                found.append((f"{stash}^3", untracked))
        return found

    def _run(self, words: Sequence[str | bytes], *, may_fail: bool = False) -> bytes:
        """git's output."""
        left_s = self._end_s - time.monotonic()
        if left_s <= 0:
            raise _GitError("git took too long; what it has of the rest is not known")
        try:
            with subprocess.Popen(  # noqa: S603 - no shell, and every name behind "--"
                [*self._words, *words],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=self._environment,
                cwd="/",
                start_new_session=True,
                **self._user,  # type: ignore[call-overload]
            ) as process:
                try:
                    out, err = process.communicate(timeout=left_s)
                except subprocess.TimeoutExpired:
                    raise _GitError("git took too long; what it has of the rest is not known") from None
                finally:
                    process.kill()
        except OSError as error:
            raise _GitError(f"git cannot run: {error.strerror}") from None
        if len(out) > _MAX_BYTES:
            raise _GitError("git says too much")
        if process.returncode and not may_fail:
            why = err.decode(errors="replace").strip().splitlines()[:1] or [f"git ended with {process.returncode}"]
            raise _GitError(why[0].removeprefix("fatal: "))
        return b"" if process.returncode else out


def _portions(names: Sequence[bytes]) -> Iterator[list[bytes]]:
    """The names in portions that fit on a command line."""
    some: list[bytes] = []
    total = 0
    for name in names:
        if some and total + len(name) > _AT_ONCE_BYTES:
            yield some
            some, total = [], 0
        some.append(name)
        total += len(name) + 9  # the pointer and the end count, too
    if some:
        yield some
