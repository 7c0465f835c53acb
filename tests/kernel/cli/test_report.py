"""``rawtp run``: reports of what real commands made go, and the exit codes of conditions."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import rawtp
from helpers.support import HANG_S

pytestmark = pytest.mark.kernel

CLI = (sys.executable, "-m", "rawtp", "run")


@pytest.fixture(autouse=True)
def without_sudo(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SUDO_UID", "SUDO_GID", "SUDO_USER"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def worktree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, which git knows."""
    top = tmp_path / "top"
    top.mkdir()
    monkeypatch.chdir(top)
    for name in ("kept", "a", "b"):
        (top / name).write_text(name)
    for words in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message=x"]):
        subprocess.run(["git", "-c", "user.name=x", "-c", "user.email=x@example.org", *words], check=True)
    return top


def cli(*arguments: object, **changes: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [*CLI, *map(str, arguments)], capture_output=True, text=True, timeout=HANG_S, env={**os.environ, **changes}
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr


def document(out: str) -> dict[str, Any]:
    """The report, which comes after the command's own output."""
    found: dict[str, Any] = json.loads(out.splitlines()[-1])
    return found


def paths(report: dict[str, Any], kind: str) -> list[str]:
    return [Path(loss["path"]).name for loss in report["losses"] if loss["kind"] == kind]


def test_what_a_script_deleted_overwrote_and_truncated(worktree: Path) -> None:
    script = "echo hello; rm a; : > b; touch new; mv new kept; rm -f gone; mkdir d; rmdir d; exit 3"
    code, out, _ = cli("--report", "json", "--", "sh", "-c", script)
    assert code == 3
    assert out.startswith("hello\n")
    report = document(out)
    assert (report["returncode"], report["fails"], report["problems"]) == (3, [], [])
    assert paths(report, "deleted") == ["a"]
    assert paths(report, "truncated") == ["b"]
    assert paths(report, "removed") == ["d"]
    # Whether it replaced something is known where the kernel's own functions can be watched.
    assert paths(report, "overwritten") + paths(report, "moved") in (["kept"], ["new"])
    # Of rm, and of mv, which first asks for a rename that replaces nothing.
    assert report["totals"]["failed_attempts"] in {1, 2}
    [deleted] = [loss for loss in report["losses"] if loss["kind"] == "deleted"]
    assert deleted["git"]["where"] == ["HEAD", "index"]
    subprocess.run(deleted["git"]["command"], check=True)
    assert (worktree / "a").read_text() == "a"


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        *(("outside=.", True), ("outside=..", False), ("count>1", True), ("count>2", False)),
        *(("path=../other", True), ("path=**/top/*", True), ("path=*/a", False)),
    ],
)
def test_conditions(worktree: Path, condition: str, holds: bool) -> None:
    (worktree.parent / "other").touch()
    code, _, err = cli("-q", "--fail-if", condition, "--", "sh", "-c", "rm a ../other; exit 4")
    assert code == (5 if holds else 4)
    assert (f"rawtp: fails: {condition}\n" in err) == holds


def test_a_sum_of_sizes_that_are_not_known_may_be_any(worktree: Path) -> None:
    code, _, err = cli("-q", "--fail-if", "bytes>1GiB", "--", "rm", "a")
    knows_sizes = rawtp.check()["truth"].state == "ok"
    assert code == (0 if knows_sizes else 5)
    expected = "" if knows_sizes else "rawtp: fails: bytes>1GiB: it may hold, since not all sizes are known\n"
    assert err == expected


def test_a_condition_goes_by_the_file_behind_a_link(worktree: Path) -> None:
    (worktree.parent / "elsewhere").mkdir()
    (worktree.parent / "elsewhere" / "x").touch()
    (worktree / "link").symlink_to("../elsewhere")
    assert cli("-q", "--fail-if", "outside=.", "--", "rm", "link/x")[0] == 5
    assert cli("-q", "--fail-if", "outside=.", "--", "rm", "link")[0] == 0


