"""``python -m scripts.lab``, as root: draws ``docs/images/notebook-light.png`` and ``-dark.png``.

``make test-lab`` compares what they show with what JupyterLab shows today.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from scripts.lab.jupyter import running
from scripts.lab.scene import pictures

DIRECTORY = Path(__file__).parents[2] / "docs" / "images"


def main() -> int:
    """Write them."""
    with tempfile.TemporaryDirectory(prefix="rawtp-lab-") as directory, running(Path(directory)) as lab:
        for theme, picture in pictures(lab).items():
            (DIRECTORY / f"notebook-{theme}.png").write_bytes(picture.png)
    return 0


if __name__ == "__main__":
    sys.exit(main())
