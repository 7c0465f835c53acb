"""``python -m scripts.deb``: dpkg-buildpackage on a Debian 12 just made, without a network. Needs root.

It packs what is committed, with the crates, and builds that with Debian's own compilers. On a second Debian, which has
Python and no more, the package is installed, and shows a deletion.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from scripts.fresh.machine import machine

ROOT = Path(__file__).parents[2]
WATCH = ROOT / "scripts" / "fresh" / "watch.py"
RELEASE = "bookworm"
PACKAGES = ("build-essential", "clang", "debhelper", "dh-python", "libelf-dev", "pkg-config", "python3", "zlib1g-dev")
# In Debian's security archive, which debootstrap does not read: for browsers, and newer than the release's own.
RUST = ("cargo-web", "rustc-web")
# This machine's toolchain is not asked.
OWN_PATH = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
APT = "apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends"
VENDORED = """\
[source.crates-io]
replace-with = "vendored-sources"

[source.vendored-sources]
directory = "vendor"
"""


def version() -> str:
    """The version, as the manifest has it."""
    found = re.search(r'^version = "(.+)"$', (ROOT / "Cargo.toml").read_text(), re.MULTILINE)
    if found is None:
        raise LookupError("Cargo.toml has no version")
    return found[1]


def source(to: Path) -> Path:
    """The sources with the crates, beside a tar of them; ``debian/`` is in the directory alone."""
    tree = to / f"rawtp-{version()}"
    tree.mkdir()
    archive = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, stdout=subprocess.PIPE, check=True)
    subprocess.run(["tar", "--extract", "--directory", tree], input=archive.stdout, check=True)
    vendor = ["cargo", "vendor", "--quiet", "--locked", "vendor"]
    subprocess.run(vendor, cwd=tree, stdout=subprocess.DEVNULL, check=True)
    (tree / ".cargo").mkdir(exist_ok=True)
    (tree / ".cargo" / "config.toml").write_text(VENDORED)
    name = to / f"rawtp_{version()}.orig.tar.gz"
    subprocess.run(["tar", "--create", "--gzip", "--file", name, "--directory", to, tree.name], check=True)
    shutil.copytree(tree / "packaging" / "debian", tree / "debian")
    return tree


def main() -> int:
    """Build it, and try it."""
    cache = Path(os.environ.get("RAWTP_CACHE") or Path.home() / ".cache" / "rawtp") / "fresh"
    cache.mkdir(parents=True, exist_ok=True)
    out = ROOT / "dist"
    out.mkdir(exist_ok=True)
    with machine(cache, RELEASE, PACKAGES) as fresh:
        place = fresh.written / "build"
        place.mkdir()
        tree = source(place)
        build = f"cd /build/{tree.name} && exec unshare --net dpkg-buildpackage --no-sign"
        fresh.run("sh", "-ec", f"{APT} {' '.join(RUST)}; {build}", extra=OWN_PATH)
        [package] = place.glob("rawtp_*.deb")
        sources = [*place.glob("rawtp_*.dsc"), *place.glob("rawtp_*.tar.*")]
        made = [Path(shutil.copy(file, out)) for file in (package, *sources)]
    with machine(cache, RELEASE, ()) as fresh:
        (fresh.written / "opt").mkdir(exist_ok=True)
        for file in (package.name, WATCH):
            shutil.copy(out / file, fresh.written / "opt")
        watched = "python3 /opt/watch.py rawtp -o jsonl"
        fresh.run("sh", "-ec", f"{APT} /opt/{package.name}; rawtp --version; {watched}", extra=OWN_PATH)
    print("deb: built, installed and seen:", *(file.name for file in made))
    return 0


if __name__ == "__main__":
    sys.exit(main())
