"""What ``rawtp ship`` delivers, where it goes on, and what it says."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from helpers import receivers
from helpers.receivers import CLI, Server, position, ship_all, shipping
from helpers.recordings import HANG_S, delete, events, recording, sealed
from helpers.support import wait_for
from rawtp._feed.position import PositionFile
from rawtp._ship.shipper import Shipper
from rawtp._ship.stop import Stop
from rawtp.sinks.base import NotTakenError, Receiver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rawtp.sinks.base import Delivery

pytestmark = [pytest.mark.kernel, pytest.mark.filterwarnings("ignore")]


class Memory(Receiver):
    """Keeps what it gets."""

    name, target = "memory", "memory:"

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []

    def send(self, delivery: Delivery) -> int:
        self.got += delivery.records
        return 0

    @property
    def keys(self) -> list[str]:
        return [record["key"] for record in self.got if record["type"] == "event"]


def ship(directory: Path, state: Path, receiver: Receiver, say: Callable[[str], None] = print) -> None:
    """Ships until all is acknowledged, in this process."""
    file = PositionFile(str(state), receiver.name)
    try:
        Shipper(str(directory), receiver, file, Stop(), say).run(once=True)
    finally:
        file.close()


@pytest.fixture
def otlp(tmp_path: Path) -> Iterator[receivers.Otlp]:
    server = receivers.Otlp(tmp_path)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def s3(tmp_path: Path) -> Iterator[receivers.S3]:
    server = receivers.S3(tmp_path)
    server.start()
    yield server
    server.kill()


def test_the_position_outlives_that_a_log_is_sealed(tmp_path: Path) -> None:
    """Each event comes once: from a log, from what it was sealed into, and from one that was half shipped by then."""
    directory, work, memory = tmp_path / "h", tmp_path / "work", Memory()
    work.mkdir()
    with recording(directory) as recorder:
        delete(work, *range(300))
        recorder.sync(HANG_S)
        ship(directory, tmp_path / "s", memory)
        assert len(memory.keys) >= 300
        # Half of a log is shipped, and it is sealed then.
        delete(work, *range(50))
        recorder.seal(HANG_S)
        ship(directory, tmp_path / "s", memory)
        # A log that is shipped whole, and sealed.
        delete(work, *range(50))
        recorder.sync(HANG_S)
        ship(directory, tmp_path / "s", memory)
        recorder.seal(HANG_S)
        # One that was never seen as a log.
        delete(work, *range(50))
        recorder.seal(HANG_S)
        ship(directory, tmp_path / "s", memory)
    ship(directory, tmp_path / "s", memory)
    assert len(memory.keys) == len(set(memory.keys)) == len(events(directory))
    assert [record["type"] for record in memory.got if record["type"] != "event"] == ["session", "through"]


def test_a_failure_goes_on_where_it_was(tmp_path: Path) -> None:
    """What failed comes again, and nothing else does."""
    directory, work = tmp_path / "h", tmp_path / "work"
    work.mkdir()

    class Failing(Memory):
        max_records = 40
        calls = 0

        def send(self, delivery: Delivery) -> int:
            self.calls += 1
            if self.calls % 3 == 0:
                raise NotTakenError("not now", 0.0)
            return super().send(delivery)

    receiver = Failing()
    said: list[str] = []
    with recording(directory) as recorder:
        delete(work, *range(300))
        recorder.sync(HANG_S)
    ship(directory, tmp_path / "s", receiver, said.append)
    assert len(receiver.keys) == len(set(receiver.keys)) == len(events(directory))
    assert "memory: takes nothing: not now; it is tried again" in said
    counts = position(tmp_path / "s", "memory")["counts"]
    assert counts["records"] == len(receiver.got)
    assert counts["failures"] == receiver.calls // 3


def test_what_retention_took_is_told(tmp_path: Path) -> None:
    """A receiver that was dead for too long learns how many events it did not get."""
    directory, work, memory = tmp_path / "h", tmp_path / "work", Memory()
    work.mkdir()
    with recording(directory, max_bytes=40_000) as recorder:
        for _ in range(6):
            delete(work, *range(200))
            recorder.seal(HANG_S)
        wait_for(lambda: recorder.status()["expired"] > 0, "a file is removed")
        acknowledged = recorder.status()["acknowledged"]
    ship(directory, tmp_path / "s", memory)
    told = [record for record in memory.got if record["type"] == "unshipped"]
    assert told
    assert {record["reason"] for record in told} == {"expired"}
    missing = sum(record["count"] for record in told)
    assert len(memory.keys) + missing == acknowledged
    assert position(tmp_path / "s", "memory")["counts"]["unshipped"] == missing
    assert all(record["from_ns"] <= record["to_ns"] and record["key"] for record in told)
    # Told once.
    ship(directory, tmp_path / "s", memory)
    assert [record for record in memory.got if record["type"] == "unshipped"] == told


def test_a_torn_position_leaves_the_one_before(tmp_path: Path) -> None:
    file = PositionFile(str(tmp_path), "x")
    assert file.read() is None
    for number in range(5):
        file.write({"position": {"number": number, "blank": " " * (50 - 10 * number)}})
    with pytest.raises(BlockingIOError):
        PositionFile(str(tmp_path), "x")
    file.close()
    slots = [tmp_path / name for name in ("x.json", "x.1.json")]
    newest = max(slots, key=lambda path: int(json.loads(path.read_text())["beat"]))
    content = newest.read_bytes()
    newest.write_bytes(content[:30] + b"\0" * 20 + content[50:])
    file = PositionFile(str(tmp_path), "x")
    assert (file.read() or {})["position"]["number"] == 3
    # The damaged one is the next to be written.
    file.write({"position": {"number": 5}})
    assert (file.read() or {})["position"]["number"] == 5
    file.close()
    for path in tmp_path.glob("*.json"):
        path.write_bytes(b"{}\n")
    file = PositionFile(str(tmp_path), "x")
    with pytest.raises(ValueError, match=r"x\.json is damaged"):
        file.read()
    file.close()


def test_a_position_is_of_one_target(tmp_path: Path) -> None:
    directory, memory = tmp_path / "h", Memory()
    with recording(directory):
        pass
    ship(directory, tmp_path / "s", memory)
    memory.target = "memory:2"
    with pytest.raises(ValueError, match="is the position of memory:: choose another --name for memory:2"):
        ship(directory, tmp_path / "s", memory)


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


class Answers(Server):
    """An HTTP server that answers as it is told, and notes the times and the sizes."""

    def __init__(self, place: Path, answer: Callable[[int], tuple[int, dict[str, str]]], context: Any = None) -> None:
        super().__init__(place)
        self.bodies: list[bytes] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.bodies.append(body)
                outer.headers = dict(self.headers)
                status, headers = answer(len(outer.bodies))
                self.send_response(status)
                for name, value in {**headers, "Content-Length": "0"}.items():
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        if context is not None:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.headers: dict[str, str] = {}
        self.scheme = "http" if context is None else "https"

    @property
    def options(self) -> list[str]:
        return ["--otlp", f"{self.scheme}://localhost:{self.port}/here"]

    def start(self) -> None:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        self._server.shutdown()
        self._server.server_close()


def small(directory: Path, work: Path) -> None:
    work.mkdir()
    with recording(directory) as recorder:
        delete(work, *range(20))
        recorder.sync(HANG_S)


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


def test_tls_is_verified(tmp_path: Path) -> None:
    import ssl

    import trustme

    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    directory, server = tmp_path / "h", Answers(tmp_path, lambda _: (200, {}), context)
    small(directory, tmp_path / "work")
    server.start()
    with shipping(directory, tmp_path / "s", server) as process:
        wait_for(
            lambda: "the certificate is not trusted: unable to get local issuer" in process.messages.read_text(),
            "the certificate is refused",
        )
        assert process.end() == 0
    assert server.bodies == []
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    ship_all(directory, tmp_path / "s", server, "--ca", str(tmp_path / "ca.pem"))
    server.kill()
    assert server.bodies


def test_s3(tmp_path: Path, s3: receivers.S3) -> None:
    """Files as they are; a second time nothing is put; another content under the same name is no reason to stop."""
    directory, work = tmp_path / "h", tmp_path / "work"
    work.mkdir()
    with recording(directory) as recorder:
        delete(work, *range(100))
        recorder.seal(HANG_S)
        ship_all(directory, tmp_path / "s", s3)
        assert len(s3.objects()) == 2
        delete(work, *range(10))
        recorder.seal(HANG_S)
        # Somebody has put something else in its place.
        *_, second = sealed(directory)
        name = f"fleet/{second.relative_to(directory)}"
        s3.client().put_object(Bucket="bucket", Key=name, Body=b"else")
        ship_all(directory, tmp_path / "s", s3)
    ship_all(directory, tmp_path / "s", s3)
    found = s3.objects()
    first, second = sealed(directory)
    assert found[f"fleet/{first.relative_to(directory)}"] == first.read_bytes()
    assert found[name] == b"else"
    other = next(key for key in found if key.startswith(name.removesuffix(".parquet") + "-"))
    assert found[other] == second.read_bytes()
    head = s3.client().head_object(Bucket="bucket", Key=other)
    assert head["Metadata"]["rawtp-sha256"] == hashlib.sha256(second.read_bytes()).hexdigest()
    lines = [json.loads(line) for key, text in found.items() if "/journal/" in key for line in text.splitlines()]
    assert [line["type"] for line in sorted(lines, key=lambda line: line["line"])] == ["session", "through"]
    # Without its position it finds that everything is there.
    shutil.rmtree(tmp_path / "s")
    ship_all(directory, tmp_path / "s", s3)
    assert s3.objects() == found


def test_journald(tmp_path: Path) -> None:
    """The native protocol: any bytes in a value, and what is too large for a datagram as a memory file."""
    from rawtp.sinks.journald import Journald, fields

    directory, work = tmp_path / "h", tmp_path / "work"
    work.mkdir()
    raw = os.fsencode(work) + b"/\xff\nRAWTP_PATH=forged"
    with recording(directory) as recorder:
        os.close(os.open(raw, os.O_CREAT))
        os.unlink(raw)  # noqa: PTH108
        recorder.sync(HANG_S)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        journal.bind(str(tmp_path / "socket"))
        sink = Journald(str(tmp_path / "socket"))
        ship(directory, tmp_path / "s", sink)
        found = [parsed(journal.recv(1 << 20)) for _ in range(3)]
        event = next(one for one in found if one["RAWTP_TYPE"] == b"event")
        assert event["RAWTP_PATH"] == raw
        assert event["RAWTP_PID"] == b"%d" % os.getpid()
        assert event["SYSLOG_IDENTIFIER"] == b"rawtp"
        sink.open()
        record = {"type": "gap", "key": "k", "reason": "x" * (4 << 20)}
        sink._send_file(fields(record))
        _, descriptors, *_ = socket.recv_fds(journal, 1, 1)
        with open(descriptors[0], "rb") as file:  # noqa: PTH123
            file.seek(0)
            assert parsed(file.read())["RAWTP_REASON"] == b"x" * (4 << 20)
        sink.close()


def parsed(content: bytes) -> dict[str, bytes]:
    """The fields of a datagram of the journal's protocol."""
    found = {}
    while content:
        line, _, rest = content.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            (size,) = struct.unpack("<Q", rest[:8])
            value, rest = rest[8 : 8 + size], rest[9 + size :]
        assert name.decode() not in found
        found[name.decode()] = value
        content = rest
    return found


