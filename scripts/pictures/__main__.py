"""``python -m scripts.pictures``: writes the pictures of the documentation into ``docs/pictures``.

A test compares them with what the formats print today, so that none is out of date.
"""

from __future__ import annotations

import sys
from pathlib import Path

from scripts.pictures.scenes import pictures

DIRECTORY = Path(__file__).parents[2] / "docs" / "pictures"


def main() -> int:
    DIRECTORY.mkdir(exist_ok=True)
    for name, picture in pictures().items():
        (DIRECTORY / name).write_text(picture.svg())
    return 0


if __name__ == "__main__":
    sys.exit(main())
