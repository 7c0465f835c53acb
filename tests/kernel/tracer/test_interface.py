"""The methods of `Tracer`, their edges and their wrong arguments."""

from __future__ import annotations

import copy
import math
import os
import pickle
import select
import threading
import time
import weakref
from pathlib import Path

import pytest

import rawtp
from helpers.support import settle, until_sentinel

pytestmark = pytest.mark.kernel


def delete(count: int, name: str = "/nonexistent/rawtp-interface") -> None:
    for _ in range(count):
        Path(name).unlink(missing_ok=True)


def test_get_takes_one_and_times_out(own: rawtp.Tracer) -> None:
    delete(2)
    assert own.get()["filename"] == own.get(timeout=10)["filename"] == "/nonexistent/rawtp-interface"
    start = time.monotonic()
    with pytest.raises(TimeoutError, match=r"^no event within 0\.05 s$"):
        own.get(timeout=0.05)
    assert time.monotonic() - start >= 0.05
    with pytest.raises(TimeoutError):
        own.get(timeout=0)


def test_get_many_takes_what_is_there(own: rawtp.Tracer) -> None:
    assert own.get_many(timeout=0) == []
    delete(10)
    settle(own, 10)
    assert len(own.get_many(max_events=3)) == 3
    assert len(own.get_many(4)) == 4
    assert len(own.get_many()) == 3
    assert own.get_many(timeout=0.01) == []
    assert own.stats().delivered == 10


def test_next_and_the_iterator_are_the_tracer(own: rawtp.Tracer) -> None:
    delete(1)
    assert iter(own) is own
    assert next(own)["filename"] == "/nonexistent/rawtp-interface"


@pytest.mark.parametrize("timeout", [-1, -0.001, math.nan, -math.inf])
@pytest.mark.parametrize("method", ["get", "get_many"])
def test_a_wrong_timeout(own: rawtp.Tracer, method: str, timeout: float) -> None:
    with pytest.raises(ValueError, match=r"^timeout must be None or a number of seconds >= 0, not "):
        getattr(own, method)(timeout=timeout)


@pytest.mark.parametrize("method", ["get", "get_many", "aget", "aget_many", "batch"])
def test_a_timeout_that_is_no_number(own: rawtp.Tracer, method: str) -> None:
    with pytest.raises(TypeError, match=r"^timeout must be None or a number of seconds >= 0, not str$"):
        getattr(own, method)(timeout="1")


def test_a_timeout_beyond_all_clocks_is_for_ever(own: rawtp.Tracer) -> None:
    delete(2)
    assert own.get(timeout=math.inf)["pid"] == os.getpid()
    assert own.get(timeout=1e300)["pid"] == os.getpid()


@pytest.mark.parametrize("max_events", [0, -1])
def test_a_wrong_max_events(own: rawtp.Tracer, max_events: int) -> None:
    with pytest.raises(ValueError, match=f"^max_events must be at least 1, not {max_events}$"):
        own.get_many(max_events=max_events)


def test_the_descriptor_is_readable_exactly_when_there_is_something(own: rawtp.Tracer) -> None:
    def readable(timeout: float) -> bool:
        return bool(select.select([own], [], [], timeout)[0])

    assert not readable(0)
    delete(3)
    assert readable(10)
    settle(own, 3)
    own.get()
    assert readable(0)
    assert len(own.get_many()) == 2
    assert not readable(0.01)
    descriptor = own.fileno()
    own.close()
    assert select.select([descriptor], [], [], 0)[0] == [descriptor]


def test_a_closed_tracer(own: rawtp.Tracer) -> None:
    own.close()
    for use in (own.get, own.get_many, own.fileno, own.__enter__):
        with pytest.raises(ValueError, match=r"^the tracer is closed$"):
            use()
    assert own.closed is True
    assert repr(own) == f"<rawtp.Tracer closed pid={os.getpid()}>"
    with pytest.raises(StopIteration):
        next(own)