def test_syslog_by_a_local_socket(tmp_path: Path) -> None:
    from rawtp.sinks.syslog import Syslog

    directory = tmp_path / "h"
    small(directory, tmp_path / "work")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        log.bind(str(tmp_path / "log"))
        log.settimeout(HANG_S)
        lines: list[bytes] = []
        # The kernel keeps ten datagrams for a socket that nobody reads.
        reader = threading.Thread(target=lambda: lines.extend(log.recv(65536) for _ in range(22)))
        reader.start()
        ship(directory, tmp_path / "s", Syslog(f"unix://{tmp_path}/log", settle_s=0.1))
        reader.join(HANG_S)
    documents = [json.loads(line.partition(b"@cee:")[2]) for line in lines]
    assert [one["type"] for one in documents].count("event") == 20
    assert all(line.startswith(b"<29>") for line in lines)


@pytest.mark.quiet_host
def test_a_dead_receiver_does_not_hold_the_recorder(tmp_path: Path) -> None:
    """``rawtp record`` has a process of its own ship, which comes back when it is killed, and ends with it."""
    from helpers.recorders import recording as running

    directory, work, server = tmp_path / "h", tmp_path / "work", receivers.Otlp(tmp_path)
    work.mkdir()
    with running(directory, "--otlp", server.options[1], "--pid", os.getpid()) as recorder:
        wait_for(lambda: "takes nothing: Connection refused" in recorder.messages, "the receiver is dead")
        paths = delete(work, *range(50))
        wait_for(lambda: len(events(directory)) >= 50, "it records")
        children = Path(f"/proc/{recorder.process.pid}/task/{recorder.process.pid}/children").read_text().split()
        [child] = map(int, children)
        os.kill(child, signal.SIGKILL)
        wait_for(lambda: "was ended by signal 9; it is started again" in recorder.messages, "it is started again")
        server.start()
        wait_for(lambda: {line["path"] for line in server.received()} >= {*paths}, "the events arrive")
        server.kill()
        assert recorder.end() == 0
    assert position(directory / "sinks", "otlp")["counts"]["records"] >= 50


