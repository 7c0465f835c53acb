"""The plots of BENCHMARKS.md, by matplotlib (the dependency group ``bench``)."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from benches.growth import Curve
    from benches.peers import Peer

OWN, OTHERS = "#4477aa", "#bbbbbb"


# The same figures give the same file. Text stays text, which can be searched and read aloud. The page is white, also
# where a site is dark.
STYLE: Any = {
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.size": 9,
    "savefig.facecolor": "white",
    "svg.fonttype": "none",
    "svg.hashsalt": "rawtp",
}


def library() -> Any:
    """matplotlib.

    Raises:
        SystemExit: it is not installed.
    """
    try:
        import matplotlib as mpl
    except ImportError:
        raise SystemExit("--write draws plots with matplotlib: pip install --group bench") from None
    return mpl


@contextmanager
def _drawn(path: Path, **size: Any) -> Iterator[Any]:
    """A figure, which becomes that file. Whoever draws in the same process keeps their own style."""
    with library().rc_context(STYLE):
        from matplotlib.figure import Figure

        figure = Figure(**size)
        yield figure
        figure.tight_layout()
        figure.savefig(path, format="svg", metadata={"Date": None})


def draw_peers(peers: Sequence[Peer], path: Path) -> None:
    """Delivered share and caller slowdown, one bar for each tool; for one that did not run, the reason."""
    shown = [(peer, peer.figures()) for peer in reversed(peers)]
    names = [peer.name for peer, _ in shown]
    colours = [OWN if "rawtp" in peer.key else OTHERS for peer, _ in shown]
    with _drawn(path, figsize=(9, 0.4 * len(shown) + 1.4)) as figure:
        left, right = figure.subplots(1, 2, sharey=True)
        # Of a logarithmic axis the least is 1.
        for axes, key, factor, least, form in (
            (left, "delivered", 100, 0, "{:.0f} %"),
            (right, "slowdown", 1, 1, "{:.1f}×"),
        ):
            values = [factor * figures[key] if figures else least for _, figures in shown]
            labels = [
                form.format(value) if figures else peer.note.partition(":")[0]
                for value, (peer, figures) in zip(values, shown, strict=True)
            ]
            axes.bar_label(axes.barh(names, values, color=colours), labels=labels, padding=3)
        left.set(title="What arrives", xlabel="events delivered, % of the calls")
        left.set(xlim=(0, 135), xticks=range(0, 101, 25))
        right.set(title="What the caller pays", xlabel="time of a call, × that without a tool", xscale="log")
        right.set_xlim(1, max((figures["slowdown"] for _, figures in shown if figures), default=10) * 4)


def draw_growth(curves: Sequence[Curve], path: Path) -> None:
    """One plot for each kind of growth."""
    with _drawn(path, figsize=(9, 6)) as figure:
        for curve, axes in zip(curves, figure.subplots(2, 2).flat, strict=True):
            xs, ys = zip(*curve.points, strict=True)
            axes.plot(xs, ys, "o-", color=OWN)
            axes.set(title=curve.title, xlabel=curve.x, ylabel=curve.y)
            if curve.key in ("events", "processes"):
                axes.set_xscale("log")
            if curve.key == "events":
                axes.set_yscale("log")
            else:
                axes.set_ylim(0, max(ys) * 1.15)
