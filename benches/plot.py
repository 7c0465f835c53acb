"""The plots of BENCHMARKS.md, by matplotlib (the dependency group ``bench``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from benches.growth import Curve
    from benches.peers import Peer

OWN, OTHERS = "#c44e52", "#8c9bb0"


def _pyplot() -> Any:
    try:
        import matplotlib as mpl
    except ImportError:
        raise SystemExit("--write draws plots with matplotlib: pip install --group bench") from None
    mpl.use("svg")
    # The same figures give the same file.
    mpl.rcParams.update({"svg.hashsalt": "rawtp", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False})
    from matplotlib import pyplot

    return pyplot


def _save(figure: Any, path: Path) -> None:
    figure.tight_layout()
    figure.savefig(path, format="svg", metadata={"Date": None})


def draw_peers(peers: Sequence[Peer], path: Path) -> None:
    """Delivered share and caller slowdown, one bar for each tool that ran."""
    pyplot = _pyplot()
    ran = [(peer, figures) for peer in reversed(peers) if (figures := peer.figures())]
    names = [peer.name for peer, _ in ran]
    colours = [OWN if "rawtp" in peer.key else OTHERS for peer, _ in ran]
    figure, (left, right) = pyplot.subplots(1, 2, sharey=True, figsize=(9, 0.4 * len(ran) + 1.2))
    for axes, values, form in (
        (left, [100 * figures["delivered"] for _, figures in ran], "%.0f %%"),
        (right, [figures["slowdown"] for _, figures in ran], "%.1f×"),
    ):
        bars = axes.barh(names, values, color=colours)
        axes.bar_label(bars, fmt=form, padding=3)
    left.set(title="of the calls, delivered", xlim=(0, 118), xticks=(0, 50, 100))
    right.set(title="a call takes, with the tool", xscale="log")
    right.set_xlim(1, max(figures["slowdown"] for _, figures in ran) * 3)
    _save(figure, path)


def draw_growth(curves: Sequence[Curve], path: Path) -> None:
    """One plot for each kind of growth."""
    pyplot = _pyplot()
    figure, grid = pyplot.subplots(2, 2, figsize=(9, 6))
    for curve, axes in zip(curves, grid.flat, strict=True):
        xs, ys = zip(*curve.points, strict=True)
        axes.plot(xs, ys, "o-", color=OWN)
        axes.set(title=curve.title, xlabel=curve.x, ylabel=curve.y)
        if curve.key in ("events", "processes"):
            axes.set_xscale("log")
        if curve.key == "events":
            axes.set_yscale("log")
        else:
            axes.set_ylim(0, max(ys) * 1.15)
    _save(figure, path)
