"""Whether a second build, from nothing and in another directory, gives the same bytes."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.wheels.build import ROOT, build

if TYPE_CHECKING:
    from scripts.wheels.targets import Target


def again(target: Target, wheel: Path) -> list[str]:
    """What differs; prints that nothing does."""
    with tempfile.TemporaryDirectory(prefix="rawtp-again-") as place:
        root = Path(place) / "elsewhere"
        _copy(root)
        kept = os.environ.pop("CARGO_TARGET_DIR", None)
        try:
            other = build(target, root / "dist", root)
        finally:
            if kept is not None:
                os.environ["CARGO_TARGET_DIR"] = kept
        if other.read_bytes() == wheel.read_bytes():
            print(
                f"{wheel.name}: built again in another directory: the same {wheel.stat().st_size:,} bytes", flush=True
            )
            return []
        return [f"{wheel.name}: built again, {name} differs" for name in differing(wheel, other)]


def differing(one: Path, other: Path) -> list[str]:
    """Files of two archives; that of the archive itself where only how they are packed does."""
    with zipfile.ZipFile(one) as first, zipfile.ZipFile(other) as second:
        contents = [{name: archive.read(name) for name in archive.namelist()} for archive in (first, second)]
    names = sorted(contents[0].keys() | contents[1].keys())
    return [name for name in names if contents[0].get(name) != contents[1].get(name)] or [one.name]


def _copy(to: Path) -> None:
    """What git knows, as it is now."""
    names = subprocess.check_output(["git", "ls-files", "-z", "-co", "--exclude-standard"], cwd=ROOT).split(b"\0")
    for name in map(os.fsdecode, filter(None, names)):
        if (ROOT / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, to / name)
