"""The live view, in a Jupyter kernel: one output, which is right at every end that it can have."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

import rawtp
from helpers.support import HANG_S
from helpers.tables import Page as Tags
from helpers.tables import read_table

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


class Page:
    """A notebook that is run cell by cell."""

    def __init__(self, client: NotebookClient) -> None:
        self._client = client

    def start(self, source: str) -> tuple[Any, asyncio.Task[Any]]:
        """A cell, and its run."""
        cell = nbformat.v4.new_code_cell(source)  # type: ignore[no-untyped-call]
        self._client.nb.cells.append(cell)
        return cell, asyncio.ensure_future(self._client.async_execute_cell(cell, len(self._client.nb.cells) - 1))

    async def run(self, source: str) -> str:
        """What a cell prints."""
        cell, running = self.start(source)
        await running
        return "".join(output.get("text", "") for output in cell.outputs)

    async def interrupt(self) -> None:
        await self._client.km.interrupt_kernel()  # type: ignore[misc,union-attr]


@asynccontextmanager
async def opened(place: Path) -> AsyncIterator[Page]:
    """A notebook with a tracer of what the test and its children delete there. Of others, unknown paths would pass."""
    notebook = nbformat.v4.new_notebook()  # type: ignore[no-untyped-call]
    client = NotebookClient(notebook, timeout=int(HANG_S), kernel_name="python3")
    async with client.async_setup_kernel():
        page = Page(client)
        await page.run("import os, threading, rawtp")
        await page.run(f"tracer = rawtp.Tracer(path={str(place)!r}, pid={os.getpid()}, follow=True)")
        yield page


async def shown(cell: Any, path: Path) -> None:
    """Waits until the cell has that path in its output."""
    deadline_s = time.monotonic() + HANG_S
    while not any(str(path) in output.get("data", {}).get("text/html", "") for output in cell.outputs):
        assert time.monotonic() < deadline_s, cell.outputs
        await asyncio.sleep(0.05)


def delete(place: Path, *names: str) -> list[Path]:
    paths = [place / name for name in names]
    for path in paths:
        path.touch()
        path.unlink()
    return paths


def only(cell: Any) -> tuple[str, list[dict[str, str]]]:
    """The caption and the rows of a cell that has one output and no more."""
    [output] = cell.outputs
    assert output.output_type == "display_data"
    caption, rows = read_table(output.data["text/html"])
    assert output.data["text/plain"].startswith(caption)
    return caption, rows


@pytest.mark.quiet_host
def test_it_ends_in_time_with_one_output(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as page:
            delete(tmp_path, "one", "<b>two", "three\x1b[31m")
            cell, running = page.start("tracer.live(seconds=1)")
            await running
            caption, rows = only(cell)
            counts = "3 events, 3 of them from before the start, 0.0 a second since the start, 0 lost"
            assert re.fullmatch(rf"ended after \d+ s: {counts}", caption), caption
            names = ["one", "<b>two", r"three\x1b[31m"]
            assert [row["path"] for row in rows] == [f"{tmp_path}/{name}" for name in names]
            assert {(row["pid"], row["syscall"], row["result"]) for row in rows} == {(str(os.getpid()), "unlink", "ok")}
            assert await page.run("print(tracer.stats().delivered, tracer.closed)") == "3 False\n"

    asyncio.run(main())


def test_failures_the_filter_and_the_rate_since_the_start(tmp_path: Path) -> None:
    watched, other = tmp_path / "watched", tmp_path / "other"
    watched.mkdir()
    other.mkdir()

    async def main() -> None:
        async with opened(watched) as page:
            delete(watched, "before")
            cell, running = page.start("tracer.live(seconds=3)")
            await shown(cell, watched / "before")
            delete(other, *map(str, range(5)))
            delete(watched, *map(str, range(8)))
            for name in ("x", "y"):
                with pytest.raises(FileNotFoundError):
                    (watched / name).unlink()
            await running
            caption, rows = only(cell)
            found = re.fullmatch(
                r"ended after (\d+) s: 11 events, 1 of them from before the start, 2 failed, "
                r"(\d\.\d) a second since the start, 0 lost",
                caption,
            )
            assert found, caption
            # Of 10 events in 3 seconds, or in a few more on a slow machine.
            assert 10 / (int(found[1]) + 0.6) - 0.06 <= float(found[2]) <= 3.4
            assert [row["result"] for row in rows] == ["ok"] * 9 + ["ENOENT"] * 2
            html = Tags(cell.outputs[0].data["text/html"])
            marked = [
                text for text, style in zip(html.cells["td"], html.styles["td"], strict=True) if "#b42318" in style
            ]
            assert marked == ["ENOENT"] * 2
            filtered = f'filter: pid={os.getpid()} follow=True path="{watched}"; '
            left_out = re.fullmatch(re.escape(filtered) + r"(\d+) other calls left out", html.cells["p"][1])
            assert left_out, html.cells["p"]
            assert int(left_out[1]) >= 5

    asyncio.run(main())


def test_an_interrupt_ends_it_and_nothing_is_lost(tmp_path: Path) -> None:
    """In the middle of a stream: what is shown and what comes after it are all that was deleted, in order."""

    async def main() -> None:
        async with opened(tmp_path) as page:
            cell, running = page.start("tracer.live(rows=1000)")
            loop = f"import os\nwhile True:\n    for n in range(9): open({str(tmp_path)!r} + f'/{{n}}', 'w').close()\n"
            loop += f"    for n in range(9): os.unlink({str(tmp_path)!r} + f'/{{n}}')\n    input()\n"
            stream = subprocess.Popen([sys.executable, "-c", loop], stdin=subprocess.PIPE, text=True)
            assert stream.stdin is not None
            with stream:
                await shown(cell, tmp_path / "8")
                for number in range(100):
                    stream.stdin.write("\n")
                    stream.stdin.flush()
                    await asyncio.sleep(0.005)
                    if number == 50:
                        await page.interrupt()
            await running
            caption, rows = only(cell)
            assert caption.startswith("interrupted after ")
            rest = await page.run("tracer.close()\nfor event in tracer:\n    print(event['path'])")
            paths = [row["path"] for row in rows] + rest.splitlines()
            assert paths == [f"{tmp_path}/{number % 9}" for number in range(len(paths))]
            assert f": {len(rows)} events, " in caption
            assert len(paths) == 9 * 101
            assert await page.run("print(tracer.stats().delivered)") == f"{len(paths)}\n"

    asyncio.run(main())


@pytest.mark.quiet_host
def test_it_can_be_shown_again_and_ends_at_a_close(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as page:
            cell, running = page.start("tracer.live()")
            await shown(cell, *delete(tmp_path, "one"))
            await page.interrupt()
            await running
            again, running = page.start("threading.Timer(1, tracer.close).start()\ntracer.live(rows=2)")
            while not again.outputs:
                await asyncio.sleep(0.05)
            delete(tmp_path, "two", "three", "four")
            await running
            caption, rows = only(again)
            assert caption.startswith("the tracer was closed after ")
            assert ": 3 events (the latest 2 are shown), " in caption
            # The latest.
            assert [row["path"] for row in rows] == [f"{tmp_path}/three", f"{tmp_path}/four"]
            assert [row["path"] for row in only(cell)[1]] == [f"{tmp_path}/one"]
            # Of a closed tracer it is what is left: nothing.
            last, running = page.start("tracer.live()")
            await running
            assert only(last)[1] == []
            assert await page.run("import signal; print(signal.getsignal(signal.SIGINT).__name__)") == (
                "default_int_handler\n"
            )

    asyncio.run(main())


def test_outside_a_notebook_it_says_where_to_look(own: rawtp.Tracer) -> None:
    Path("/nonexistent/x").unlink(missing_ok=True)
    with pytest.raises(RuntimeError, match=r"^tracer\.live\(\) needs a Jupyter notebook, .*python3 -m rawtp"):
        own.live()
    # Before anything was taken.
    assert [event["filename"] for event in own.get_many(timeout=HANG_S)] == ["/nonexistent/x"]


def test_in_ipythons_terminal_too(tmp_path: Path) -> None:
    source = "import rawtp\ntry: rawtp.Tracer(pid=1).live()\nexcept RuntimeError as error: print(error)"
    command = [sys.executable, "-m", "IPython", "--quick", f"--ipython-dir={tmp_path}", "-c", source]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=HANG_S)
    assert done.stdout.startswith("tracer.live() needs a Jupyter notebook, "), done


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"seconds": -1}, ValueError, r"^seconds must be None or a number of seconds >= 0, not -1\.0$"),
        ({"seconds": float("nan")}, ValueError, "^seconds must be "),
        ({"seconds": "3"}, TypeError, "^seconds must be None or a number of seconds >= 0, not str$"),
        ({"rows": 0}, ValueError, "^rows must be at least 1, not 0$"),
        ({"rows": 1001}, ValueError, "^rows must be at most 1000, not 1001$"),
        ({"rows": 2.5}, TypeError, "^rows must be an int, not float$"),
    ],
)
def test_wrong_arguments(own: rawtp.Tracer, arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        own.live(**arguments)
