"""The picture of ``rawtp top`` in the documentation."""

from __future__ import annotations

import re
from html import unescape

from scripts import top_picture


def texts(svg: str) -> list[str]:
    return [unescape(text).replace("\xa0", " ").rstrip() for text in re.findall(r"<text [^>]*>([^<]*)</text>", svg)]


def test_it_is_up_to_date() -> None:
    """``python -m scripts.top_picture`` draws it."""
    assert texts(top_picture.PICTURE.read_text()) == texts(top_picture.svg())


def test_it_shows_what_the_page_says_and_fetches_nothing() -> None:
    svg = top_picture.PICTURE.read_text()
    shown = texts(svg)
    assert "203 912 ? 30112 1000 node /usr/bin/npm ci" in [" ".join(text.split()) for text in shown]
    assert any("evil\\x1b[31m [red]x[/]" in text for text in shown)
    assert "@font-face" not in svg
    assert "url(http" not in svg
