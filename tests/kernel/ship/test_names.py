"""Names of containers and users: every receiver gets them, because later nobody can ask for them."""

from __future__ import annotations

import json
import os
import re
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import rawtp
from helpers import cgroups, receivers
from helpers.cgroups import POD, unlink_in
from helpers.receivers import ship_all
from helpers.recordings import HANG_S
from helpers.shipping import Memory, ship
from helpers.support import of_own_family
from rawtp import _core
from rawtp._containers.runtimes import Names
from rawtp._feed.position import PositionFile
from rawtp._record.naming import ContainerNames
from rawtp._ship.shipper import Shipper
from rawtp._ship.stop import Stop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [pytest.mark.kernel, pytest.mark.filterwarnings("ignore")]

WEB = Names("web", "web-1\x1b", "shop", "registry.example.org:5000/web:1.2")
INSIDE, OUTSIDE = "/nonexistent/rawtp-inside", "/nonexistent/rawtp-outside"


@pytest.fixture
def group() -> Iterator[Path]:
    with cgroups.of_container() as made:
        yield made


@pytest.fixture
def directory(tmp_path: Path, group: Path) -> Path:
    """What a container did, and what this host did."""
    made = tmp_path / "h"
    record(made, group)
    return made


def record(directory: Path, group: Path, find: Callable[..., Names | None] = lambda *_: WEB) -> None:
    with of_own_family(rawtp.LOSS) as tracer, _core.Recorder(tracer, directory, sync_s=0.05) as recorder:
        companion = ContainerNames(recorder, find)
        companion.start()
        unlink_in(group, INSIDE)
        with pytest.raises(FileNotFoundError):
            Path(OUTSIDE).unlink()
        recorder.sync(HANG_S)
        recorder.seal(HANG_S)
        recorder.close()
        assert companion.finish() == []


def shipped(kind: type[receivers.Receiver], tmp_path: Path, directory: Path) -> dict[str, dict[str, Any]]:
    server = kind(tmp_path)
    server.start()
    try:
        ship_all(directory, tmp_path / "state", server)
        return {record["path"]: record for record in server.received() if record["type"] == "event"}
    finally:
        server.kill()


def test_opentelemetry_has_the_conventions_names(tmp_path: Path, directory: Path, group: Path) -> None:
    found = shipped(receivers.Otlp, tmp_path, directory)
    expected = {
        "container.id": cgroups.container_id(group),
        "k8s.pod.uid": POD,
        "k8s.container.name": "web",
        "k8s.pod.name": "web-1\x1b",
        "k8s.namespace.name": "shop",
        "container.image.name": "registry.example.org:5000/web",
        "container.image.tags": ["1.2"],
        "rawtp.image": WEB.image,
        "process.real_user.name": "root",
    }
    assert {key: found[INSIDE].get(key) for key in expected} == expected
    assert not [key for key in found[OUTSIDE] if key.startswith(("k8s.", "container.", "rawtp.image"))]
    assert found[OUTSIDE]["process.real_user.name"] == "root"


@pytest.mark.parametrize("kind", [receivers.Nats, receivers.NatsArrow, receivers.Rsyslog])
def test_every_other_receiver_has_them_by_their_keys(
    kind: type[receivers.Receiver], tmp_path: Path, directory: Path
) -> None:
    if kind is receivers.Rsyslog and not receivers.Rsyslog.program():
        pytest.skip("no rsyslogd")
    found = shipped(kind, tmp_path, directory)
    assert {key: found[INSIDE].get(key) for key in Names._fields} == WEB._asdict()
    assert {key: found[OUTSIDE].get(key) for key in Names._fields} == Names()._asdict()
    assert (found[INSIDE]["user"], found[OUTSIDE]["user"]) == ("root", "root")


def test_the_journal_has_them_as_fields(tmp_path: Path, directory: Path) -> None:
    from rawtp.sinks.journald import fields

    sink = Memory()
    ship(directory, tmp_path / "s", sink)
    made = next(fields(one) for one in sink.got if one.get("path") == INSIDE).split(b"\n")
    assert {b"RAWTP_CONTAINER_NAME=web", b"RAWTP_POD=web-1\x1b", b"RAWTP_NAMESPACE=shop", b"RAWTP_USER=root"} <= {*made}


def test_a_bucket_has_them_beside_the_files(tmp_path: Path, directory: Path, group: Path) -> None:
    """Sealed files are shipped as they are. The names are objects of their own, put once; and the page joins them."""
    duckdb = pytest.importorskip("duckdb")
    server = receivers.S3(tmp_path)
    server.start()
    ship_all(directory, tmp_path / "state", server)
    objects = server.objects()
    [name] = [name for name in objects if "/containers/" in name]
    assert name.startswith(f"fleet/containers/host={os.uname().nodename}/date=")
    [line] = map(json.loads, objects[name].splitlines())
    ids = {"container_id": cgroups.container_id(group), "pod_id": POD}
    assert {key: line[key] for key in (*ids, *Names._fields)} == {**ids, **WEB._asdict()}
    # Again from the beginning, by a process that has lost its position: nothing new.
    ship_all(directory, tmp_path / "another", server)
    assert server.objects().keys() == objects.keys()
    server.kill()
    for key, content in objects.items():
        place = tmp_path / "bucket" / key.removeprefix("fleet/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    page = (Path(__file__).parents[3] / "docs" / "how-to" / "fleet.md").read_text()
    views = [block for block in re.findall(r"```sql\n(.*?)```", page, re.DOTALL) if block.startswith("CREATE")]
    for view in views:
        duckdb.sql(view.replace("s3://logs/rawtp", str(tmp_path / "bucket")))
    rows = duckdb.sql("SELECT path, namespace, pod, image FROM named").fetchall()
    of = {path: names for path, *names in rows}
    assert of[INSIDE] == ["shop", "web-1\x1b", WEB.image]
    assert of[OUTSIDE] == [None, None, None]


def test_an_event_waits_for_the_names_of_its_container(tmp_path: Path, group: Path) -> None:
    """It is shipped as soon as the names are written down; one without any is shipped all the same."""
    directory = tmp_path / "h"
    sink, stop = Memory(), Stop()
    file = PositionFile(str(tmp_path / "s"), sink.name)
    with of_own_family(rawtp.LOSS) as tracer, _core.Recorder(tracer, directory, sync_s=0.05) as recorder:
        shipper = Shipper(str(directory), sink, file, stop, print)
        unlink_in(group, INSIDE)
        recorder.sync(HANG_S)
        companion = ContainerNames(recorder, lambda *_: WEB)
        late = threading.Timer(1.0, companion.start)
        late.start()
        shipper.run(once=True)
        late.join()
        recorder.close()
        companion.finish()
    file.close()
    [event] = [one for one in sink.got if one.get("path") == INSIDE]
    assert {key: event[key] for key in Names._fields} == WEB._asdict()


def test_who_has_no_names_is_shipped_without(tmp_path: Path, group: Path) -> None:
    directory, sink = tmp_path / "h", Memory()
    record(directory, group, lambda *_: None)
    ship(directory, tmp_path / "s", sink)
    [event] = [one for one in sink.got if one.get("path") == INSIDE]
    assert {key: event[key] for key in Names._fields} == Names()._asdict()
    assert event["container_id"] == cgroups.container_id(group)
