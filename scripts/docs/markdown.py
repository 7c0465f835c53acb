"""Turns the reStructuredText of docstrings into the Markdown of the site. Pure: text to text.

Docstrings are written for ``help()``, which shows them as they are.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

_ROLE = re.compile(r":(?:class|meth|func|data|attr|mod):`~?([\w.]+)`")
_RULE = re.compile(r"^ *=+(?: +=+)+ *$")


def markdown(text: str, scope: str, known: Collection[str]) -> str:
    """``text`` with links to the ``known`` names. ``scope`` is the name of the class that the docstring belongs to."""
    return _ROLE.sub(lambda role: _link(role[1], scope, known), "\n".join(_lines(text)))


def _link(name: str, scope: str, known: Collection[str]) -> str:
    for target in (f"{scope}.{name}", f"rawtp.{name}", name):
        if target in known:
            return f"[`{name}`][{target}]"
    return f"`{name}`"


def _lines(text: str) -> Iterator[str]:
    given = iter(text.splitlines())
    for line in given:
        if _RULE.match(line):
            yield from _table(line, _until_rule(given))
        elif line.strip() == "::":
            # Markdown takes what is indented below for code by itself.
            continue
        elif line.rstrip().endswith(" ::"):
            yield line.rstrip()[:-3]
        elif line.rstrip().endswith("::"):
            yield line.rstrip()[:-1]
        else:
            yield line


def _until_rule(lines: Iterator[str]) -> Iterator[str]:
    for line in lines:
        if _RULE.match(line):
            return
        yield line


def _table(rule: str, lines: Iterator[str]) -> Iterator[str]:
    """A simple table without a header. A first cell that ends with a comma goes on in the next line."""
    starts = [found.start() for found in re.finditer("=+", rule)]
    rows: list[list[str]] = []
    for line in lines:
        cells = _cells(line, starts)
        if rows and (not cells[0] or rows[-1][0].endswith(",")):
            rows[-1] = [" ".join(filter(None, pair)) for pair in zip(rows[-1], cells, strict=True)]
        else:
            rows.append(cells)
    yield ""
    yield "|" + " |" * len(starts)
    yield "|" + "---|" * len(starts)
    for row in rows:
        yield f"| {' | '.join(row)} |"
    yield ""


def _cells(line: str, starts: Sequence[int]) -> list[str]:
    ends = (*starts[1:], len(line))
    return [line[start:end].strip() for start, end in zip(starts, ends, strict=True)]
