"""OpenTelemetry's collector: what it gets, and what it refuses."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from helpers import receivers
from helpers.receivers import position, ship_all
from helpers.recordings import HANG_S, delete, events, recording
from helpers.shipping import Answers, small

if TYPE_CHECKING:
    pass


pytestmark = [pytest.mark.kernel, pytest.mark.filterwarnings("ignore")]


def test_otlp(tmp_path: Path, otlp: receivers.Otlp) -> None:
    """Names of the semantic conventions; a name that is not UTF-8; the key."""
    directory, work = tmp_path / "h", tmp_path / "work"
    work.mkdir()
    raw = os.fsencode(work) + b"/\xff\x1b[31m"
    with recording(directory) as recorder:
        delete(work, "plain")
        os.close(os.open(raw, os.O_CREAT))
        os.unlink(raw)  # noqa: PTH108
        with suppress(FileNotFoundError):
            os.unlink(work / "missing")  # noqa: PTH108
        recorder.sync(HANG_S)
    ship_all(directory, tmp_path / "s", otlp)
    lines = {line["attributes"].get("rawtp.path"): line for line in otlp.lines()}
    [event] = events(directory, path=os.fsencode(work / "plain"))
    plain = lines[str(work / "plain")]
    attributes, resource = plain["attributes"], plain["resource"]
    assert plain["time"] == event["ts_ns"]
    assert (plain["name"], plain["severity"], plain["scope"]) == ("rawtp.delete", "INFO", "rawtp")
    assert attributes["file.path"] == str(work / "plain")
    assert (attributes["file.directory"], attributes["file.name"]) == (str(work), "plain")
    assert attributes["process.pid"] == os.getpid()
    assert attributes["process.real_user.id"] == os.getuid()
    assert attributes["process.command_args"] == list(event["argv"])
    assert attributes["process.executable.path"] == event["exe"]
    assert attributes["thread.name"] == event["comm"]
    assert resource["service.name"] == "rawtp"
    assert resource["host.name"] == os.uname().nodename
    assert resource["rawtp.session"] == event["session"]
    parts = [resource["host.id"], resource["rawtp.boot_id"], event["session"], event["via"], event["cpu"], event["seq"]]
    assert attributes["log.record.uid"] == ":".join(map(str, parts))
    hostile = next(line for path, line in lines.items() if path and path.endswith("\\xff\x1b[31m"))["attributes"]
    assert hostile["rawtp.path_bytes"] == {"bytes": raw.hex()}
    assert lines[str(work / "missing")]["attributes"]["error.type"] == "ENOENT"
    assert {"rawtp.session", "rawtp.through"} <= {line["name"] for line in otlp.lines()}


def test_retry_after_is_kept(tmp_path: Path) -> None:
    import time

    times: list[float] = []

    def answer(count: int) -> tuple[int, dict[str, str]]:
        times.append(time.monotonic())
        return (503, {"Retry-After": "2"}) if count == 1 else (200, {})

    directory, server = tmp_path / "h", Answers(tmp_path, answer)
    small(directory, tmp_path / "work")
    server.environment = {"OTEL_EXPORTER_OTLP_HEADERS": "Authorization=Bearer%20x"}
    server.start()
    text = ship_all(directory, tmp_path / "s", server)
    server.kill()
    assert times[1] - times[0] >= 2.0
    assert "takes nothing: HTTP 503; it is tried again" in text
    assert "takes events again" in text
    assert server.headers["Authorization"] == "Bearer x"
    assert "Bearer" not in text


def test_what_a_collector_refuses_is_counted_and_the_rest_goes_on(tmp_path: Path) -> None:
    """HTTP 413 and 400 cut a request into halves, down to one record."""
    import gzip

    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

    taken: list[str] = []

    def answer(_: int) -> tuple[int, dict[str, str]]:
        request = ExportLogsServiceRequest.FromString(gzip.decompress(server.bodies[-1]))
        bodies = [one.body.string_value for one in request.resource_logs[0].scope_logs[0].log_records]
        if len(bodies) > 8:
            return 413, {}
        if any(body.endswith("/7") for body in bodies):
            return 400, {}
        taken.extend(bodies)
        return 200, {}

    directory = tmp_path / "h"
    small(directory, tmp_path / "work")
    server = Answers(tmp_path, answer)
    server.start()
    text = ship_all(directory, tmp_path / "s", server)
    server.kill()
    assert "has refused 1 records for good" in text
    assert position(tmp_path / "s", "otlp")["counts"]["refused"] == 1
    assert len(taken) == len(set(taken)) == len(events(directory)) - 1 + 2


def test_a_server_that_refuses_everything_gets_everything_later(tmp_path: Path) -> None:
    answers = iter([400] * 3)
    directory, server = tmp_path / "h", Answers(tmp_path, lambda _: (next(answers, 200), {}))
    small(directory, tmp_path / "work")
    server.start()
    text = ship_all(directory, tmp_path / "s", server)
    server.kill()
    assert "refuses everything: HTTP 400" in text
    assert position(tmp_path / "s", "otlp")["counts"]["refused"] == 0