def test_filters_leave_conditions_less(worktree: Path) -> None:
    code, _, err = cli("-q", "--fail-if", "count>0", "-P", "/srv", "-s", "delete", "--", "rm", "a")
    assert (code, err) == (0, "rawtp: --fail-if: what -s, -P left out meets no condition\n")
    code, _, err = cli("--fail-if", "count>0", "--outcome", "failed", "--", "true")
    assert (code, "not with --outcome failed: what failed meets no condition" in err) == (2, True)
    code, _, err = cli("--report", "md=x", "--report", "json=x", "--", "true")
    assert (code, "argument --report: 'x' is given twice" in err) == (2, True)


def test_wrong_usage(worktree: Path) -> None:
    code, _, err = cli("--fail-if", "size=1", "--", "rm", "a")
    assert (code, (worktree / "a").exists()) == (2, True)
    assert "'size=1' is no condition: outside=DIR, path=GLOB, count>N or bytes>SIZE" in err
    assert cli("--report", "xml", "--", "rm", "a")[0] == 2
    assert cli("--report", "md=", "--", "rm", "a")[0] == 2
    code, _, err = cli("--report", "md")
    assert (code, "no command: it comes behind --" in err) == (2, True)
    assert cli("--fail-if", "count>0", "--", "no-such-program")[0] == 127


def test_reports_into_files(worktree: Path) -> None:
    code, out, _ = cli("--report", "md", "--report", "sarif=../o.sarif", "--report", "json=../o", "--", "rm", "a")
    assert code == 0
    assert "| deleted | `a` |" in out
    assert json.loads(Path("../o.sarif").read_text())["version"] == "2.1.0"
    assert json.loads(Path("../o").read_text())["totals"]["deleted"] == 1


def test_a_file_that_cannot_be_written_is_told_before_the_command_runs(worktree: Path) -> None:
    (worktree / "link").symlink_to("b")
    os.mkfifo("fifo")
    for name in ("link", "fifo", ".", "no/such"):
        code, _, err = cli("--report", f"md={name}", "--", "rm", "a")
        assert code == 1
        assert err.startswith(f"rawtp: {name}")
    assert (worktree / "a").exists()
    assert (worktree / "b").read_text() == "b"


def test_the_callers_rights_make_the_file(tmp_path: Path) -> None:
    """Under sudo: no file of root's where the user could not make one, and the user's own where one can be made."""
    for path in (tmp_path, *tmp_path.parents[:-2]):
        path.chmod(path.stat().st_mode | stat.S_IXOTH)
    nobody = {"SUDO_UID": "65534", "SUDO_GID": "65534"}
    code, _, err = cli("--report", f"md={tmp_path}/report", "--", "true", **nobody)
    assert (code, err) == (1, f"rawtp: {tmp_path}/report: Permission denied\n")
    os.chown(tmp_path, 65534, 65534)
    assert cli("--report", f"md={tmp_path}/report", "--", "true", **nobody)[0] == 0
    status = (tmp_path / "report").stat()
    assert (status.st_uid, status.st_gid) == (65534, 65534)


def test_losses_that_were_not_seen_are_said(worktree: Path) -> None:
    calls = "import os\nfor n in range(20000):\n try: os.unlink('/nonexistent/' + 'x' * 200)\n except OSError: pass"
    small = ["--ring-bytes", "4096", "--queue-bytes", "65536"]
    code, out, _ = cli("--report", "json", "--fail-on-loss", *small, "--", sys.executable, "-c", calls)
    report = document(out)
    if code == 3:
        assert "were lost" in report["problems"][0]
    else:
        assert report["totals"]["failed_attempts"] == 20000


