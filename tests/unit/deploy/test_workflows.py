"""What OpenSSF Scorecard looks for, as far as files can show it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
CHECKS = (
    *("Binary-Artifacts", "Branch-Protection", "CI-Tests", "CII-Best-Practices", "Code-Review", "Contributors"),
    *("Dangerous-Workflow", "Dependency-Update-Tool", "Fuzzing", "License", "Maintained", "Packaging"),
    *("Pinned-Dependencies", "SAST", "SBOM", "Security-Policy", "Signed-Releases", "Token-Permissions"),
    *("Vulnerabilities", "Webhooks"),
)
# What a job may write, and no other job.
WRITES = {
    ("release.yml", "publish", "attestations"),
    ("release.yml", "publish", "id-token"),
    ("release.yml", "assets", "contents"),
}


def read(path: Path) -> dict[Any, Any]:
    found: dict[Any, Any] = yaml.safe_load(path.read_text())
    return found


def steps(path: Path) -> list[dict[str, Any]]:
    return [step for job in read(path)["jobs"].values() for step in job.get("steps", ())]


def test_each_action_is_pinned_by_its_commit() -> None:
    pins: dict[str, set[str]] = {}
    for path in [*WORKFLOWS, ROOT / "action.yml"]:
        for line in path.read_text().splitlines():
            if (used := re.match(r"\s*-?\s*uses: (.*)$", line)) is None or used[1].startswith("./"):
                continue
            found = re.fullmatch(r"([\w./-]+)@([0-9a-f]{40}) # (v\d+\.\d+\.\d+)", used[1])
            assert found, f"{path.name}: {line}"
            pins.setdefault(found[1], set()).add(f"{found[2]} {found[3]}")
    assert {"actions/checkout", "pypa/gh-action-pypi-publish"} <= pins.keys()
    assert {action: sorted(each) for action, each in pins.items() if len(each) > 1} == {}


def test_tokens_may_read_and_each_exception_is_one_jobs() -> None:
    writes = set()
    for path in WORKFLOWS:
        workflow = read(path)
        assert workflow["permissions"] == {"contents": "read"}, path.name
        for name, job in workflow["jobs"].items():
            granted = job.get("permissions", {})
            assert set(granted.values()) <= {"read", "write"}, f"{path.name}: {name}"
            writes |= {(path.name, name, what) for what, right in granted.items() if right == "write"}
    assert writes == WRITES


def test_no_stranger_has_code_run_with_a_token() -> None:
    for path in WORKFLOWS:
        # YAML 1.1 reads `on` as true.
        assert not {"pull_request_target", "workflow_run"} & read(path)[True].keys(), path.name
        for step in steps(path):
            assert not re.search(r"\$\{\{[^}]*github\.(event|head_ref)", step.get("run", "")), f"{path.name}: {step}"
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False, path.name
    for step in read(ROOT / "action.yml")["runs"]["steps"]:
        assert "${{" not in step.get("run", "")


def test_dependencies_are_renewed() -> None:
    updates = read(ROOT / ".github" / "dependabot.yml")["updates"]
    assert {(one["package-ecosystem"], one["directory"]) for one in updates} == {
        ("cargo", "/"),
        ("cargo", "/fuzz"),
        ("github-actions", "/"),
    }


def test_a_release_has_what_proves_where_it_is_from() -> None:
    text = (ROOT / ".github" / "workflows" / "release.yml").read_text()
    assert all(part in text for part in ("rawtp.sigstore.json", ".cdx.json", "attest-build-provenance", "--verify-tag"))


def test_the_ways_to_report_and_the_licences_are_at_the_top() -> None:
    assert "## Report a vulnerability" in (ROOT / "SECURITY.md").read_text()
    assert {path.name for path in ROOT.glob("LICENSE*")} == {
        *("LICENSE-APACHE", "LICENSE-BPF", "LICENSE-MIT", "LICENSE-THIRD-PARTY")
    }
    assert "libfuzzer_sys" in "".join(path.read_text() for path in (ROOT / "fuzz").glob("fuzz_targets/*.rs"))


def test_no_program_lies_among_the_sources() -> None:
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("no clone")
    listed = subprocess.run(
        [git, "-c", "safe.directory=*", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True
    )
    names = [name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).is_file()]
    assert "SECURITY.md" in names
    found = []
    for name in names:
        with (ROOT / name).open("rb") as file:
            head = file.read(8)
        # ELF, ar, zip and so a wheel, PE, Java, gzip, WebAssembly.
        if head.startswith((b"\x7fELF", b"!<arch>\n", b"PK\3\4", b"MZ", b"\xca\xfe\xba\xbe", b"\x1f\x8b", b"\0asm")):
            found.append(name)
    assert found == []
    assert [name for name in names if name.endswith((".pyc", ".so", ".whl", ".jar", ".exe"))] == []


def test_each_check_has_a_row() -> None:
    table = (ROOT / "RELEASING.md").read_text().partition("## OpenSSF Scorecard\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| ([\w-]+) \|", table, re.MULTILINE)
    assert rows == ["check", *CHECKS]