def test_secrets_are_not_on_the_command_line(tmp_path: Path) -> None:
    def refused(*words: str) -> str:
        done = subprocess.run([*CLI, "ship", *words], capture_output=True, text=True, check=False, timeout=HANG_S)
        assert done.returncode == 2, done.stderr
        return done.stderr

    assert "can be seen by everybody" in refused("--otlp", "https://user:secret@localhost")
    assert "secret" not in refused("--nats", "nats://user:secret@localhost")
    assert "must begin with s3://" in refused("--s3", "https://bucket")
    assert "one receiver, please" in refused("--s3", "s3://a", "--otlp", "http://localhost")
    file = tmp_path / "secrets"
    file.write_text("AWS_ALLOW_HTTP=true\nnonsense secret\n")
    file.chmod(0o604)
    assert "everybody may read" in refused("--s3", "s3://bucket", "--credentials", str(file))
    file.chmod(0o600)
    text = refused("--s3", "s3://bucket", "--credentials", str(file))
    assert "line 2 is not NAME=value" in text
    assert "secret\n" not in text.splitlines()[-1].removesuffix(str(file))


def test_status(tmp_path: Path, otlp: receivers.Otlp) -> None:
    directory = tmp_path / "h"
    small(directory, tmp_path / "work")
    ship_all(directory, tmp_path / "s", otlp)

    def asked() -> tuple[int, dict[str, Any]]:
        command = [*CLI, "ship", "--status", "--json", "--state", str(tmp_path / "s")]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=HANG_S)
        return done.returncode, json.loads(done.stdout)

    code, found = asked()
    assert code == 0
    assert found["otlp"]["counts"]["records"] == len(events(directory)) + 2
    assert found["otlp"]["failing"] is None
    otlp.kill()
    with recording(directory):
        pass
    with shipping(directory, tmp_path / "s", otlp) as process:
        wait_for(lambda: "takes nothing" in process.messages.read_text(), "it fails")
        assert process.end() == 0
    code, found = asked()
    assert (code, found["otlp"]["failing"]) == (1, "Connection refused")