def test_git_itself(worktree: Path) -> None:
    code, out, _ = cli("--report", "json", "--fail-if", "outside=.", "--", "git", "rm", "--quiet", "a")
    assert code == 0
    [loss] = [loss for loss in document(out)["losses"] if loss["path"] == str(worktree / "a")]
    assert (loss["kind"], loss["comm"], loss["git"]["where"]) == ("deleted", "git", ["HEAD"])
    assert cli("-q", "--fail-if", "path=**/.git/**", "--", "git", "gc", "--quiet", "--prune=now")[0] == 5


@pytest.mark.slow
def test_pip(worktree: Path) -> None:
    package = worktree / "package"
    package.mkdir()
    (package / "one.py").write_text("")
    (package / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "back"\nbackend-path = ["."]\n'
        '[project]\nname = "one"\nversion = "1"\n'
    )
    # A build step that deletes what is none of its business.
    (package / "back.py").write_text(
        "import os, zipfile\n"
        "def build_wheel(out, settings=None, metadata=None):\n"
        f"    os.unlink({str(worktree / 'a')!r})\n"
        "    name = 'one-1-py3-none-any.whl'\n"
        "    with zipfile.ZipFile(out + '/' + name, 'w') as wheel:\n"
        "        wheel.writestr('one.py', '')\n"
        "        wheel.writestr('one-1.dist-info/METADATA', 'Metadata-Version: 2.1\\nName: one\\nVersion: 1\\n')\n"
        "        about = 'Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n'\n"
        "        wheel.writestr('one-1.dist-info/WHEEL', about)\n"
        "        wheel.writestr('one-1.dist-info/RECORD', '')\n"
        "    return name\n"
    )
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-index", "--no-deps"]
    watched = ["--report", "json", "--fail-if", f"path={worktree}/*"]
    code, out, err = cli(*watched, "--", *pip, "--no-build-isolation", "--target", worktree.parent / "to", package)
    assert code == 5, err
    report = document(out)
    assert report["returncode"] == 0, err
    [failing] = [loss for loss in report["losses"] if loss["fails"] and loss["kind"] == "deleted"]
    assert failing["path"] == str(worktree / "a")
    assert failing["git"]["where"] == ["HEAD", "index"]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("npm") is None, reason="no npm")
def test_npm(worktree: Path) -> None:
    (worktree / "package.json").write_text('{"name": "one", "version": "1.0.0", "scripts": {"install": "rm a"}}')
    npm = ["npm", "install", "--offline", "--no-audit", "--no-fund", "--no-update-notifier", "--cache", "../cache"]
    code, out, err = cli("--report", "json", "--fail-if", f"path={worktree}/a", "--", *npm)
    report = document(out)
    assert (code, report["returncode"]) == (5, 0), err
    [loss] = [loss for loss in report["losses"] if loss["fails"]]
    assert (loss["comm"], loss["path"], loss["git"]["where"]) == ("rm", str(worktree / "a"), ["HEAD", "index"])


@pytest.mark.skipif(shutil.which("apt-get") is None, reason="no apt")
def test_apt(worktree: Path) -> None:
    archives = worktree / "archives"
    (archives / "partial").mkdir(parents=True)
    (archives / "one_1_all.deb").write_text("a package")
    code, out, err = cli("--report", "json", "--", "apt-get", "-o", f"Dir::Cache::archives={archives}", "clean")
    assert code == 0, err
    assert "one_1_all.deb" in paths(document(out), "deleted")


def test_in_python(worktree: Path) -> None:
    result = rawtp.run(["rm", "a", "b"], path=worktree)
    report = result.report(["count>1", "outside=."])
    assert report.broken == ["count>1"]
    assert [one.where for one in report.recovery.values()] == [("HEAD", "index")] * 2
    assert report.to_markdown() == report._repr_markdown_()
    assert "`rm a b`" in report.to_markdown()
    assert report.as_dict()["command"] == ["rm", "a", "b"]
    with pytest.raises(ValueError, match="is no condition"):
        result.report(["nothing"])
    with pytest.raises(TypeError, match="not a str"):
        result.report("count>1")
