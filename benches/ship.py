"""Shipping: how fast each receiver is fed, what an event costs, and what a dead receiver costs the recorder."""

from __future__ import annotations

import importlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rawtp
from benches.measure import Row, ratios
from benches.record import is_installed, lose, recording

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benches.build import Programs
    from benches.scale import Scale

HANG_S = 300.0


class _Takes(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def _http() -> Iterator[list[str]]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Takes)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield ["--otlp", f"http://127.0.0.1:{server.server_port}"]
    server.shutdown()
    server.server_close()


@contextmanager
def _drained(made: socket.socket, options: Callable[[], list[str]]) -> Iterator[list[str]]:
    """A socket that is read and forgotten."""

    def read(one: socket.socket) -> None:
        with suppress(OSError), one:
            while one.recv(1 << 18):
                pass

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=read, args=(made.accept()[0],), daemon=True).start()

    is_stream = made.type == socket.SOCK_STREAM
    if is_stream:
        made.listen()
    threading.Thread(target=accept if is_stream else lambda: read(made), daemon=True).start()
    yield options()
    made.close()


@contextmanager
def _tcp() -> Iterator[list[str]]:
    made = socket.socket()
    made.bind(("127.0.0.1", 0))
    with _drained(made, lambda: ["--syslog", f"tcp://127.0.0.1:{made.getsockname()[1]}"]) as options:
        yield options


@contextmanager
def _unix() -> Iterator[list[str]]:
    with tempfile.TemporaryDirectory() as place, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.bind(f"{place}/socket")
        with _drained(made, lambda: ["--journald", f"unix://{place}/socket"]) as options:
            yield options


def _free_port() -> int:
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        return int(made.getsockname()[1])


def _await_port(port: int) -> None:
    end_s = time.monotonic() + HANG_S
    while time.monotonic() < end_s:
        with socket.socket() as made:
            if made.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise RuntimeError("the server does not listen")


def _nats_server() -> str | None:
    return shutil.which("nats-server", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")


@contextmanager
def _nats(form: str) -> Iterator[list[str]]:
    import asyncio

    nats: Any = importlib.import_module("nats")
    port = _free_port()

    async def add() -> None:
        client = await nats.connect(f"nats://127.0.0.1:{port}")
        await client.jetstream().add_stream(name="RAWTP", subjects=["rawtp.>"])
        await client.close()

    with tempfile.TemporaryDirectory() as place:
        command = [_nats_server() or "", "-js", "-sd", place, "-a", "127.0.0.1", "-p", str(port)]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
            try:
                _await_port(port)
                asyncio.run(add())
                yield ["--nats", f"nats://127.0.0.1:{port}", "--nats-format", form]
            finally:
                server.kill()


@contextmanager
def _s3() -> Iterator[list[str]]:
    moto: Any = importlib.import_module("moto.server")
    boto3: Any = importlib.import_module("boto3")
    port = _free_port()
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    _await_port(port)
    secrets = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "us-east-1"}
    os.environ.update({**secrets, "AWS_ALLOW_HTTP": "true", "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"})
    boto3.client("s3", region_name="us-east-1").create_bucket(Bucket="bucket")
    yield ["--s3", "s3://bucket/rawtp"]
    server.stop()


def _shipped(directory: Path, options: list[str]) -> tuple[float, float, float]:
    """Seconds, seconds of CPU, and the most MB, in which all of the directory is shipped. A run of the same with
    nothing to ship is taken off."""

    def run(state: str) -> tuple[float, float, float]:
        command = [sys.executable, "-m", "rawtp", "ship", "--once", "--directory", str(directory), "--state", state]
        start = time.perf_counter()
        with subprocess.Popen([*command, *options], stderr=subprocess.DEVNULL) as process:
            _, code, used = os.wait4(process.pid, 0)
            process.returncode = code
        if code:
            raise RuntimeError(f"rawtp ship ended with {code}")
        return time.perf_counter() - start, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024 / 1e6

    with tempfile.TemporaryDirectory() as state:
        first, again = run(state), run(state)
    return first[0] - again[0], first[1] - again[1], first[2]


