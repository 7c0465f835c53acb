"""Names of containers beside what is recorded, which outlive the containers."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import rawtp
from helpers import cgroups
from helpers.cgroups import POD, unlink_in
from helpers.recorders import asked
from helpers.recordings import HANG_S
from helpers.support import of_own_family, wait_for
from rawtp import _core
from rawtp._containers.runtimes import Names
from rawtp._record.naming import ContainerNames

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.kernel

WEB = Names("web", "web-1\x1b", "shop", "registry.example.org/web:1")


@pytest.fixture
def group() -> Iterator[Path]:
    with cgroups.of_container() as made:
        yield made


def test_names_outlive_the_container(tmp_path: Path, group: Path) -> None:
    directory, container = tmp_path / "h", cgroups.container_id(group)
    looked_up: list[tuple[str | None, str | None]] = []

    def find(container_id: str | None, pod_id: str | None) -> Names | None:
        looked_up.append((container_id, pod_id))
        return WEB if container_id == container else None

    with of_own_family(rawtp.LOSS) as tracer, _core.Recorder(tracer, directory, sync_s=0.05) as recorder:
        companion = ContainerNames(recorder, find)
        companion.start()
        for _ in range(3):
            unlink_in(group, "/nonexistent/rawtp-named")
        recorder.sync(HANG_S)
        wait_for(lambda: (container, POD) in looked_up, "it is looked up")
        recorder.close()
        assert companion.finish() == []
    group.rmdir()
    history = rawtp.History(directory)
    [known] = history.containers()
    seen_ns = known.pop("seen_ns")
    assert known == {"container_id": container, "pod_id": POD, **WEB._asdict()}
    event, *_ = history.who("/nonexistent/rawtp-named", failed=True)
    assert abs(seen_ns - event["ts_ns"]) < HANG_S * 1e9
    assert {key: event[key] for key in known} == known
    directory_option = ("--directory", directory)
    code, out, _ = asked("who", "--all", *directory_option, "/nonexistent/rawtp-named")
    assert code == 0
    assert f"container web ({container}), pod shop/web-1\\x1b ({POD}), image registry.example.org/web:1" in out
    _, out, _ = asked("who", "--all", "--json", *directory_option, "/nonexistent/rawtp-named")
    assert json.loads(out.splitlines()[1])["namespace"] == "shop"
    _, out, _ = asked("history", "-o", "csv", "-f", "comm,pod,image,namespace,container_name", *directory_option)
    assert "web-1\\x1b,registry.example.org/web:1,shop,web," in out
    _, out, _ = asked("history", "-o", "jsonl", *directory_option)
    named = [line for line in map(json.loads, out.splitlines()) if line.get("container_id") == container]
    assert {line["image"] for line in named} == {WEB.image}


def test_as_the_page_joins_it(tmp_path: Path, group: Path) -> None:
    """What the page on the layout says to an engine."""
    duckdb = pytest.importorskip("duckdb")
    directory = tmp_path / "h"
    with of_own_family(rawtp.LOSS) as tracer, _core.Recorder(tracer, directory, sync_s=0.05) as recorder:
        companion = ContainerNames(recorder, lambda *_: WEB)
        companion.start()
        unlink_in(group, "/nonexistent/rawtp-named")
        subprocess.run(["unlink", "/nonexistent/rawtp-not-named"], stderr=subprocess.DEVNULL, check=False)
        recorder.seal(HANG_S)
        recorder.close()
        companion.finish()
    page = Path(__file__).parents[3] / "docs" / "reference" / "history-layout.md"
    query = page.read_text().partition("```sql\n")[2].partition("```")[0].replace("/var/lib/rawtp", str(directory))
    rows = duckdb.sql(query.replace("SELECT e.ts, e.real_path,", "SELECT e.path,", 1)).fetchall()
    of = {path: names for path, *names in rows}
    assert of["/nonexistent/rawtp-named"] == ["shop", "web-1\x1b", WEB.image]
    assert of["/nonexistent/rawtp-not-named"] == [None, None, None]


def test_a_recorder_writes_them(tmp_path: Path) -> None:
    """Without a container there is no file."""
    from helpers.recorders import recording

    directory = tmp_path / "h"
    with recording(directory) as recorder:
        assert recorder.end() == 0
        assert "names of containers" not in recorder.messages
    assert rawtp.History(directory).containers() == []
