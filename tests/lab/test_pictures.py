"""The pictures of the documentation show what JupyterLab shows today: the same elements with the same texts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scripts.lab.__main__ import DIRECTORY
from scripts.lab.scene import pictures, structure_of

if TYPE_CHECKING:
    from scripts.lab.jupyter import Lab

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


def test_they_show_what_is_shown_today(lab: Lab) -> None:
    made = pictures(lab)
    assert made["light"].structure == made["dark"].structure
    for theme, picture in made.items():
        committed = (DIRECTORY / f"notebook-{theme}.png").read_bytes()
        assert structure_of(committed) == picture.structure
        assert structure_of(picture.png) == picture.structure
        assert len(committed) < 150_000
