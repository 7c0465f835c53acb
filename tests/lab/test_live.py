"""What a person sees of ``Tracer.live`` in JupyterLab, in the light theme and in the dark one."""

from __future__ import annotations

import os
import re
import subprocess
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from helpers.colours import contrast
from helpers.seen import Seen, seen
from scripts.lab.jupyter import Notebook

if TYPE_CHECKING:
    from pathlib import Path

    from scripts.lab.jupyter import Lab

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

TITLES = ["time", "pid", "uid", "comm", "action", "syscall", "result", "path"]
HOSTILE = (
    "<img src=x onerror=window.rawtpActed=1>",
    "<script>window.rawtpActed=1<\\script>",
    "&lt;b&gt;",
    "$\\sqrt{x}$",
    "a  b",
    "\x1b[31mred",
    "\u202etxt.exe",
)
AS_SHOWN = (
    "<img src=x onerror=window.rawtpActed=1>",
    "<script>window.rawtpActed=1<\\\\script>",
    "&lt;b&gt;",
    "$\\\\sqrt{x}$",
    "a  b",
    r"\x1b[31mred",
    r"\u202etxt.exe",
)
LEGIBLE = 4.5
"""The contrast that WCAG asks of text."""


def watching(lab: Lab, place: Path, name: str) -> None:
    lab.write(name, f"import rawtp\ntracer = rawtp.Tracer(path={str(place)!r})", "tracer.live()")


def started(notebook: Notebook) -> None:
    notebook.run_all()
    expect(notebook.output(1)).to_contain_text(re.compile(r"watching for \d+ s: 0 events"))


def ended(notebook: Notebook) -> list[Seen]:
    """Interrupt it, and look."""
    notebook.interrupt()
    expect(notebook.output(1)).to_contain_text("interrupted after ")
    notebook.finished()
    assert notebook.errors() == []
    return seen(notebook.output(1))


def texts(elements: list[Seen], tag: str) -> list[str]:
    return [element.text for element in elements if element.tag == tag]


def rows(elements: list[Seen]) -> list[dict[str, str]]:
    cells = texts(elements, "td")
    return [dict(zip(TITLES, cells[at : at + len(TITLES)], strict=True)) for at in range(0, len(cells), len(TITLES))]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_deletion_a_failure_and_the_filter(lab: Lab, tmp_path: Path, theme: str) -> None:
    place, other = tmp_path / "watched", tmp_path / "other"
    place.mkdir()
    other.mkdir()
    watching(lab, place, f"live-{theme}.ipynb")
    with lab.opened(f"live-{theme}.ipynb", theme) as notebook:
        started(notebook)
        (place / "kept").mkdir()
        (place / "report.txt").touch()
        (other / "report.txt").touch()
        subprocess.run(["rm", other / "report.txt", place / "report.txt"], check=True)
        subprocess.run(["rmdir", place / "gone"], check=False, stderr=subprocess.DEVNULL)
        expect(notebook.output(1)).to_contain_text("2 events, 1 failed")
        elements = ended(notebook)

    assert texts(elements, "th") == TITLES
    caption, asked = texts(elements, "p")
    found = re.fullmatch(
        r"interrupted after (\d+) s: 2 events, 1 failed, (\d+\.\d) a second since the start, 0 lost", caption
    )
    assert found, caption
    # Seconds are rounded.
    assert 2 / (int(found[1]) + 0.6) - 0.06 <= float(found[2]) <= 2 / max(int(found[1]) - 0.6, 0.1) + 0.06
    left_out = re.fullmatch(re.escape(f'filter: path="{place}"; ') + r"(\d+) other calls left out", asked)
    assert left_out, asked
    assert int(left_out[1]) >= 1
    shown = [{key: row[key] for key in ("comm", "action", "result", "path")} for row in rows(elements)]
    assert shown == [
        {"comm": "rm", "action": "delete", "result": "ok", "path": f"{place}/report.txt"},
        {"comm": "rmdir", "action": "rmdir", "result": "ENOENT", "path": f"{place}/gone"},
    ]
    # A failure is white on red, and nothing else is.
    assert {element.text for element in elements if element.background == (180, 35, 24, 1)} == {"ENOENT"}
    assert all(element.ink == (255, 255, 255, 1) for element in elements if element.text == "ENOENT")
    # All of it can be read, and is within the page.
    faint = {element.text: contrast(element.ink, element.background) for element in elements if element.text.strip()}
    assert {text: ratio for text, ratio in faint.items() if ratio < LEGIBLE} == {}
    page = next(element for element in elements if element.text == caption).background
    assert (min(page[:3]) > 200) if theme == "light" else (max(page[:3]) < 60)
    assert all(0 < element.size[0] <= 1280 and element.size[1] > 0 for element in elements if element.text.strip())


