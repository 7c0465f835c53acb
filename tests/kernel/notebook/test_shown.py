"""What a batch and a ledger look like in a notebook."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import rawtp
from helpers.support import assert_ledger
from helpers.tables import Page, read_table
from rawtp import notebook

pytestmark = pytest.mark.kernel


def attempt(*names: bytes) -> None:
    for name in names:
        with pytest.raises(FileNotFoundError):
            os.unlink(b"/nonexistent/" + name)  # noqa: PTH108


def test_a_batch_shows_its_first_events(own: rawtp.Tracer) -> None:
    attempt(b"<img src=x>", b"\xff\x1b[2J\xe2\x80\xae", *[str(number).encode() for number in range(30)])
    own.close()
    batch = own.to_arrow()
    caption, rows = read_table(batch._repr_html_())
    assert caption == "32 events, of which the first 20 are shown"
    assert [row["path"] for row in rows] == [
        "/nonexistent/<img src=x>",
        r"/nonexistent/\xff\x1b[2J\u202e",
        *[f"/nonexistent/{number}" for number in range(18)],
    ]
    assert {(row["pid"], row["result"]) for row in rows} == {(str(os.getpid()), "ENOENT")}
    assert "<img" not in batch._repr_html_()


def test_a_part_of_a_batch(own: rawtp.Tracer) -> None:
    attempt(b"\xff", *[str(number).encode() for number in range(9)])
    own.close()
    batch = own.to_arrow()
    events = batch.to_dicts()
    assert batch._dicts(0, 10) == batch._dicts(0, 1 << 60) == events
    assert batch._dicts(3, 4) == events[3:7]
    assert batch._dicts(9, 5) == events[9:]
    assert batch._dicts(10, 1) == batch._dicts(1 << 60, 1 << 60) == batch._dicts(2, 0) == []
    assert repr(notebook.table(batch, 2, keys=["filename"])) == (
        "10 events, of which the first 2 are shown\nfilename\n/nonexistent/\\xff\n/nonexistent/0"
    )


def test_a_batch_counts_what_failed(own: rawtp.Tracer, tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    (tmp_path / "x").unlink()
    attempt(b"1", b"2")
    own.close()
    assert own.batch()._outcomes() == (2, 0)
    with rawtp.Tracer(pid=os.getpid(), results=False) as unknown, rawtp.Tracer(fields=["pid"], pid=os.getpid()) as few:
        attempt(b"3", b"4", b"5")
    assert unknown.batch()._outcomes() == (0, 3)
    assert few.batch()._outcomes() is None


def test_a_batch_of_nothing(own: rawtp.Tracer) -> None:
    assert own.batch(timeout=0)._repr_html_() == '<div class="tex2jax_ignore mathjax_ignore"><p>0 events</p></div>'


def test_the_ledger(own: rawtp.Tracer) -> None:
    attempt(b"1", b"2", b"3")
    own.close()
    assert len(list(own)) == 3
    stats = own.stats()
    assert_ledger(stats)
    page = Page(stats._repr_html_())
    assert page.cells["p"] == ["3 events delivered, 0 lost"]
    # In the order of the sum.
    shown = {
        name: None if cell == "unknown" else int(cell)
        for name, cell in zip(page.cells["th"], page.cells["td"], strict=True)
    }
    assert shown == stats.as_dict()
    assert page.cells["th"][0] == "matched"
    assert page.tags.count("table") == 2


def test_a_chart_of_a_batch(own: rawtp.Tracer) -> None:
    """The same as of its dicts, also where it is taken in parts."""
    pytest.importorskip("matplotlib")
    attempt(*[str(number).encode() for number in range(5000)])
    own.close()
    batch = own.to_arrow()
    heights = [
        [[bar.get_height() for bar in container] for container in notebook.chart(events).figure.axes[0].containers]
        for events in (batch, batch.to_dicts())
    ]
    assert heights[0] == heights[1]
    assert sum(map(sum, heights[0])) == 5000
