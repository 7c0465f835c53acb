"""The pictures of the documentation: what they show is what the formats print today."""

from __future__ import annotations

import re
from xml.parsers.expat import ParserCreate

import pytest

from helpers.pages import PAGES, ROOT
from rawtp.formats.ansi import FAILURE, Colours
from rawtp.formats.columns import header
from scripts.pictures.__main__ import DIRECTORY
from scripts.pictures.scenes import pictures
from scripts.pictures.svg import Line, Terminal, drawn

COLOUR = re.compile(r"\x1b\[[\d;]*m")
PICTURES = pictures()


def texts(svg: str) -> list[str]:
    """The texts of a picture, read by another's parser: the titles of terminals, and their lines."""
    found: list[str] = []
    inside: list[str] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        inside.append(name)
        if name == "text":
            found.append("")

    def take(data: str) -> None:
        if "text" in inside:
            found[-1] += data

    parser = ParserCreate()
    parser.StartElementHandler = start
    parser.EndElementHandler = lambda name: inside.pop()
    parser.CharacterDataHandler = take
    parser.Parse(svg, True)
    assert inside == []
    return found


def shown(name: str) -> list[str]:
    """The lines of the last terminal, without colours."""
    return [COLOUR.sub("", line.text) for line in PICTURES[name].terminals[-1].lines]


@pytest.mark.parametrize("name", PICTURES)
def test_none_is_out_of_date(name: str) -> None:
    """Otherwise: python -m scripts.pictures."""
    assert (DIRECTORY / name).read_text() == PICTURES[name].svg()


def test_there_are_no_others() -> None:
    assert {path.name for path in DIRECTORY.iterdir()} == PICTURES.keys()


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_its_text(name: str) -> None:
    expected = [
        text
        for terminal in PICTURES[name].terminals
        for text in (terminal.title, *(COLOUR.sub("", line.text) for line in terminal.lines))
    ]
    assert texts((DIRECTORY / name).read_text()) == expected


@pytest.mark.parametrize("name", PICTURES)
def test_no_line_is_wider_than_its_terminal(name: str) -> None:
    widest = max(len(COLOUR.sub("", line.text)) for one in PICTURES[name].terminals for line in one.lines)
    assert widest <= PICTURES[name].columns


@pytest.mark.parametrize("name", PICTURES)
def test_it_is_on_a_page_and_says_what_it_shows(name: str) -> None:
    links = [link for text in PAGES.values() for link in re.findall(rf"!\[([^\]]*)\]\([^)]*pictures/{name}\)", text)]
    assert links
    assert set(links) == {PICTURES[name].description}


def test_the_readme_prints_what_the_formats_do() -> None:
    blocks = re.findall(r"^```text\n(.*?)^```$", PAGES["README.md"], re.DOTALL | re.MULTILINE)
    for name in ("command.svg", "who.svg"):
        assert "\n".join([*shown(name), ""]) in blocks


def test_every_table_of_the_pages_has_todays_titles() -> None:
    titles = [line for text in PAGES.values() for line in text.splitlines() if line.startswith("TIME ")]
    assert len(titles) >= 7
    assert {*titles} == {header(), header(80)}


def test_hostile_text_stays_text() -> None:
    svg = drawn("<b>", [Terminal("</text>", [Line('$ rm "<script>&"'), Line("")])], 40)
    assert texts(svg) == ["</text>", '$ rm "<script>&"', ""]
    assert "<script>" not in svg
    assert "<title>&lt;b&gt;</title>" in svg


def test_colours_and_columns_and_moments() -> None:
    painted = Colours(use=True).paint(FAILURE, "EACCES  ")
    svg = drawn("", [Terminal("", [Line(f"rm → {painted}/x", 1.5)])], 80)
    assert '<tspan class="failure">EACCES</tspan>' in svg
    assert 'class="late" style="animation-delay:1.5s"' in svg
    # 5 + 8 + 2 cells.
    assert 'textLength="126.0"' in svg
    assert texts(svg) == ["", "rm → EACCES  /x"]


def test_they_fetch_nothing_and_run_nothing() -> None:
    for name in PICTURES:
        svg = (ROOT / "docs" / "pictures" / name).read_text()
        assert not re.search(r"<script|href|url\(|@import|<image|<foreignObject|\bon\w+=", svg)
        assert "prefers-reduced-motion" in svg