def test_both_themes_have_the_same_elements(lab: Lab, tmp_path: Path) -> None:
    """The output of one run, saved, in one theme and then in the other: colours alone differ."""
    watching(lab, tmp_path, "themes.ipynb")
    found = {}
    with lab.opened("themes.ipynb", "light") as notebook:
        started(notebook)
        for name in ("a", "b"):
            (tmp_path / name).touch()
            (tmp_path / name).unlink()
        expect(notebook.output(1)).to_contain_text("2 events")
        found["light"] = ended(notebook)
        notebook.save()
    with lab.opened("themes.ipynb", "dark") as notebook:
        found["dark"] = seen(notebook.output(1))
    light, dark = found["light"], found["dark"]
    assert [element.structure for element in dark] == [element.structure for element in light]
    assert [element.tag for element in light][-1] == "td"
    assert all(one.ink != other.ink for one, other in zip(light, dark, strict=True) if one.text.strip())


def test_hostile_names_are_text(lab: Lab, tmp_path: Path) -> None:
    watching(lab, tmp_path, "hostile.ipynb")
    with lab.opened("hostile.ipynb") as notebook:
        started(notebook)
        for name in HOSTILE:
            (tmp_path / name).touch()
            (tmp_path / name).unlink()
        expect(notebook.output(1)).to_contain_text(f"{len(HOSTILE)} events")
        elements = ended(notebook)
        assert [row["path"] for row in rows(elements)] == [f"{tmp_path}/{name}" for name in AS_SHOWN]
        assert {element.tag for element in elements} <= {"div", "p", "table", "thead", "tbody", "tr", "th", "td"}
        assert notebook.page.evaluate("window.rawtpActed") is None
        # Blanks are kept: of two names that differ by one, neither looks like the other.
        assert {element.space for element in elements if element.text.startswith(str(tmp_path))} <= {"pre", "pre-wrap"}
        notebook.save()

    # Who gets the notebook from somebody else has its outputs sanitized by JupyterLab: the same is left.
    path = lab.place / "hostile.ipynb"
    (lab.place / "untrusted.ipynb").write_text(
        path.read_text().replace("interrupted after ", "interrupted after about ")
    )
    with lab.opened("untrusted.ipynb") as notebook:
        again = seen(notebook.output(1))
        assert [row["path"] for row in rows(again)] == [f"{tmp_path}/{name}" for name in AS_SHOWN]
        assert notebook.page.evaluate("window.rawtpActed") is None


def test_what_went_by_before_is_not_in_the_rate(lab: Lab, tmp_path: Path) -> None:
    lab.write(
        "before.ipynb",
        f"import os, rawtp\ntracer = rawtp.Tracer(path={str(tmp_path)!r}, pid=os.getpid())",
        f"for number in range(1000):\n    try: os.unlink({str(tmp_path)!r} + f'/{{number}}')\n    except OSError: pass",
        "tracer.live(seconds=2, rows=5)",
    )
    with lab.opened("before.ipynb") as notebook:
        notebook.run_all()
        notebook.finished()
        assert notebook.errors() == []
        elements = seen(notebook.output(2))
    [caption, _] = texts(elements, "p")
    assert caption == (
        "ended after 2 s: 1000 events (the latest 5 are shown), 1000 of them from before the start, 1000 failed, "
        "0.0 a second since the start, 0 lost"
    )
    assert [row["path"] for row in rows(elements)] == [f"{tmp_path}/{number}" for number in range(995, 1000)]
    assert {row["pid"] for row in rows(elements)} != {str(os.getpid())}
