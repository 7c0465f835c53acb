"""Debian's source package, beside what it repeats of the manifests. `make deb` builds it."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
DEBIAN = ROOT / "packaging" / "debian"


def entry(manifest: str, pattern: str) -> str:
    found = re.search(pattern, (ROOT / manifest).read_text(), re.MULTILINE)
    assert found, manifest
    return found[1]


def test_what_it_repeats() -> None:
    version = entry("Cargo.toml", r'^version = "(.+)"$')
    assert (DEBIAN / "changelog").read_text().startswith(f"rawtp ({version}-1) ")
    control = (DEBIAN / "control").read_text()
    rust = entry("Cargo.toml", r'^rust-version = "(.+)"$')
    assert set(re.findall(r"(?:cargo|rustc)(?:-web)? \(>= ([\d.]+)\)", control)) == {rust}
    assert f"python3:any (>= {entry('pyproject.toml', r'^requires-python = .>=(.+).$')})" in control


def test_it_builds_without_a_network_and_starts_nothing() -> None:
    rules = (DEBIAN / "rules").read_text()
    assert "CARGO_NET_OFFLINE = true" in rules
    assert "--locked" in rules
    assert "dh_installsystemd --no-enable --no-start" in rules
    assert (DEBIAN / "rules").stat().st_mode & 0o111
    assert (DEBIAN / "source" / "format").read_text() == "3.0 (quilt)\n"
