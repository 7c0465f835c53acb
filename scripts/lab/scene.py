"""The notebook of the documentation's pictures: real deletions, in a live view and in a chart."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from PIL import Image
from PIL.PngImagePlugin import PngInfo
from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scripts.lab.jupyter import Lab

PLACE = Path("/tmp/shop")  # noqa: S108 - what the pictures show
SIZE = (1100, 1000)
_NOBODY = 65534
_COLOURS = 128
_KEY = "structure"
_CELLS = (
    f'import rawtp\n\ntracer = rawtp.Tracer("loss", path="{PLACE}")',
    "tracer.live()",
    'rawtp.notebook.chart(tracer.to_arrow(duration=3), by="comm")',
)
# Tags and texts; a picture has only its tag.
_STRUCTURE = """
outputs => outputs.flatMap(output => [...output.querySelectorAll('p, table, th, td, img')].map(
    element => [element.tagName.toLowerCase(), element.tagName === 'TABLE' ? '' : element.innerText]))
"""


class Picture(NamedTuple):
    """A picture of the notebook, and the elements that it shows."""

    png: bytes
    structure: list[list[str]]


def pictures(lab: Lab) -> dict[str, Picture]:
    """Run the notebook; a picture in each theme, by its name."""
    lab.write("shop.ipynb", *_CELLS)
    made = {}
    with _shop():
        with lab.opened("shop.ipynb", "light", SIZE) as notebook:
            notebook.run_all()
            expect(notebook.output(1)).to_contain_text(re.compile(r"watching for \d+ s: 0 events"))
            _happen()
            expect(notebook.output(1)).to_contain_text("9 events, 3 failed")
            notebook.interrupt()
            expect(notebook.output(1)).to_contain_text("interrupted after")
            _clean_up()
            notebook.finished()
            if errors := notebook.errors():
                raise RuntimeError(errors)
            notebook.save()
        # As it lies on the disk, once in each theme.
        for theme in ("light", "dark"):
            with lab.opened("shop.ipynb", theme, SIZE) as notebook:
                expect(notebook.output(2).locator("img")).to_be_visible()
                outputs = notebook.panel.locator(".jp-OutputArea-output")
                structure = [[tag, _plain(text)] for tag, text in outputs.evaluate_all(_STRUCTURE)]
                png = notebook.panel.locator(".jp-Notebook").screenshot(animations="disabled")
                made[theme] = Picture(_small(png, structure), structure)
    return made


def structure_of(png: bytes) -> list[list[str]]:
    """The elements that a picture shows, as it says itself."""
    with Image.open(BytesIO(png)) as image:
        image.load()
        found: list[list[str]] = json.loads(image.info[_KEY])
    # A rate has a point or none.
    return [[tag, _plain(text)] for tag, text in found]


def _plain(text: str) -> str:
    """Without what no two runs have in common."""
    return re.sub(r"\d+(?:\.\d+)*", "0", text)


def _small(png: bytes, structure: list[list[str]]) -> bytes:
    out, info = BytesIO(), PngInfo()
    info.add_text(_KEY, json.dumps(structure))
    with Image.open(BytesIO(png)) as image:
        image.convert("RGB").quantize(_COLOURS).save(out, "PNG", optimize=True, pnginfo=info)
    return out.getvalue()


@contextmanager
def _shop() -> Iterator[None]:
    PLACE.mkdir()
    try:
        yield
    finally:
        subprocess.run(["rm", "-rf", PLACE], check=True)


def _sh(script: str, *, user: int | None = None) -> None:
    # Failures are a part of it.
    subprocess.run(["sh", "-c", script], cwd=PLACE, user=user, stderr=subprocess.DEVNULL, check=False)


def _happen() -> None:
    """Nine events, of which three fail, and others elsewhere. mv asks first for a rename that replaces nothing."""
    _sh("mkdir carts; echo 1 >price; echo 2 >price.new; echo 3 >log; touch report.txt carts/7 '<b>bold'; chmod 755 .")
    _sh("rm report.txt")
    _sh("mv price.new price")
    _sh("truncate -s 0 log")
    _sh("rm -f price", user=_NOBODY)
    _sh("rm -r carts '<b>bold'")
    _sh("rmdir carts")
    _sh("rm -f /nonexistent/elsewhere")


def _clean_up() -> None:
    """Some seconds of deletions, by three programs."""
    end_s = time.monotonic() + 3.5
    number = 0
    while time.monotonic() < end_s:
        number += 1
        names = [f"cache.{each}" for each in range(1 + number % 5)]
        for name in names:
            (PLACE / name).touch()
        if number % 3:
            subprocess.run(["rm", *names], cwd=PLACE, check=True)
        else:
            for name in names:
                os.unlink(PLACE / name)  # noqa: PTH108
        if number % 7 == 0:
            (PLACE / "old").mkdir()
            subprocess.run(["rmdir", "old"], cwd=PLACE, check=True)
        time.sleep(0.05)
