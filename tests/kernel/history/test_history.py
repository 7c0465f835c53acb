"""``rawtp.History`` on what a real recorder has recorded."""

from __future__ import annotations

import os
import threading
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import rawtp
from helpers.support import of_own_family

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.kernel

FIELDS = (*rawtp.ALL_FIELDS, "ancestors")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(os.path.realpath(tmp_path_factory.mktemp("place")))


@pytest.fixture(scope="module")
def began() -> datetime:
    return datetime.now(timezone.utc)


@pytest.fixture(scope="module")
def directory(place: Path, began: datetime, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Ten deletions, sealed and not, and a rename; the recorder still runs."""
    assert began
    into = tmp_path_factory.mktemp("history") / "d"
    with of_own_family("loss", fields=FIELDS) as tracer, rawtp.Recorder(tracer, into, sync_s=0.05) as recorder:
        for number in range(10):
            (place / f"{number}.txt").write_text("x" * number)
            (place / f"{number}.txt").unlink()
            if number == 4:
                recorder.seal(30)
        (place / "old").touch()
        (place / "old").rename(place / "new")
        (place / "missing").unlink(missing_ok=True)
        recorder.sync(30)
        yield into


@pytest.fixture
def history(directory: Path) -> rawtp.History:
    return rawtp.History(directory)


def test_who(history: rawtp.History, place: Path, began: datetime) -> None:
    for path in (place / "3.txt", str(place / "3.txt"), os.fsencode(place / "3.txt")):
        [event] = history.who(path)
        assert event["real_path"] == str(place / "3.txt")
        assert (event["pid"], event["relation"], event["session"] > 0) == (os.getpid(), "path", True)
    assert {*FIELDS, "parent_argv", "user", "session", "host", "name", "relation"} <= {*event}
    assert (event["user"], event["cwd"]) == (None, None)
    assert history.who(place / "3.txt", since=began) == [event]
    assert history.who(place / "3.txt", until=began) == []
    assert history.who(place / "3.txt", since=timedelta(hours=1), until=time.time_ns()) == [event]
    assert history.who(place / "3.txt", since=event["ts_ns"] + 1) == []
    assert history.who(place / "missing") == []
    assert [event["errno"] for event in history.who(place / "missing", failed=True)] == ["ENOENT"]
    assert [event["action"] for event in history.who(place / "new", limit=1)] == ["rename"]


def test_scan(history: rawtp.History, place: Path) -> None:
    scan = history.scan(["real_path", "ts", "pid"], under=place, action="delete", outcome="ok")
    events = [event for batch in scan for event in batch.to_dicts()]
    assert [event["real_path"] for event in events] == [str(place / f"{number}.txt") for number in range(10)]
    assert {event["pid"] for event in events} == {os.getpid()}
    newest = history.scan(["real_path"], under=place, action=["delete"], outcome="ok", limit=1, newest_first=True)
    assert [batch.to_dicts() for batch in newest] == [[{"real_path": str(place / "9.txt")}]]
    assert [len(batch) for batch in history.scan(under=place, pid=os.getpid(), comm="nobody")] == []
    assert [len(batch) for batch in history.scan(glob=place / "[0-4].t?t", outcome="ok")] == [5]
    [batch] = history.scan(path=place / "new", pid=[os.getpid(), 1], syscall=rawtp.RENAME)
    assert (len(batch), len(batch._dicts(0, 9)), batch._dicts(1, 9)) == (1, 1, [])


def test_libraries_read_a_scan(history: rawtp.History, place: Path) -> None:
    polars, pyarrow = pytest.importorskip("polars"), pytest.importorskip("pyarrow")
    frame = polars.DataFrame(history.scan(["real_path", "ts", "ts_ns"], under=place, outcome="ok"))
    assert frame["real_path"].to_list()[:2] == [str(place / "0.txt"), str(place / "1.txt")]
    assert frame["ts"].dt.epoch("us").to_list() == [ts_ns // 1000 for ts_ns in frame["ts_ns"]]
    table = pyarrow.table(history.scan(under=place))
    assert table.num_rows == 12
    assert table.column_names[:2] == ["session", "host"]


def test_what_is_known_of_the_whole(history: rawtp.History, directory: Path, began: datetime) -> None:
    assert history.is_recording()
    assert (history.gaps(), history.losses(), history.verify()) == ([], [], [])
    [session] = history.sessions()
    assert session["host"] == os.uname().nodename
    [(begin, end)] = history.coverage()
    assert int(began.timestamp() * 1e9) - 10**9 < begin < end
    stats = history.stats()
    assert (stats["segments"] >= 1, stats["events"] >= 5, stats["quarantined"]) == (True, True, 0)
    assert history.directory == str(directory)
    assert repr(history) == f"rawtp.History({str(directory)!r})"


def test_a_directory_without_a_history(tmp_path: Path) -> None:
    for directory in (tmp_path, tmp_path / "none"):
        with pytest.raises(FileNotFoundError) as caught:
            rawtp.History(directory)
        told = f"[Errno 2] there is no history: rawtp record makes one: '{directory}'"
        assert (str(caught.value), caught.value.filename) == (told, str(directory))


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda it: it.who(""), ValueError, "the path is empty"),
        (lambda it: it.who("a\0b"), ValueError, "null byte"),
        (lambda it: it.who(1), TypeError, "str, bytes or os.PathLike"),
        (lambda it: it.who("/x", since="yesterday"), TypeError, "since must be a datetime, a timedelta or a Unix time"),
        (lambda it: it.who("/x", since=2**60, until=2**59), ValueError, "until is before since"),
        (lambda it: it.who("/x", limit=0), ValueError, "limit"),
        (lambda it: it.who("/x", limit="1"), TypeError, "limit"),
        (lambda it: it.scan(["nothing"]), ValueError, "unknown column"),
        (lambda it: it.scan("comm"), TypeError, "columns"),
        (lambda it: it.scan(outcome="good"), ValueError, "unknown outcome"),
        (lambda it: it.scan(pid="1"), TypeError, "pid"),
        (lambda it: it.scan(pid=1.5), TypeError, "pid"),
        (lambda it: it.scan(comm=7), TypeError, "comm"),
        (lambda it: it.scan(under=""), ValueError, "the path is empty"),
        (lambda it: it.scan(glob="x*"), ValueError, "glob must be an absolute path"),
        (lambda it: it.scan(glob="/x["), ValueError, "the glob means nothing"),
        (lambda it: it.gaps(since=1_700_000_000), ValueError, "January 1970"),
        (lambda it: it.losses(until=timedelta(-1)), ValueError, "in the future"),
    ],
)
def test_wrong_arguments(call: Any, error: type[Exception], text: str, history: rawtp.History) -> None:
    with pytest.raises(error, match=text):
        call(history)


def test_there_is_none(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        rawtp.History(tmp_path / "none")
    with pytest.raises(FileNotFoundError):
        rawtp.History(tmp_path)
    with pytest.raises(TypeError):
        rawtp.History(1)  # type: ignore[arg-type]


def test_several_threads_read_it(history: rawtp.History, place: Path) -> None:
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(len(history.who(place / "1.txt")))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [1] * 8
