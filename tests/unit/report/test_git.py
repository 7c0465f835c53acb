"""What git has of files that went, also where the repository is hostile."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from rawtp._report import git
from rawtp._report.losses import Loss

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="no git")


def run(repository: Path, *words: str | bytes | Path) -> None:
    identity = ("-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "protocol.file.allow=always")
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    subprocess.run(["git", "-C", repository, *identity, *words], check=True, capture_output=True, env=environment)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    top = tmp_path / "top"
    top.mkdir()
    run(top, "init", "--quiet")
    for name in ("committed", "both", b"hostile \xff\n*", "--option", ":(top)x"):
        (top / os.fsdecode(name)).write_text("old")
    run(top, "add", "--all")
    run(top, "commit", "--quiet", "--message=x")
    return top


def loss(path: Path, mtime_ns: int | None = None, size: int | None = None, kind: str = "deleted") -> Loss:
    return Loss(kind, str(path), None, True, None, 0, 1, "rm", None, mtime_ns, size)


def test_in_the_commit_the_index_and_stashes(repository: Path) -> None:
    (repository / "untracked").write_text("stashed")
    (repository / "both").write_text("stashed")
    run(repository, "stash", "--include-untracked")
    (repository / "both").write_text("newer")
    (repository / "added").write_text("added")
    run(repository, "add", "both", "added")
    names = ("committed", "both", "added", "untracked", "nothing")
    for name in names:
        (repository / name).unlink(missing_ok=True)
    found, problems = git.recoveries(loss(repository / name) for name in names)
    assert problems == []
    where = {Path(path).name: (one.where, one.size) for path, one in found.items()}
    assert where == {
        "committed": (("HEAD", "index", "stash@{0}"), 3),
        "both": (("index", "HEAD", "stash@{0}"), 5),
        "added": (("index",), 5),
        "untracked": (("stash@{0}^3",), 7),
    }
    for path, one in found.items():
        subprocess.run(one.command, check=True)
        assert len(Path(path).read_bytes()) == one.size


@pytest.mark.parametrize("name", [b"hostile \xff\n*", b"--option", b":(top)x"])
def test_hostile_names(repository: Path, name: bytes) -> None:
    path = repository / os.fsdecode(name)
    path.unlink()
    found, problems = git.recoveries([loss(path)])
    assert (problems, list(found)) == ([], [str(path)])
    subprocess.run(found[str(path)].command, check=True)
    assert path.read_text() == "old"


def test_time_and_size_tell_that_it_was_unchanged(repository: Path) -> None:
    path = repository / "committed"
    status = path.stat()
    path.unlink()
    for mtime_ns, size, expected in [
        (status.st_mtime_ns, 3, True),
        (status.st_mtime_ns + 1, 3, None),
        (status.st_mtime_ns, 4, None),
        (None, None, None),
    ]:
        found = git.recoveries([loss(path, mtime_ns, size)]).found
        assert found[str(path)].is_unchanged is expected


def test_a_directory_that_went_with_its_files(repository: Path) -> None:
    (repository / "a" / "b").mkdir(parents=True)
    (repository / "a" / "b" / "x").write_text("x")
    run(repository, "add", "--all")
    shutil.rmtree(repository / "a")
    assert git.recoveries([loss(repository / "a" / "b" / "x")]).found[str(repository / "a" / "b" / "x")].where == (
        "index",
    )
    shutil.rmtree(repository)
    assert git.recoveries([loss(repository / "a" / "b" / "x")]) == ({}, [])


def test_what_is_not_looked_for(repository: Path) -> None:
    inside = loss(repository / ".git" / "config")
    moved = loss(repository / "committed", kind="moved")
    assert git.recoveries([inside, moved, loss(repository.parent / "outside")]) == ({}, [])


def test_a_hostile_repository_runs_nothing(repository: Path, tmp_path: Path) -> None:
    """Every setting that names a program, hooks, filters, and an object that only a transport could fetch."""
    marker = tmp_path / "ran"
    evil = tmp_path / "evil"
    evil.write_text(f"#!/bin/sh\ntouch {marker}\nexit 1\n")
    evil.chmod(0o755)
    tmp_path.chmod(0o777)
    for name in ("post-index-change", "post-checkout", "fsmonitor-watchman", "reference-transaction"):
        shutil.copy(evil, repository / ".git" / "hooks" / name)
    settings = (
        *("core.fsmonitor", "core.pager", "core.sshCommand", "core.askPass", "core.gitProxy", "core.editor"),
        *("diff.external", "filter.x.clean", "filter.x.smudge", "filter.x.process", "gpg.program", "pager.ls-files"),
        *("core.alternateRefsCommand", "credential.helper", "remote.origin.uploadpack", "uploadpack.packObjectsHook"),
    )
    (repository / ".gitattributes").write_text("* filter=x diff=x\n")
    others = {"remote.origin.url": f"ext::{evil}", "remote.origin.promisor": "true", "protocol.ext.allow": "always"}
    others |= {"log.showSignature": "true", "extensions.partialClone": "origin", "core.repositoryFormatVersion": "1"}
    blob = subprocess.check_output(["git", "-C", repository, "rev-parse", "HEAD:committed"], text=True).strip()
    for key, value in {**dict.fromkeys(settings, str(evil)), **others}.items():
        subprocess.run(["git", "config", "--file", repository / ".git" / "config", key, value], check=True, cwd="/")
    marker.unlink(missing_ok=True)
    (repository / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    (repository / "both").unlink()
    (repository / "committed").unlink()
    found, problems = git.recoveries([loss(repository / "both"), loss(repository / "committed")])
    assert not marker.exists()
    assert problems == [] or "not" in problems[0]
    assert found.keys() <= {str(repository / "both"), str(repository / "committed")}
    # The repository is as hostile as it is meant to be: another command does run the program.
    subprocess.run(["git", "-C", repository, "status"], capture_output=True, timeout=60)
    assert marker.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="not root")
def test_root_reads_as_the_owner(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory() as place:  # pytest's is root's alone
        Path(place).chmod(0o755)
        shutil.move(repository, place)
        top = Path(place) / repository.name
        for path in (top, *top.rglob("*")):
            os.lchown(path, 65534, 65534)
        _reads_as_nobody(top, monkeypatch)


def _reads_as_nobody(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    start = subprocess.Popen

    def watched(*words: object, **options: object) -> object:
        seen.append((options["user"], options["group"], options["extra_groups"]))
        return start(*words, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(subprocess, "Popen", watched)
    (repository / "committed").unlink()
    answer = git.recoveries([loss(repository / "committed")])
    assert answer.problems == []
    assert [one.where for one in answer.found.values()] == [("HEAD", "index")]
    assert seen
    assert all(one == (65534, 65534, []) for one in seen)


def test_its_time_has_a_bound(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = tmp_path / "git"
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    monkeypatch.setattr(shutil, "which", lambda _: str(slow))
    found, problems = git.recoveries([loss(repository / "committed")], max_s=0.2)
    assert (found, problems) == ({}, [f"{repository}: git took too long; what it has of the rest is not known"])


def test_without_git(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert git.recoveries([loss(repository / "committed")]) == ({}, ["there is no git here to ask"])


def test_many_files_are_counted(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(git, "MAX_FILES", 1)
    found, problems = git.recoveries([loss(repository / "committed"), loss(repository / "both")])
    assert (len(found), problems) == (1, ["1 files were not looked up: more than 1"])
