"""What is inside of a wheel, for machines: CycloneDX, as PEP 770 has it. LICENSE-THIRD-PARTY is the same for humans.

maturin could write one: of crates alone, with those that only build scripts use, with the time and the directory.
"""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

from scripts.third_party import Part, linked_parts

# There is no parser of TOML in Python 3.10.
CRATE = re.compile(r'\[\[package\]\]\nname = "(.+)"\nversion = "(.+)"\nsource = ".+"\nchecksum = "(.+)"')


def write(root: Path) -> Path:
    """To where maturin takes it from: it must lie within the project."""
    path = root / "target" / "sbom" / "rawtp.cyclonedx.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document(root, linked_parts(root), rust()), indent=1) + "\n")
    return path


def document(root: Path, parts: list[Part], rust: str) -> dict[str, Any]:
    """In the order of the parts; the same parts give the same document."""
    manifest = (root / "Cargo.toml").read_text()
    name, version, licence = (field(manifest, key) for key in ("name", "version", "license"))
    locked = CRATE.findall((root / "Cargo.lock").read_text())
    checksums = {(name, version): checksum for name, version, checksum in locked}
    standard_library = Part("Rust's standard library", rust, "MIT OR Apache-2.0", [], "pkg:generic/rust-std")
    components = [component(part, checksums.get((part.name, part.version))) for part in [*parts, standard_library]]
    itself = f"pkg:pypi/{name}@{version}"
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "library",
                "bom-ref": itself,
                "name": name,
                "version": version,
                "licenses": [{"expression": licence}],
                "purl": itself,
            }
        },
        "components": components,
        "dependencies": [{"ref": itself, "dependsOn": [component["bom-ref"] for component in components]}],
    }


def component(part: Part, checksum: str | None) -> dict[str, Any]:
    purl = f"{part.purl}@{part.version}"
    hashes = {"hashes": [{"alg": "SHA-256", "content": checksum}]} if checksum else {}
    return {
        "type": "library",
        "bom-ref": purl,
        "name": part.name,
        "version": part.version,
        **hashes,
        "licenses": [{"expression": part.licence.replace("/", " OR ")}],
        "purl": purl,
    }


def field(manifest: str, key: str) -> str:
    """Of a manifest's first table."""
    found = re.search(rf'^{key} = "(.+)"$', manifest, re.MULTILINE)
    if found is None:
        raise ValueError(f"no {key} in Cargo.toml")
    return found[1]


def rust() -> str:
    return subprocess.check_output(["rustc", "--version"], text=True).split()[1]
