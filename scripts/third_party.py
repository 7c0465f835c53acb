#!/usr/bin/env python3
"""Writes LICENSE-THIRD-PARTY: what a wheel has linked into it, and the terms of that. `--check` only compares.

cargo-about would replace about 45 of these lines. It knows no C that a crate builds, and scripts/wheels/sbom.py needs
the list of crates anyway. Its installation had not ended after 8 minutes on two shared cores.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "LICENSE-THIRD-PARTY"
KEPT = ROOT / "scripts" / "licences"
# One platform, so that the list is the same wherever it is made; Linux on arm64 links the same crates.
PLATFORM = "x86_64-unknown-linux-gnu"
METADATA = f"cargo metadata --format-version=1 --locked --features=vendored --filter-platform={PLATFORM}".split()
LICENCE_FILE = re.compile(r"(un)?licen[cs]e|copy(ing|right)|notice", re.IGNORECASE)
HEADER = """\
A wheel of rawtp has the following linked into its extension module, beside rawtp's own code (LICENSE-MIT or
LICENSE-APACHE) and the standard library of Rust (MIT OR Apache-2.0, The Rust Project Developers). The numbers name the
texts below.

Where its authors leave the choice of terms, rawtp takes the first of MIT, BSD-2-Clause and LGPL-3.0-or-later that is
among them, and the texts of the others are left out.

libelf is linked statically. Whoever wants to use a modified one builds the wheel again with it: `make wheel` in rawtp's
sources does so, from the sources of libelf that the crate libbpf-sys carries.

Made by scripts/third_party.py from Cargo.lock; not to be edited by hand.
"""


TAKEN = ("MIT", "BSD-2-Clause", "LGPL-3.0-or-later")
"""Of several, the first of these: the shortest, and what they ask for is done by this file."""
NAMED = {
    "Apache-2.0": "apache",
    "BSD-2-Clause": "bsd",
    "GPL-2.0-or-later": "gplv2",
    # Some name it so.
    "LGPL-2.1-only": "lgpl-2|lpgl-2",
    "MIT": "mit",
}
"""What the files are called that have their texts."""


class Part(NamedTuple):
    name: str
    version: str
    licence: str
    texts: list[Path]
    purl: str


class Vendored(NamedTuple):
    name: str
    licence: str
    texts: tuple[str, ...]
    version_file: str
    version_pattern: str


# C that libbpf-sys builds and links: Cargo knows nothing of its licences.
VENDORED = (
    Vendored(
        "libbpf",
        "LGPL-2.1-only OR BSD-2-Clause",
        ("libbpf/LICENSE.BSD-2-Clause", "libbpf/LICENSE.LGPL-2.1"),
        "libbpf/src/libbpf.map",
        r"(?s).*LIBBPF_(\d+\.\d+\.\d+) \{",
    ),
    Vendored(
        "elfutils libelf",
        "LGPL-3.0-or-later OR GPL-2.0-or-later",
        ("elfutils/COPYING-LGPLV3", "elfutils/COPYING-GPLV2", "elfutils/COPYING"),
        "elfutils/configure.ac",
        r"AC_INIT\(\[elfutils\],\[([^]]+)\]",
    ),
    Vendored("zlib", "Zlib", ("zlib/LICENSE",), "zlib/zlib.h", r'define ZLIB_VERSION "([^"]+)"'),
)


def linked(metadata: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The packages whose code ends up in the extension: not what build scripts use, nor macros and what is below."""
    packages = {package["id"]: package for package in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    root = metadata["resolve"]["root"]
    seen = {root}
    queue = [root]
    while queue:
        for dependency in nodes[queue.pop()]["deps"]:
            package = packages[dependency["pkg"]]
            is_macro = any("proc-macro" in target["kind"] for target in package["targets"])
            is_normal = any(kind["kind"] is None for kind in dependency["dep_kinds"])
            if is_normal and not is_macro and package["id"] not in seen:
                seen.add(package["id"])
                queue.append(package["id"])
                yield package


def of_crate(package: dict[str, Any]) -> Iterator[Part]:
    source = Path(package["manifest_path"]).parent
    texts = sorted(path for path in source.iterdir() if LICENCE_FILE.match(path.name))
    # Some packages leave out the text that their repository has.
    if not texts and (kept := KEPT / package["name"]).exists():
        texts = [kept]
    if not texts:
        raise SystemExit(f"third_party: no licence text in the source of {package['name']} {package['version']}")
    yield Part(package["name"], package["version"], package["license"], texts, f"pkg:cargo/{package['name']}")
    if package["name"] == "libbpf-sys":
        for library in VENDORED:
            version = re.search(library.version_pattern, (source / library.version_file).read_text())
            if version is None:
                raise SystemExit(f"third_party: {library.version_file} of libbpf-sys no longer tells its version")
            texts = [source / text for text in library.texts]
            yield Part(
                library.name, version[1], library.licence, texts, f"pkg:generic/{library.name.replace(' ', '-')}"
            )


def taken(licence: str, texts: list[Path]) -> list[Path]:
    """Without the texts of what is not chosen."""
    alternatives = licence.split(" OR ")
    choice = next((one for one in TAKEN if one in alternatives), None)
    others = [NAMED[one] for one in alternatives if one != choice and one in NAMED]
    if choice is None or not others:
        return texts
    of_others = re.compile("|".join(others), re.IGNORECASE)
    return [path for path in texts if not of_others.search(path.name)] or texts


def render(parts: list[Part]) -> str:
    texts: dict[str, str] = {}
    used: list[tuple[Part, list[str]]] = []
    for part in parts:
        keys = []
        for path in taken(part.licence, part.texts):
            text = "\n".join(line.rstrip() for line in path.read_text(encoding="utf-8").splitlines()).strip("\n\f")
            # Copies differ in their indentation and line breaks, and say the same.
            keys.append(" ".join(text.split()))
            texts.setdefault(keys[-1], text)
        used.append((part, keys))
    # What begins alike stands together: a wheel packs it twice as small as in the order of the list.
    numbers = {key: number for number, key in enumerate(sorted(texts, key=str.casefold), 1)}
    lines = [HEADER]
    for part, keys in used:
        of_part = sorted({numbers[key] for key in keys})
        lines.append(f"{part.name} {part.version}: {part.licence} [{', '.join(map(str, of_part))}]")
    for key, number in numbers.items():
        lines += ["", "=" * 100, f"[{number}]", "", texts[key]]
    return "\n".join(lines) + "\n"


def linked_parts(root: Path = ROOT) -> list[Part]:
    """All of them, sorted."""
    answer = subprocess.run(METADATA, cwd=root, stdout=subprocess.PIPE, check=False)
    if answer.returncode != 0:
        raise SystemExit("third_party: cargo metadata --locked failed")
    parts = [part for package in linked(json.loads(answer.stdout)) for part in of_crate(package)]
    return sorted(parts, key=lambda part: (part.name, part.version))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="fail if the file is not what Cargo.lock asks for")
    check = parser.parse_args().check
    text = render(linked_parts())
    if not check:
        TARGET.write_text(text, encoding="utf-8")
    elif not TARGET.exists() or TARGET.read_text(encoding="utf-8") != text:
        raise SystemExit(f"{TARGET.name} is not what Cargo.lock asks for: run scripts/third_party.py and commit it")


if __name__ == "__main__":
    main()