def test_stats_are_a_value(own: rawtp.Tracer) -> None:
    delete(5)
    assert len(until_sentinel(own)) == 5
    stats = own.stats()
    assert stats.as_dict() == {name: getattr(stats, name) for name in stats.as_dict()}
    assert list(stats.as_dict())[:8] == [
        "matched",
        "filtered",
        "lost_ring",
        "lost_state",
        "pending",
        "buffered",
        "delivered",
        "discarded",
    ]
    assert (stats.delivered, stats.lost_state) == (6, 0)
    assert stats.missed in {0, None}
    assert repr(stats).startswith(f"Stats(matched={stats.matched}, filtered={stats.filtered}, lost_ring=0, ")
    own.close()
    last = own.stats()
    assert last == own.stats()
    assert hash(last) == hash(own.stats())
    with pytest.raises(AttributeError):
        stats.delivered = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"ring_bytes": 3 << 20}, ValueError, "ring_bytes must be a power of two and a multiple of the page size"),
        ({"ring_bytes": 1024}, ValueError, "not 1024"),
        ({"ring_bytes": 0}, ValueError, "not 0"),
        ({"ring_bytes": -4096}, ValueError, "not -4096"),
        ({"ring_bytes": 1 << 80}, ValueError, f"ring_bytes is out of range: {1 << 80}"),
        ({"ring_bytes": 4096.0}, TypeError, "ring_bytes must be an int, not float"),
        ({"ring_bytes": "4M"}, TypeError, "ring_bytes must be an int, not str"),
        ({"ring_bytes": True}, TypeError, "ring_bytes must be an int, not bool"),
        ({"queue_bytes": 0}, ValueError, "queue_bytes must be a positive multiple of 65536"),
        ({"queue_bytes": 65537}, ValueError, "not 65537"),
        ({"pid": 0}, ValueError, "pid must be a process id from 1 to 4194304, not 0"),
        ({"pid": -1}, ValueError, "not -1"),
        ({"syscalls": "unlink"}, TypeError, "syscalls must be an iterable of names, not a str: "),
        ({"syscalls": "unlink"}, TypeError, "rawtp.DELETE"),
        ({"syscalls": ["deletes"]}, ValueError, 'no system call of this machine is named "deletes"'),
        (
            {"path": "/srv/[abc"},
            ValueError,
            'path "/srv/[abc" is a glob, for the *, ? or [ in it, that means nothing: ',
        ),
        ({"path": "/srv/[abc"}, ValueError, "no ] closes the [ at byte 5. If it is a name, pass rawtp.escape(name)"),
        ({"path": "/*" + "a" * 4096}, ValueError, "it is too large: more than 4096 bytes and special characters"),
        ({"syscalls": []}, ValueError, "syscalls is empty"),
        (
            {"syscalls": ["unlink", "unlnk"]},
            ValueError,
            'no system call of this machine is named "unlnk": did you mean "unlink"?',
        ),
        ({"syscalls": [87]}, TypeError, "a name in syscalls must be a str, not int"),
        ({"fields": 3}, TypeError, "fields must be an iterable of names, not int"),
        ({"results": None}, TypeError, "results must be True or False, not NoneType"),
        ({"sudo": "yes"}, TypeError, "sudo must be True or False, not str"),
        ({"broker": 3}, TypeError, "broker must be None or the path of a socket, not int"),
    ],
)
def test_wrong_arguments(arguments: dict[str, object], error: type[Exception], message: str) -> None:
    with pytest.raises(error) as raised:
        rawtp.Tracer(**arguments)  # type: ignore[arg-type]
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("asked", "actions"),
    [
        ("delete", ["delete"]),
        (["delete"], ["delete"]),
        (("rmdir", "delete", "unlink"), ["delete"]),
        (iter(["delete"]), ["delete"]),
        ("rename", ["rename"]),
        (["rename", "delete"], ["rename", "delete"]),
        ("truncate", ["truncate", "truncate"]),
        ([*rawtp.RENAME, "truncate"], ["rename", "truncate", "truncate"]),
    ],
)
def test_words_for_calls(tmp_path: Path, asked: str | list[str], actions: list[str]) -> None:
    """As on the command line: each stands for all of its calls."""
    name, other = tmp_path / "a", tmp_path / "b"
    name.touch()
    with rawtp.Tracer(asked, pid=os.getpid()) as tracer:
        name.rename(other)
        os.truncate(other, 0)
        os.close(os.open(other, os.O_WRONLY | os.O_TRUNC))
        other.unlink()
        tracer.close()
        assert [event["action"] for event in tracer] == actions


