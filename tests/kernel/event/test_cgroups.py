"""The container of a process whose cgroup is gone when its event is read: the kernel told of it before."""

from __future__ import annotations

import json
import os
import subprocess
import time
import uuid
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import rawtp
from helpers.brokers import broker
from helpers.support import HANG_S, SLOWER, assert_ledger, of_own_family, until_sentinel, wait_for
from helpers.unprivileged import as_user, start

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.kernel

WITHOUT = "fields names none of container_id, pod_id, unit"


def hierarchies() -> dict[str, Path]:
    """Where a process's container shows: the mount of version 2, and of the controller of version 1 that is asked."""
    lines = [line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    mounts = [(fields[4], fields[fields.index("-") + 1], fields[-1].split(",")) for fields in lines if fields[3] == "/"]
    v2 = [Path(point) for point, kind, _ in mounts if kind == "cgroup2"]
    v1 = [
        Path(point)
        for controller in ("memory", "pids", "devices", "cpu")
        for point, kind, options in mounts
        if kind == "cgroup" and controller in options
    ]
    return {version: points[0] for version, points in (("v1", v1), ("v2", v2)) if points}


@pytest.fixture(params=["v2", "v1"])
def top(request: pytest.FixtureRequest) -> Path:
    """The root of a hierarchy, where cgroups can be made."""
    mounted = hierarchies().get(request.param)
    if mounted is None:
        pytest.skip(f"no hierarchy of version {request.param[1]} is mounted here")
    group = mounted / f"rawtp-{uuid.uuid4().hex}"
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"no cgroup can be made here: {error}")
    group.rmdir()
    return mounted


def container_of(top: Path) -> tuple[Path, str]:
    """A cgroup as docker names it, not made yet, and the container's id."""
    name = uuid.uuid4().hex * 2
    # Of version 1 not below another one: that might be there, or not.
    return top / f"docker-{name}.scope", name


@contextmanager
def made(group: Path) -> Iterator[None]:
    group.mkdir(parents=True)
    try:
        yield
    finally:
        remove(group)


def remove(group: Path) -> None:
    """A process that has ended can be in its cgroup for a moment yet."""

    def is_gone() -> bool:
        with suppress(OSError):
            group.rmdir()
        return not group.exists()

    wait_for(is_gone, f"{group} is removed")


def run_in(group: Path, name: str) -> None:
    """Starts a process in the cgroup that deletes a name."""
    script = 'echo $$ > "$0/cgroup.procs" && exec unlink "$1"'
    subprocess.run(["sh", "-c", script, group, name], stderr=subprocess.DEVNULL, timeout=60, check=False)


def only(tracer: rawtp.Tracer, name: str) -> rawtp.Event:
    [event] = [event for event in until_sentinel(tracer) if event["filename"] == name]
    return event


def test_made_after_the_tracer_and_gone_before_the_read(top: Path) -> None:
    """``docker run --rm``."""
    group, container = container_of(top)
    name = f"/nonexistent/{container}"
    with of_own_family() as tracer:
        assert tracer.coverage["cgroup_changes"] == {"hook": "raw_tp/cgroup_mkdir", "reason": None}
        with made(group):
            run_in(group, name)
        event = only(tracer, name)
        assert tracer.stats().lost_cgroups == 0
    assert (event["container_id"], event["unit"], event["pod_id"]) == (container, group.name, None)


def test_there_before_the_tracer_and_gone_before_the_read(top: Path) -> None:
    group, container = container_of(top)
    name = f"/nonexistent/{container}"
    with made(group), of_own_family() as tracer:
        run_in(group, name)
        remove(group)
        group.mkdir()
        # What the last process left behind it is on its way through the ring.
        time.sleep(0.1 * SLOWER)
        event = only(tracer, name)
    assert (event["container_id"], event["unit"]) == (container, group.name)


def test_in_a_cgroup_below_the_containers(top: Path) -> None:
    """As crun makes them, and a systemd in a container."""
    group, container = container_of(top)
    name = f"/nonexistent/{container}"
    with of_own_family() as tracer:
        with made(group), made(group / "init.scope"):
            run_in(group / "init.scope", name)
        event = only(tracer, name)
    assert (event["container_id"], event["unit"]) == (container, "init.scope")


def test_as_columns_and_after_the_close(top: Path) -> None:
    group, container = container_of(top)
    name = f"/nonexistent/{container}"
    with of_own_family() as tracer:
        with made(group):
            run_in(group, name)
        wait_for(lambda: tracer.stats().buffered > 0, "an event")
        rows = tracer.batch(timeout=60).to_dicts()
        with made(group):
            run_in(group, name)
    rows += [{**event} for event in tracer]
    found = [(row["container_id"], row["unit"]) for row in rows if row["filename"] == name]
    assert found == [(container, group.name)] * 2


