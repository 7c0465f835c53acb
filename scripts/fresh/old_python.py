"""Debian 11 has the libc of 2020 and a Python that is too old: it gets that of Debian 12, from Debian's own source."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from scripts.vm.apt import mirrors

if TYPE_CHECKING:
    from pathlib import Path

    from scripts.fresh.machine import Machine

PACKAGES = ("dpkg-dev", "gcc", "libc6-dev", "libffi-dev", "make", "python3", "xz-utils", "zlib1g-dev")
# ensurepip has pip inside, so that neither TLS nor anything else optional is needed.
BUILD = """\
cd /usr/src
apt-get -qq update
apt-get -qq --download-only source python3.11
mkdir python
tar -xf python3.11_*.orig.tar.* --strip-components=1 -C python
cd python
./configure --quiet --prefix=/usr/local
make -s -j"$(nproc)" >/usr/src/log 2>&1 || { tail /usr/src/log; exit 1; }
make -s altinstall >>/usr/src/log 2>&1 || { tail /usr/src/log; exit 1; }
ln -s python3.11 /usr/local/bin/python3
"""


def install(cache: Path, fresh: Machine) -> None:
    """Into /usr/local; built once."""
    kept = cache / "bullseye-python3.11"
    if not kept.exists():
        lists = fresh.written / "etc/apt/sources.list.d"
        lists.mkdir(parents=True, exist_ok=True)
        (lists / "source.list").write_text(f"deb-src {mirrors()[0]} bookworm main\n")
        print("building Python 3.11", flush=True)
        fresh.run("sh", "-euc", BUILD)
        unfinished = kept.with_suffix(".part")
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.copytree(fresh.written / "usr/local", unfinished, symlinks=True)
        unfinished.rename(kept)
    else:
        shutil.copytree(kept, fresh.written / "usr/local", symlinks=True, dirs_exist_ok=True)
