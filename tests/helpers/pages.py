"""README.md and the pages of ``docs/``: what their blocks of code say."""

from __future__ import annotations

import itertools
import re
import shlex
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PAGES = {
    str(path.relative_to(ROOT)): path.read_text()
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
}
# A list can hold a block: it is indented then.
_BLOCK = re.compile(r"^( *)```(\w+)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
_CALL = re.compile(r"^(?:\$ )?(sudo )?\.venv/bin/rawtp(?= |$)(.*)$")


class Block(NamedTuple):
    page: str
    line: int
    language: str
    source: str
    output: str | None
    """What the page says that it prints: the block of text right behind it."""

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def _blocks(page: str, text: str) -> list[Block]:
    found = [*_BLOCK.finditer(text)]
    blocks = []
    for at, match in enumerate(found):
        indent = match[1]
        source = re.sub(f"^{indent}", "", match[3], flags=re.MULTILINE)
        follower = found[at + 1] if at + 1 < len(found) else None
        output = None
        if follower and follower[2] == "text" and not text[match.end() : follower.start()].strip():
            output = re.sub(f"^{indent}", "", follower[3], flags=re.MULTILINE)
        blocks.append(Block(page, text.count("\n", 0, match.start()) + 1, match[2], source, output))
    return blocks


BLOCKS = [block for page, text in PAGES.items() for block in _blocks(page, text)]
PYTHON = [block for block in BLOCKS if block.language == "python"]
SHELL = [
    (str(block), line.partition(" #")[0].strip())
    for block in BLOCKS
    if block.language == "sh"
    for line in block.source.splitlines()
]


def called() -> list[list[str]]:
    """The arguments of every rawtp that is called on the pages, as far as it is rawtp's."""
    lines = [line for block in BLOCKS if block.language in {"sh", "text"} for line in block.source.splitlines()]
    words = (shlex.split(found[2], comments=True) for line in lines if (found := _CALL.match(line)))
    return [list(itertools.takewhile(lambda word: word not in {"|", "||", ">", "--"}, command)) for command in words]


def section(page: str, first: str, last: str) -> str:
    """A page's text from the one to the other."""
    text = PAGES[page]
    start = text.index(first)
    return text[start : text.index(last, start)]
