"""The plots of BENCHMARKS.md: who looks at one alone understands it."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import matplotlib

from benches.growth import Curve
from benches.peers import Peer, Run
from benches.plot import OTHERS, OWN, draw_growth, draw_peers

ROOT = Path(__file__).parents[3]
PEERS = [
    Peer("rawtp", "rawtp, dicts", runs=[Run(1.0, 300.0, 40.0, 20.0)], slowdowns=[2.77]),
    Peer("perf", "perf trace", runs=[Run(0.5, 5000.0, 190.0, 15.0)], slowdowns=[52.5]),
    Peer("bcc", "bcc <py>", note="not installed"),
    Peer("odd", "odd", note="does not run here: exit 1"),
]
CURVES = [Curve(key, f"{key}!", "how many", "ns", ((1, 2.0), (2, 4.0))) for key in ("events", "processes", "a", "b")]


def texts(path: Path) -> list[str]:
    tree = ElementTree.parse(path)  # noqa: S314 - our own
    return ["".join(text.itertext()).strip() for text in tree.iter("{http://www.w3.org/2000/svg}text")]


def fills(path: Path) -> list[str]:
    """The colours of the bars, from the top of the file on."""
    return re.findall(rf"fill: ({OWN}|{OTHERS})", path.read_text())


def test_every_tool_has_a_bar_or_a_reason(tmp_path: Path) -> None:
    path = tmp_path / "peers.svg"
    draw_peers(PEERS, path)
    found = texts(path)
    assert {"What arrives", "events delivered, % of the calls", "100 %", "50 %"} <= set(found)
    assert {"What the caller pays", "time of a call, × that without a tool", "2.8×", "52.5×"} <= set(found)
    assert {peer.name for peer in PEERS} <= set(found)
    assert found.count("not installed") == found.count("does not run here") == 2
    # From the bottom up, in two panels.
    assert fills(path) == [OTHERS, OTHERS, OTHERS, OWN] * 2


def test_each_curve_names_its_axes(tmp_path: Path) -> None:
    path = tmp_path / "growth.svg"
    draw_growth(CURVES, path)
    found = texts(path)
    assert {"events!", "processes!", "a!", "b!"} <= set(found)
    assert found.count("how many") == found.count("ns") == 4


def test_the_style_of_the_process_is_left_alone(tmp_path: Path) -> None:
    before = dict(matplotlib.rcParams)
    draw_growth(CURVES, tmp_path / "growth.svg")
    draw_peers(PEERS, tmp_path / "peers.svg")
    assert dict(matplotlib.rcParams) == before
    with matplotlib.rc_context({"figure.facecolor": "black"}):
        draw_growth(CURVES, tmp_path / "dark.svg")
    assert (tmp_path / "dark.svg").read_bytes() == (tmp_path / "growth.svg").read_bytes()


def test_the_plots_show_what_the_page_says() -> None:
    page = (ROOT / "BENCHMARKS.md").read_text()
    table = page.partition("| tool | delivered |")[2].partition("\n\n")[0]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()[2:]]
    found = texts(ROOT / "benches" / "peers.svg")
    assert len(rows) >= 8
    for name, delivered, slowdown, *_ in rows:
        assert name in found
        if delivered:
            assert f"{float(delivered.rstrip('%')):.0f} %" in found
            assert f"{float(slowdown.rstrip('×')):.0f}" in {re.split(r"[.×]", text)[0] for text in found} or (
                f"{float(slowdown.rstrip('×')):.1f}×" in found
            )
    growth = texts(ROOT / "benches" / "growth.svg")
    for title in re.findall(r"^\| ([a-z ]+) [\d,]+ to [\d,]+: the ", page, re.MULTILINE):
        assert title in growth
    for path in (ROOT / "benches").glob("*.svg"):
        assert "#c44e52" not in path.read_text()