def test_many_at_once(top: Path) -> None:
    """Each event has its own."""
    groups = [container_of(top) for _ in range(100)]
    with of_own_family() as tracer:
        for group, container in groups:
            with made(group):
                run_in(group, f"/nonexistent/{container}")
        events = until_sentinel(tracer)
        stats = tracer.stats()
    found = {event["filename"]: event["container_id"] for event in events}
    assert [found[f"/nonexistent/{container}"] for _, container in groups] == [container for _, container in groups]
    assert stats.lost_cgroups == 0


def test_a_path_too_long_for_the_kernel_to_tell(top: Path) -> None:
    """It is looked up, as long as it is there; when it is gone, nothing is made up."""
    group, container = container_of(top)
    deep = group.joinpath(*(["d" * 200] * 5))
    name = f"/nonexistent/{container}"
    levels = [group, *(group.joinpath(*(["d" * 200] * count)) for count in range(1, 6))]
    with of_own_family() as tracer:
        for level in levels:
            level.mkdir()
        try:
            run_in(deep, name)
            there = only(tracer, name)
        finally:
            for level in reversed(levels):
                remove(level)
    assert (there["container_id"], there["unit"]) == (container, group.name)


def test_who_does_not_ask_pays_nothing() -> None:
    fields = ("pid", "comm", "filename", "cgroup_id")

    def links() -> int:
        return sum("link_type" in path.read_text() for path in Path("/proc/self/fdinfo").iterdir() if path.exists())

    before = links()
    with rawtp.Tracer(fields=fields) as tracer:
        assert tracer.coverage["cgroup_changes"] == {"hook": None, "reason": WITHOUT}
        without = links() - before
        for key in ("container_id", "pod_id", "unit"):
            with rawtp.Tracer(fields=(*fields, key)) as asking:
                assert asking.coverage["cgroup_changes"]["hook"] == "raw_tp/cgroup_mkdir"
                assert links() - before - without == without + 2


def test_no_reader_wakes_for_them(top: Path) -> None:
    """They are no events, and make the tracer's descriptor readable no more than the ledger wrong."""
    group, _ = container_of(top)
    # That is a thread of the kernel's: it deletes nothing.
    with rawtp.Tracer(pid=2) as tracer:
        with made(group):
            pass
        time.sleep(0.2 * SLOWER)
        assert tracer.get_many(timeout=0.2) == []
        stats = tracer.stats()
    assert_ledger(stats)
    assert (stats.matched - stats.filtered, stats.buffered, stats.unpaired) == (0, 0, 0)


def test_what_finds_no_room_is_counted(top: Path) -> None:
    """The ring is full, and so the kernel cannot tell."""
    group, _ = container_of(top)
    with rawtp.Tracer(ring_bytes=65536, queue_bytes=65536, pid=os.getpid()) as tracer:
        while tracer.stats().lost_ring == 0:
            for _ in range(1000):
                with suppress(FileNotFoundError):
                    os.unlink("/nonexistent/rawtp-fill")  # noqa: PTH108 - faster

        def is_lost() -> bool:
            # The first of them may fit: it is shorter than an event.
            with made(group):
                return tracer.stats().lost_cgroups >= 3

        wait_for(is_lost, "losses")
    stats = tracer.stats()
    assert_ledger(stats)
    assert stats.lost_cgroups >= 3


CLIENT = """
with rawtp.Tracer(broker=sys.argv[1], comm="unlink", ring_bytes=1 << 16) as tracer:
    tell(tracer.coverage["cgroup_changes"])
    name = sys.stdin.readline().strip()
tell([[event["container_id"], event["unit"]] for event in tracer if event["filename"] == name])
"""


@pytest.mark.parametrize("allow", ["own", "all"])
def test_a_broker_tells_of_cgroups_to_who_may_see_everybodys_calls(
    package: Path, place: Path, top: Path, allow: str
) -> None:
    """The client has no privilege, and the cgroup is gone: only the ring tells it."""
    group, container = container_of(top)
    name = f"/nonexistent/{container}"
    with (
        broker(package, place, "--allow", allow) as running,
        start(package, CLIENT, *as_user(), arguments=[running.path]) as client,
    ):
        assert client.stdout is not None
        coverage = json.loads(client.stdout.readline())
        with made(group):
            run_in(group, name)
        out, error = client.communicate(f"{name}\n", timeout=HANG_S)
        assert (client.returncode, error) == (0, "")
    if allow == "all":
        assert coverage == {"hook": "raw_tp/cgroup_mkdir", "reason": None}
        assert json.loads(out) == [[container, group.name]]
    else:
        assert coverage == {"hook": None, "reason": "the broker does not tell which cgroups others have"}
        assert json.loads(out) == []
