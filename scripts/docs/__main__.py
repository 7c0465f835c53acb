"""``python -m scripts.docs``: builds the site; fails at a broken link, and at a public name that is not explained."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.docs.interface import documented
from scripts.docs.links import broken

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parents[2]
SITE = ROOT / "site"


def unexplained(docstrings: Mapping[str, str | None], site: Path) -> list[str]:
    """What is wrong with the reference, a line for each name."""
    pages = "".join(page.read_text() for page in site.glob("reference/**/*.html"))
    anchors = set(re.findall(r'\bid="?([\w.]+)', pages))
    without = [f"{name} has no docstring" for name, text in docstrings.items() if not text]
    return without + [f"{name} is on no page of docs/reference" for name in docstrings if name not in anchors]


def main() -> int:
    zensical = Path(sys.executable).with_name("zensical")
    if not zensical.exists():
        print("docs: there is no zensical: it needs Python 3.11 or later", file=sys.stderr)
        return 1
    built = subprocess.run([zensical, "build", "--clean", "--strict"], cwd=ROOT, check=False)
    if built.returncode:
        return built.returncode
    wrong = broken() + unexplained(documented(), SITE)
    for line in wrong:
        print(f"docs: {line}", file=sys.stderr)
    if not wrong:
        print(f"docs: {len(documented())} public names are explained; {SITE.name}/index.html is the site")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
