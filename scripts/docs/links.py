"""Links of the Markdown files to files: README's and those of the pages. The site's builder looks at pages alone."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
_CODE = re.compile(r"^ *```.*?^ *```$|`[^`\n]*`", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\]\(([^)\s]+)\)")


def pages(root: Path = ROOT) -> list[Path]:
    """README.md and its like, and the pages of ``docs/``."""
    return [*sorted(root.glob("*.md")), *sorted((root / "docs").rglob("*.md"))]


def broken(root: Path = ROOT) -> list[str]:
    """A line for each link that leads nowhere. A page's must not leave ``docs/``, which is all that the site has."""
    return [f"{page.relative_to(root)}: no {target}" for page in pages(root) for target in _broken(page, root)]


def _broken(page: Path, root: Path) -> Iterator[str]:
    site = root / "docs"
    for target in _LINK.findall(_CODE.sub("", page.read_text())):
        name, _, anchor = target.partition("#")
        if re.match(r"[a-z]+:", name):
            continue
        linked = (page.parent / name).resolve() if name else page
        is_outside = page.is_relative_to(site) and not linked.is_relative_to(site)
        if is_outside or not linked.exists() or (anchor and not _has_heading(linked, anchor)):
            yield target


def _has_heading(page: Path, anchor: str) -> bool:
    if anchor.startswith("rawtp."):
        # A name's, which the site's builder makes and looks at.
        return True
    headings = re.findall(r"^#+ (.+)$", _CODE.sub(_kept, page.read_text()), re.MULTILINE)
    return anchor in {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def _kept(code: re.Match[str]) -> str:
    """Code within a line; of a block nothing, whose lines can begin with ``#``."""
    return "" if code[0].lstrip().startswith("```") else code[0]