@pytest.mark.parametrize(
    ("filters", "shown"),
    [
        ({}, ""),
        ({"pid": 1, "follow": True}, " pid=1 follow=True"),
        ({"pid": [1, 2], "uid": 0, "comm": ["rm*", "mv"]}, ' pid=1,2 uid=0 comm="rm*","mv"'),
        ({"pid": 1, "path": ["/srv/*.log", "/\x1b"]}, ' pid=1 path="/srv/*.log","/\\u{1b}"'),
        ({"pid": 1, "exclude_self": True, "outcome": "failed"}, ' pid=1 exclude_self=True outcome="failed"'),
    ],
)
def test_the_filters_are_shown(filters: dict[str, object], shown: str) -> None:
    tracer = rawtp.Tracer(**filters)  # type: ignore[arg-type]
    assert repr(tracer) == f"<rawtp.Tracer open{shown}>"
    tracer.close()
    assert repr(tracer) == f"<rawtp.Tracer closed{shown}>"


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_stats_and_results_are_pickled_and_copied(protocol: int) -> None:
    result = rawtp.run(["sh", "-c", "rm -f /nonexistent/rawtp-pickle; exit 3"])
    assert [event["filename"] for event in result.events] == ["/nonexistent/rawtp-pickle"]
    for thing in (result.stats, result):
        read = pickle.loads(pickle.dumps(thing, protocol))  # noqa: S301 - our own
        copies = [read, copy.copy(thing), copy.deepcopy(thing)]
        assert copies == [thing] * 3
        assert [repr(made) for made in copies] == [repr(thing)] * 3
    assert (read.returncode, read.stats.delivered, hash(read.stats)) == (3, 1, hash(result.stats))


def test_stats_of_another_version_are_refused() -> None:
    counters: dict[str, int | None] = dict.fromkeys(rawtp.run(["true"]).stats.as_dict(), 0)
    restored = rawtp._core._stats({**counters, "missed": None})
    assert (restored.matched, restored.missed) == (0, None)
    counters.pop("matched")
    for other in (counters, {**counters, "matched": None}, {**counters, "matched": 1, "more": 2}):
        with pytest.raises(ValueError, match="these counters are of another version of rawtp"):
            rawtp._core._stats(other)


def test_a_tracer_is_neither_pickled_nor_copied(own: rawtp.Tracer) -> None:
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError, match="cannot pickle"):
            pickle.dumps(own, protocol)
    with pytest.raises(TypeError, match="cannot pickle"):
        copy.copy(own)


def test_weak_references_and_no_surprising_attributes(own: rawtp.Tracer) -> None:
    assert weakref.ref(own)() is own
    with pytest.raises(AttributeError):
        own.anything = 1  # type: ignore[attr-defined]


def test_a_finalizer_that_reads_while_it_is_read_gets_an_error_not_a_deadlock(own: rawtp.Tracer) -> None:
    """The garbage collector may run while a dict is made; from Python 3.12 on it waits until that is over."""
    import gc

    seen: list[str] = []
    taken: list[int] = []

    class Nosy:
        def __init__(self) -> None:
            self.me = self

        def __del__(self) -> None:
            try:
                taken.append(len(own.get_many(timeout=0)))
            except RuntimeError as error:
                seen.append(str(error))

    delete(20_000)
    threshold = gc.get_threshold()
    gc.set_threshold(1)
    try:
        while sum(taken) < 20_000:
            Nosy()
            taken.append(len(own.get_many(timeout=0.1)))
    finally:
        gc.set_threshold(*threshold)
    assert set(seen) <= {"this thread is already reading from this tracer"}


def test_threads_that_construct_and_close_at_once() -> None:
    failures: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(10):
                with rawtp.Tracer(ring_bytes=1 << 16) as tracer:
                    tracer.get_many(timeout=0)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
