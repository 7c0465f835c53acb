"""How well a text can be read: the contrast of two colours, as WCAG 2.2 defines it."""

from __future__ import annotations

import re
from typing import NamedTuple


class Colour(NamedTuple):
    """Red, green and blue of 0 to 255, and how opaque it is, 0 to 1."""

    red: float
    green: float
    blue: float
    alpha: float = 1.0

    def over(self, page: Colour) -> Colour:
        """What is seen of it on an opaque page."""
        mixed = (one * self.alpha + under * (1 - self.alpha) for one, under in zip(self[:3], page[:3], strict=True))
        return Colour(*mixed)


def colour(text: str) -> Colour:
    """``#b42318``, or as a browser says it: ``rgb(180, 35, 24)``, ``rgba(0, 0, 0, 0.87)``."""
    if digits := re.fullmatch(r"#([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})", text):
        return Colour(*(int(part, 16) for part in digits.groups()))
    parts = re.fullmatch(r"rgba?\(([\d.]+), ([\d.]+), ([\d.]+)(?:, ([\d.]+))?\)", text)
    assert parts, text
    red, green, blue, alpha = parts.groups()
    return Colour(float(red), float(green), float(blue), float(alpha or 1))


def contrast(one: str | Colour, other: str | Colour) -> float:
    """From 1, for the same colour, to 21, for black and white. Both are opaque."""
    low, high = sorted(_luminance(colour(each) if isinstance(each, str) else each) for each in (one, other))
    return (high + 0.05) / (low + 0.05)


def _luminance(of: Colour) -> float:
    assert of.alpha == 1.0
    red, green, blue = (
        part / 255 / 12.92 if part / 255 <= 0.04045 else ((part / 255 + 0.055) / 1.055) ** 2.4 for part in of[:3]
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