def _by_sdk(directory: Path, url: str) -> float | None:
    """Microseconds of CPU an event in which OpenTelemetry's SDK exports the same events, with the same attributes."""
    try:
        importlib.import_module("opentelemetry.exporter.otlp.proto.http._log_exporter")
    except ImportError:
        return None
    program = """
import json, sys, time
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor, BatchLogRecordProcessor
import rawtp
provider = LoggerProvider()
exporter = OTLPLogExporter(endpoint=sys.argv[2], compression=Compression.Gzip)
provider.add_log_record_processor(BatchLogRecordProcessor(exporter, max_queue_size=1 << 20, max_export_batch_size=1000))
logger = provider.get_logger("rawtp")
before, count = time.process_time(), 0
for batch in rawtp.History(sys.argv[1]).scan():
    for event in batch.to_dicts():
        attributes = {key: value for key, value in event.items() if isinstance(value, (str, int))}
        logger.emit(LogRecord(timestamp=event["ts_ns"], body=event["path"], severity_number=SeverityNumber.INFO,
                              attributes=attributes))
        count += 1
provider.shutdown()
print((time.process_time() - before) * 1e6 / count)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(directory), f"{url}/v1/logs"],
        capture_output=True,
        text=True,
        check=False,
        timeout=HANG_S,
    )
    return float(done.stdout) if done.returncode == 0 else None


def ship(programs: Programs, scale: Scale) -> Iterator[Row]:
    """All that a recorder has sealed, by ``rawtp ship --once``, to a receiver on loopback."""
    receivers: dict[str, tuple[str, Callable[[], Any]]] = {
        "otlp": ("OpenTelemetry, HTTP", _http),
        "syslog": ("syslog, TCP", _tcp),
        "journald": ("the journal's protocol", _unix),
    }
    if is_installed("nats") and _nats_server():
        receivers["nats"] = "NATS JetStream, JSON", lambda: _nats("json")
        if is_installed("pyarrow"):
            receivers["nats_arrow"] = "NATS JetStream, Arrow", lambda: _nats("arrow")
    if is_installed("obstore") and is_installed("moto"):
        receivers["s3"] = "S3, sealed files", _s3
    with tempfile.TemporaryDirectory() as root, tempfile.TemporaryDirectory(dir="/dev/shm") as work:
        directory = Path(root, "history")
        with recording(directory) as recorder:
            lose(programs, Path(work), scale.record_s)
            recorder.ask("seal")
        events = sum(len(batch) for batch in rawtp.History(directory).scan(["seq"]))
        for key, (name, serve) in receivers.items():
            found: dict[str, list[float]] = defaultdict(list)
            for _ in range(scale.record_runs):
                with serve() as options:
                    wall_s, cpu_s, memory_mb = _shipped(directory, options)
                    found["rate"].append(events / wall_s / 1e3)
                    found["cpu"].append(cpu_s * 1e6 / events)
                    found["memory"].append(memory_mb)
                    if key == "otlp" and (sdk := _by_sdk(directory, options[1])) is not None:
                        found["sdk"].append(sdk)
            to_peer = {"floor": ratios(found["cpu"], found["sdk"])} if found["sdk"] else {}
            yield Row(f"ship_{key}_cpu", "ship", name, "µs CPU", tuple(found["cpu"]), to_peer)
            if found["sdk"]:
                yield Row("ship_sdk", "ship", "the same events by OpenTelemetry's SDK", "µs CPU", tuple(found["sdk"]))
            yield Row(f"ship_{key}_rate", "ship", f"{name}: shipped", "1,000 events/s", tuple(found["rate"]))
            yield Row(f"ship_{key}_rss", "ship", f"{name}: memory, at most", "MB", tuple(found["memory"]))
    yield from _dead(programs, scale)


def _dead(programs: Programs, scale: Scale) -> Iterator[Row]:
    """The recorder's CPU with a shipper whose receiver is dead, and without: in turns."""
    found: dict[str, list[float]] = defaultdict(list)
    for _ in range(max(scale.record_runs, 2)):
        for key in ("alone", "dead"):
            with tempfile.TemporaryDirectory() as root, tempfile.TemporaryDirectory(dir="/dev/shm") as work:
                directory = Path(root, "history")
                with recording(directory) as recorder:
                    command = [sys.executable, "-m", "rawtp", "ship", "--directory", str(directory)]
                    options = ["--state", f"{root}/state", "--otlp", f"http://127.0.0.1:{_free_port()}"]
                    shipper = None
                    if key == "dead":
                        shipper = subprocess.Popen([*command, *options], stderr=subprocess.DEVNULL)
                    before, status = sum(recorder.cpu_ns().values()), recorder.ask("status")
                    lose(programs, Path(work), scale.record_s)
                    after = recorder.ask("seal")
                    used = sum(recorder.cpu_ns().values()) - before
                    if shipper is not None:
                        shipper.kill()
                        shipper.wait()
                found[key].append(used / 1e3 / (after["acknowledged"] - status["acknowledged"]))
                found[f"{key}_lost"].append(float(after["lost"]))
    yield Row("ship_alone", "ship", "recording, with no receiver", "µs CPU", tuple(found["alone"]))
    dead = ratios(found["dead"], found["alone"])
    name = "recording, with a dead receiver; ÷ with none"
    yield Row("ship_dead", "ship", name, "µs CPU", tuple(found["dead"]), {"floor": dead})
    yield Row("ship_dead_lost", "ship", "events lost meanwhile", "events", tuple(found["dead_lost"]))
