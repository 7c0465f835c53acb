"""What a person sees of an output in a browser: texts, sizes, and the colours that are drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from helpers.colours import colour

if TYPE_CHECKING:
    from collections.abc import Sequence

    from playwright.sync_api import Locator

    from helpers.colours import Colour

# The elements of an output with what a person sees of them. Each has the backgrounds behind it, the nearest first.
_SEEN = """
output => [...output.querySelectorAll('*')].map(element => {
    const texts = [...element.childNodes].filter(node => node.nodeType === Node.TEXT_NODE);
    const own = texts.map(node => node.data).join('');
    const style = getComputedStyle(element);
    const box = element.getBoundingClientRect();
    const backgrounds = [];
    for (let at = element; at; at = at.parentElement)
        backgrounds.push(getComputedStyle(at).backgroundColor);
    return {
        tag: element.tagName.toLowerCase(), text: own, ink: style.color, backgrounds, weight: style.fontWeight,
        width: Math.round(box.width), height: Math.round(box.height), space: style.whiteSpace,
    };
})
"""


class Seen:
    """One element of a page, as it is drawn."""

    def __init__(self, found: dict[str, Any]) -> None:
        self.tag: str = found["tag"]
        self.text: str = found["text"]
        self.size: tuple[int, int] = (found["width"], found["height"])
        self.space: str = found["space"]
        self.background = _blended([colour(one) for one in found["backgrounds"]])
        self.ink = colour(found["ink"]).over(self.background)

    @property
    def structure(self) -> tuple[str, str, tuple[int, int]]:
        """What does not depend on colours."""
        return self.tag, self.text, self.size


def _blended(backgrounds: Sequence[Colour]) -> Colour:
    """The colour of the page behind a text."""
    page = colour("#ffffff")
    for one in reversed(backgrounds):
        page = one.over(page)
    return page


def seen(output: Locator) -> list[Seen]:
    """The elements in an output, in the order of the page."""
    return [Seen(found) for found in output.evaluate(_SEEN)]
