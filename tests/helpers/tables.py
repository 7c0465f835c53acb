"""A page's tables, read as a browser would: what is text, and what is a tag."""

from __future__ import annotations

from html.parser import HTMLParser


class Page(HTMLParser):
    """The tags in their order, and the text in them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[tuple[str, str | None]] = set()
        self.cells: dict[str, list[str]] = {"p": [], "th": [], "td": []}
        self.styles: dict[str, list[str]] = {"p": [], "th": [], "td": []}
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= set(attrs)
        self._open.append(tag)
        if tag in self.cells:
            self.cells[tag].append("")
            self.styles[tag].append(dict(attrs).get("style") or "")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        assert self._open[-1] in self.cells, data
        self.cells[self._open[-1]][-1] += data

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")

    def handle_decl(self, decl: str) -> None:
        raise AssertionError(f"a declaration: {decl}")

    def unknown_decl(self, data: str) -> None:
        raise AssertionError(f"a declaration: {data}")

    def handle_pi(self, data: str) -> None:
        raise AssertionError(f"an instruction: {data}")


def read_table(html: str) -> tuple[str, list[dict[str, str]]]:
    """The first line, and the rows by their titles, of a page with one table."""
    page = Page(html)
    [caption, *_], titles, cells = page.cells["p"], page.cells["th"], page.cells["td"]
    rows = [cells[at : at + len(titles)] for at in range(0, len(cells), len(titles) or 1)]
    return caption, [dict(zip(titles, row, strict=True)) for row in rows]
