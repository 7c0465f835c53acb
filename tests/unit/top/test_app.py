"""The screen of ``rawtp top``, by the harness of the library that draws it."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

import pytest
from textual.widgets import Input, Static

from helpers.samples import RM
from helpers.tops import PretendSource, deleted, refused
from rawtp._top.app import TopApp
from rawtp._top.lines import Lines
from rawtp.formats.escape import width
from rawtp.formats.timestamp import Clock

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from textual.pilot import Pilot

    from rawtp._containers.runtimes import Names

    Scene = Callable[[PretendSource, TopApp, Pilot[None]], Awaitable[None]]

SMALL, LARGE = (80, 24), (160, 50)
HOSTILE = "[red]x[/]\x1b[2J\u202egpj\n日本"
SEEN = r"[red]x[/]\x1b[2J\u202egpj\x0a日本"


def unnamed(container_id: str | None, pod_id: str | None) -> tuple[Names | None, bool]:
    return None, True


def play(scene: Scene, size: tuple[int, int] = SMALL, source: PretendSource | None = None, **options: Any) -> TopApp:
    """Run the app without a terminal, and have it play a scene."""
    source = source or filled()

    async def run() -> TopApp:
        app = TopApp(source, unnamed, clock=source.clock, interval_s=3600, time_of_day=Clock(utc=True), **options)
        async with app.run_test(size=size) as pilot:
            # The footer is made after the rest.
            while "Quit" not in screen(app)[-1]:
                await pilot.pause(0.01)
            await scene(source, app, pilot)
        return app

    return asyncio.run(run())


def filled() -> PretendSource:
    source = PretendSource()
    source.add(*(deleted(f"/srv/{number}", 1024, pid=11, comm="rm") for number in range(5)))
    source.add(*(deleted(f"/var/log/{number}", None, pid=22, comm="logrotate") for number in range(3)))
    source.add(refused("/etc/passwd", pid=33, comm="unlink"))
    source.now_s += 2
    return source


def screen(app: TopApp) -> list[str]:
    """What is drawn, line by line."""
    cells = app.size.width
    strips = app.screen._compositor.render_strips()
    lines = [strip.text for strip in strips]
    assert len(lines) == app.size.height
    assert [line for line in lines if width(line) != cells] == []
    return [line.rstrip() for line in lines]


def rows(app: TopApp) -> list[str]:
    """The lines of the table, without its header."""
    widget = app.query_one(Lines)
    top = widget.region.y
    return [line for line in screen(app)[top + 1 : top + widget.size.height] if line]


def text(app: TopApp, name: str) -> str:
    return str(app.query_one(name, Static).visual)


def cursor(app: TopApp) -> object:
    return app.query_one(Lines).key


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_the_whole_screen(size: tuple[int, int]) -> None:
    async def scene(source: PretendSource, app: TopApp, pilot: Pilot[None]) -> None:
        title, totals, header, *table = screen(app)
        assert title == "rawtp top  p process   d directory   c container   u unit"
        assert totals == "9 events, 4.5 a second, 1 failed, ≥ 5.0 KiB gone"
        assert header == " RATE/S▼    EVENTS  FAILED        GONE     PID    UID COMM            ARGUMENTS"
        arguments = {
            SMALL: ("/srv/4", "/var/log/2", "/etc…asswd"),
            LARGE: ("/srv/4", "/var/log/2", "/etc/passwd"),
        }
        assert table[:3] == [
            f"     2.5         5             5.0 KiB      11   1000 rm              {arguments[size][0]}",
            f"     1.5         3                   ?      22   1000 logrotate       {arguments[size][1]}",
            f"     0.5         1       1           0      33   1000 unlink          {arguments[size][2]}",
        ]
        assert set(table[3:-2]) == {""}
        assert table[-2] == "0 events lost, 6 delivered, buffered 0"
        assert table[-1] == "s Sort r Reverse f Filter / Search space Pause ⏎ Events q Quit"

    play(scene, size)


def test_the_views_by_their_keys() -> None:
    async def scene(source: PretendSource, app: TopApp, pilot: Pilot[None]) -> None:
        seen = {}
        for key in ("d", "c", "u", "p", "tab", "shift+tab", "shift+tab"):
            await pilot.press(key)
            header, names = screen(app)[2], [line[39:].strip() for line in rows(app)]
            seen[key] = header.split()[-1], names
        assert seen["d"] == ("DIRECTORY", ["/srv", "/var/log", "/etc"])
        assert seen["c"] == ("CONTAINER", ["(no container known)"])
        assert seen["u"] == ("UNIT", ["session-3.scope"])
        assert seen["p"][0] == "ARGUMENTS"
        assert seen["tab"] == seen["d"]
        assert seen["shift+tab"] == seen["u"]

    play(scene)
    assert play(scene, view="unit")


def test_sorting_by_any_column() -> None:
    async def scene(source: PretendSource, app: TopApp, pilot: Pilot[None]) -> None:
        found = {}
        for _ in range(8):
            await pilot.press("s")
            marked = re.search(r"(\S+)([▼▲])", screen(app)[2])
            assert marked
            found[marked[1]] = marked[2], [int(line[39:47]) for line in rows(app)]
        assert found == {
            "EVENTS": ("▼", [11, 22, 33]),
            "FAILED": ("▼", [33, 11, 22]),
            "GONE": ("▼", [11, 33, 22]),
            "PID": ("▼", [33, 22, 11]),
            "UID": ("▼", [11, 22, 33]),
            "COMM": ("▲", [22, 11, 33]),
            "ARGUMENTS": ("▲", [33, 11, 22]),
            "RATE/S": ("▼", [11, 22, 33]),
        }
        await pilot.press("r")
        assert [int(line[39:47]) for line in rows(app)] == [33, 22, 11]
        await pilot.press("less_than_sign")
        assert "ARGUMENTS▲" in screen(app)[2]
        await pilot.click(Lines, offset=(41, 0))
        assert "PID▼" in screen(app)[2]
        await pilot.click(Lines, offset=(41, 0))
        assert "PID▲" in screen(app)[2]

    play(scene)


def test_a_filter_as_it_is_typed() -> None:
    async def scene(source: PretendSource, app: TopApp, pilot: Pilot[None]) -> None:
        await pilot.press("f", *"LoGr")
        # Letters are the text's, and no keys.
        assert [int(line[39:47]) for line in rows(app)] == [22]
        assert len(screen(app)) == 24
        await pilot.press("enter")
        assert text(app, "#totals").endswith('; with "LoGr"')
        assert [int(line[39:47]) for line in rows(app)] == [22]
        await pilot.press("f", *"x")
        assert rows(app) == ["no row has this text in it"]
        await pilot.press("escape")
        assert len(rows(app)) == 3
        await pilot.press("f", *"rm", "enter", "escape")
        assert len(rows(app)) == 3

    play(scene)


def test_a_filter_does_not_hide_that_there_are_others() -> None:
    source = PretendSource()
    source.model = type(source.model)(source.now_s, 4)
    source.add(*(deleted("/x", pid=pid) for pid in range(1, 20)))

    async def scene(source: PretendSource, app: TopApp, pilot: Pilot[None]) -> None:
        await pilot.press("f", *"nothing", "enter")
        [others] = rows(app)
        assert others.endswith(" (others)")

    play(scene, source=source)


def test_a_search_goes_from_row_to_row() -> None:
    async def scene(source: PretendSource, app: TopApp, pilot: Pilot[None]) -> None:
        keys = {pid: (pid, RM["start_ns"]) for pid in (11, 22, 33)}
        await pilot.press("slash", *"un", "enter")
        assert cursor(app) == keys[33]
        await pilot.press("slash", *"r", "enter")
        # The row that it is on has none of these letters.
        assert cursor(app) == keys[11]
        await pilot.press("n")
        assert cursor(app) == keys[22]
        await pilot.press("n")
        assert cursor(app) == keys[11]
        await pilot.press("N")
        assert cursor(app) == keys[22]
        # A part of this is in another row.
        await pilot.press("slash", *"un", "escape")
        assert cursor(app) == keys[22]
        await pilot.press("slash", *"nothing", "enter")
        assert cursor(app) == keys[22]
        assert len(rows(app)) == 3

    play(scene)


def test_a_row_opens_to_its_last_events() -> None:
    async def scene(source: PretendSource, app: TopApp, pilot: Pilot[None]) -> None:
        await pilot.press("down", "enter")
        assert text(app, "#title").strip() == "last 3 events of process 22 1000 logrotate /var/log/2"
        assert screen(app)[2].split() == ["TIME", "PID", "USER", "COMM", "ACTION", "RESULT", "PATH"]
        assert rows(app) == [
            f"22:13:20      22 1000     logrotate       delete   ok        /var/log/{number}" for number in (2, 1, 0)
        ]
        assert "Sort" not in screen(app)[-1]
        assert "Back" in screen(app)[-1]
        # More come while it is open.
        source.add(refused("/var/log/3", pid=22, comm="logrotate"))
        app._renew()
        await pilot.pause()
        assert rows(app)[0] == "22:13:20      22 1000     logrotate       delete   EACCES    /var/log/3"
        await pilot.press("escape")
        assert len(rows(app)) == 3
        assert cursor(app) == (22, RM["start_ns"])

    play(scene)


def test_a_row_that_is_folded_while_it_is_open_keeps_its_events() -> None:
    source = PretendSource()
    source.model = type(source.model)(source.now_s, 4)
    source.add(deleted("/first", pid=1))

    async def scene(source: PretendSource, app: TopApp, pilot: Pilot[None]) -> None:
        await pilot.press("enter")
        source.now_s += 60
        source.add(*(deleted("/x", pid=pid) for pid in range(2, 30)))
        app._renew()
        await pilot.pause()
        assert [line.split()[-1] for line in rows(app)] == ["/first"]

    play(scene, source=source)


def test_a_pause_counts_on() -> None:
    async def scene(source: PretendSource, app: TopApp, pilot: Pilot[None]) -> None:
        await pilot.press("space")
        before = rows(app)
        source.add(*(deleted(f"/new/{number}", pid=44, comm="new") for number in range(7)))
        source.now_s += 30
        app._renew()
        await pilot.pause()
        assert rows(app) == before
        assert "paused" in text(app, "#title")
        assert text(app, "#totals") == "9 events, 4.5 a second, 1 failed, ≥ 5.0 KiB gone; 7 more since"
        # What is shown can be looked at from all sides, as it was.
        await pilot.press("d")
        assert [line[39:].strip() for line in rows(app)] == ["/srv", "/var/log", "/etc"]
        await pilot.press("enter")
        assert len(rows(app)) == 5
        await pilot.press("escape", "p", "space")
        assert "paused" not in text(app, "#title")
        assert text(app, "#totals").startswith("16 events, ")
        assert len(rows(app)) == 4

    play(scene)


def test_the_cursor_goes_with_its_row() -> None:
    async def scene(source: PretendSource, app: TopApp, pilot: Pilot[None]) -> None:
        top = cursor(app)
        await pilot.press("down")
        second = cursor(app)
        source.add(*(deleted("/x", pid=44) for _ in range(50)))
        app._renew()
        assert cursor(app) == second != top
        # At the top it stays there, whatever comes there.
        await pilot.press("home")
        source.add(*(deleted("/x", pid=55) for _ in range(90)))
        app._renew()
        assert cursor(app) == (55, RM["start_ns"])

    play(scene)


def test_more_rows_than_lines() -> None:
    source = PretendSource()
    for number in range(100):
        source.add(*(deleted("/x", pid=1000 + number) for _ in range(200 - number)))

    async def scene(source: PretendSource, app: TopApp, pilot: Pilot[None]) -> None:
        assert [int(line[39:47]) for line in rows(app)] == [*range(1000, 1019)]
        await pilot.press("end")
        assert [int(line[39:47]) for line in rows(app)] == [*range(1081, 1100)]
        await pilot.press("pageup", "pageup")
        assert cursor(app) == (1099 - 2 * 19, RM["start_ns"])
        await pilot.resize_terminal(160, 50)
        await pilot.pause()
        assert len(rows(app)) == 45
        await pilot.press("home")
        assert [int(line[39:47]) for line in rows(app)] == [*range(1000, 1045)]

    play(scene, source=source)


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_no_name_acts_on_the_screen(size: tuple[int, int]) -> None:
    source = PretendSource()
    event = deleted(f"/d/{HOSTILE}/x", comm=HOSTILE[:12], unit=HOSTILE, container_id=HOSTILE, argv=(HOSTILE,))
    source.add(event)

    async def scene(source: PretendSource, app: TopApp, pilot: Pilot[None]) -> None:
        for key in "pdcu":
            await pilot.press(key)
            drawn = screen(app)
            assert all(line.isprintable() for line in drawn)
            assert any("[red]x[/]" in line or "[red…" in line for line in drawn)
            await pilot.press("enter")
            drawn = screen(app)
            assert all(line.isprintable() for line in drawn)
            assert text(app, "#title").isprintable()
            await pilot.press("escape")
        if size == LARGE:
            await pilot.press("d")
            assert rows(app)[0].endswith(f"/d/{SEEN}")
        await pilot.press("f", *"[re", "enter")
        assert len(rows(app)) == 1
        assert text(app, "#totals").endswith('; with "[re"')

    play(scene, size, source)


def test_losses_are_told() -> None:
    async def scene(source: PretendSource, app: TopApp, pilot: Pilot[None]) -> None:
        assert not app.query_one("#ledger").has_class("-lost")
        source.ledger |= {"lost_ring": 12, "missed": 3, "buffered": None}
        app._renew()
        await pilot.pause()
        assert screen(app)[-2] == "12 events lost, missed 3, 6 delivered, buffered unknown"
        assert app.query_one("#ledger").has_class("-lost")

    play(scene)


def test_nothing_yet() -> None:
    async def scene(source: PretendSource, app: TopApp, pilot: Pilot[None]) -> None:
        assert rows(app) == ["nothing yet"]
        await pilot.press("enter", "n", "s", "r", "down", "end", "space", "space", "escape")
        assert rows(app) == ["nothing yet"]
        assert text(app, "#totals") == "0 events, 0 a second, 0 failed, 0 gone"

    play(scene, source=PretendSource())


@pytest.mark.parametrize("key", ["q", "ctrl+c"])
@pytest.mark.parametrize("before", [[], ["f", "x"], ["enter"]])
def test_it_ends_by_a_key(key: str, before: list[str]) -> None:
    async def scene(source: PretendSource, app: TopApp, pilot: Pilot[None]) -> None:
        await pilot.press(*before)
        await pilot.press(key)
        # A letter goes into the text that is being typed.
        is_text = key == "q" and "f" in before
        assert app.query_one(Input).value == ("xq" if is_text else "x" if "f" in before else "")
        assert app.return_code == (None if is_text else 0)

    play(scene)


def test_it_ends_with_the_counting() -> None:
    async def scene(source: PretendSource, app: TopApp, pilot: Pilot[None]) -> None:
        source.has_ended = True
        await pilot.pause(1.0)
        assert not app.is_running

    assert play(scene).return_code == 0


def test_a_click_chooses_a_row_and_a_second_one_opens_it() -> None:
    async def scene(source: PretendSource, app: TopApp, pilot: Pilot[None]) -> None:
        await pilot.click(Lines, offset=(5, 3))
        assert cursor(app) == (33, RM["start_ns"])
        await pilot.click(Lines, offset=(5, 3))
        assert text(app, "#title").startswith("last 1 event of process 33 ")

    play(scene)
