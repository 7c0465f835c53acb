"""Receivers on loopback that are killed and started again, and ``rawtp ship`` beside them."""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from helpers.support import HANG_S, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

CLI = (sys.executable, "-m", "rawtp")
OTLP_SERVER, S3_SERVER = (
    Path(__file__).parents[1] / "kernel" / "ship" / name for name in ("otlp_server.py", "s3_server.py")
)


def free_port() -> int:
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        port: int = made.getsockname()[1]
        return port


def is_open(port: int) -> bool:
    with socket.socket() as made:
        return made.connect_ex(("127.0.0.1", port)) == 0


class Server(ABC):
    """A server that can be killed. ``options`` are those of ``rawtp ship``."""

    environment: dict[str, str] = {}  # noqa: RUF012 - each has its own, or none

    def __init__(self, place: Path) -> None:
        self.place = place
        self.port = free_port()

    @property
    @abstractmethod
    def options(self) -> list[str]: ...

    @abstractmethod
    def start(self) -> None: ...

    @abstractmethod
    def kill(self, number: signal.Signals = signal.SIGKILL) -> None: ...


class Receiver(Server):
    """A server that tells what it got."""

    takes_once = False
    """Whether it keeps one of several records of a key."""

    @abstractmethod
    def received(self) -> list[dict[str, Any]]:
        """The records, each with ``key`` and ``type``."""


class Program(Receiver):
    """A server that is a process of its own."""

    def __init__(self, place: Path) -> None:
        super().__init__(place)
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def command(self) -> list[str]: ...

    def start(self) -> None:
        self._process = subprocess.Popen(self.command(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(lambda: is_open(self.port), "the receiver listens")

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(HANG_S)
            self._process = None


class Otlp(Program):
    @property
    def options(self) -> list[str]:
        return ["--otlp", f"http://127.0.0.1:{self.port}"]

    def command(self) -> list[str]:
        return [sys.executable, str(OTLP_SERVER), str(self.port), str(self.place / "otlp.jsonl"), "7"]

    def lines(self) -> list[dict[str, Any]]:
        file = self.place / "otlp.jsonl"
        text = file.read_text() if file.exists() else ""
        # The last line may be half written.
        return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]

    def received(self) -> list[dict[str, Any]]:
        return [
            {
                **line["attributes"],
                "key": line["attributes"]["log.record.uid"],
                "type": "event" if "rawtp.seq" in line["attributes"] else line["name"].removeprefix("rawtp."),
                "path": line["attributes"].get("rawtp.path"),
            }
            for line in self.lines()
        ]


class Nats(Program):
    form = "json"
    # By its window of duplicates.
    takes_once = True

    @property
    def options(self) -> list[str]:
        return ["--nats", f"nats://127.0.0.1:{self.port}/fleet", "--nats-format", self.form]

    def command(self) -> list[str]:
        program = shutil.which("nats-server", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
        assert program
        return [program, "-js", "-sd", str(self.place / "nats"), "-a", "127.0.0.1", "-p", str(self.port)]

    def start(self) -> None:
        super().start()
        asyncio.run(self._add_stream())

    def connection(self) -> dict[str, Any]:
        """How the test itself connects."""
        return {"servers": f"nats://127.0.0.1:{self.port}"}

    async def _add_stream(self) -> None:
        import nats
        from nats.js.api import StreamConfig

        client = await nats.connect(**self.connection())
        stream = client.jetstream(timeout=HANG_S)
        await stream.add_stream(StreamConfig(name="FLEET", subjects=["fleet.>"], duplicate_window=120))
        await client.close()

    def received(self) -> list[dict[str, Any]]:
        return asyncio.run(self._received())

    async def _received(self) -> list[dict[str, Any]]:
        import nats

        client = await nats.connect(**self.connection())
        stream = client.jetstream(timeout=HANG_S)
        count = (await stream.stream_info("FLEET")).state.messages
        subscription = await stream.pull_subscribe("fleet.>", stream="FLEET")
        found: list[dict[str, Any]] = []
        taken = 0
        while taken < count:
            for message in await subscription.fetch(min(500, count - taken), timeout=HANG_S):
                found += self.parse(message.data, message.header or {})
                taken += 1
                await message.ack()
        await client.close()
        return found

    def parse(self, data: bytes, headers: dict[str, str]) -> list[dict[str, Any]]:
        record = json.loads(data)
        assert headers["Nats-Msg-Id"] == record["key"]
        return [record]


class NatsArrow(Nats):
    form = "arrow"
    # A message that is sent again can have other events.
    takes_once = False

    def parse(self, data: bytes, headers: dict[str, str]) -> list[dict[str, Any]]:
        import pyarrow  # type: ignore[import-untyped]

        if data.startswith(b"{"):
            return super().parse(data, headers)
        with pyarrow.ipc.open_stream(data) as reader:
            table = reader.read_all()
        metadata = {key.decode(): value.decode() for key, value in table.schema.metadata.items()}
        of = ":".join(metadata[f"rawtp:{key}"] for key in ("machine_id", "boot_id", "session"))
        rows = table.to_pylist()
        assert {str(row["session"]) for row in rows} == {metadata["rawtp:session"]}
        return [{**row, "type": "event", "key": f"{of}:{row['via']}:{row['cpu']}:{row['seq']}"} for row in rows]


class Rsyslog(Program):
    @property
    def options(self) -> list[str]:
        return ["--syslog", f"tcp://127.0.0.1:{self.port}"]

    @staticmethod
    def program() -> str | None:
        return shutil.which("rsyslogd", path=f"{os.environ['PATH']}:/usr/sbin")

    def config(self) -> tuple[str, str]:
        """Words for ``global()``, and for the module."""
        return "", ""

    def command(self) -> list[str]:
        config = self.place / "rsyslog.conf"
        of_all, of_module = self.config()
        config.write_text(
            f"""
global(workDirectory="{self.place}" maxMessageSize="8k" parser.escapeControlCharactersOnReceive="off" {of_all})
main_queue(queue.type="Direct")
module(load="imtcp" {of_module})
input(type="imtcp" port="{self.port}" address="127.0.0.1")
template(name="all" type="string" string="%hostname% %app-name% %procid% %msgid% %pri%%msg%\\n")
action(type="omfile" file="{self.place}/syslog" template="all" asyncWriting="off" flushOnTXEnd="on")
"""
        )
        return [self.program() or "", "-n", "-f", str(config), "-i", str(self.place / "rsyslog.pid")]

    def received(self) -> list[dict[str, Any]]:
        found = []
        for line in (self.place / "syslog").read_text().splitlines():
            head, cee, document = line.partition("@cee:")
            # What rsyslog says of itself, or a message that a kill has cut off in the file.
            if cee and document.endswith("}"):
                record = json.loads(document)
                found.append({**record, "head": head.split()})
        return found


class S3(Program):
    # A put never replaces an object.
    takes_once = True
    environment = {  # noqa: RUF012
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
        "AWS_ALLOW_HTTP": "true",
    }

    def __init__(self, place: Path) -> None:
        super().__init__(place)
        self.environment = {**self.environment, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}"}
        self._has_bucket = False

    @property
    def options(self) -> list[str]:
        return ["--s3", "s3://bucket/fleet"]

    def command(self) -> list[str]:
        return [sys.executable, str(S3_SERVER), str(self.port), str(self.place / "s3.requests")]

    def client(self) -> Any:
        boto3: Any = importlib.import_module("boto3")
        return boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{self.port}",
            aws_access_key_id="key",
            aws_secret_access_key="secret",  # noqa: S106
            region_name="us-east-1",
        )

    def start(self) -> None:
        super().start()
        if not self._has_bucket:
            self.client().create_bucket(Bucket="bucket")
            self._has_bucket = True

    def objects(self) -> dict[str, bytes]:
        client = self.client()
        pages = client.get_paginator("list_objects_v2").paginate(Bucket="bucket")
        names = [one["Key"] for page in pages for one in page.get("Contents", ())]
        return {name: client.get_object(Bucket="bucket", Key=name)["Body"].read() for name in names}

    def received(self) -> list[dict[str, Any]]:
        import pyarrow
        import pyarrow.parquet  # type: ignore[import-untyped]

        found: list[dict[str, Any]] = []
        for name, content in self.objects().items():
            if name.endswith(".jsonl"):
                found += [json.loads(line) for line in content.splitlines()]
                continue
            table = pyarrow.parquet.read_table(pyarrow.BufferReader(content))
            metadata = {key.decode(): value.decode() for key, value in table.schema.metadata.items()}
            of = ":".join(metadata[f"rawtp:{key}"] for key in ("machine_id", "boot_id", "session"))
            found += [
                {**row, "type": "event", "key": f"{of}:{row['via']}:{row['cpu']}:{row['seq']}"}
                for row in table.to_pylist()
            ]
        return found


class Ship:
    """``rawtp ship`` as a process."""

    def __init__(self, directory: Path, state: Path, server: Server, *options: str) -> None:
        self.messages = state.with_name(f"{state.name}.messages")
        command = [*CLI, "ship", "--directory", str(directory), "--state", str(state), *server.options, *options]
        self._environment = {**os.environ, **server.environment}
        with self.messages.open("ab") as err:
            self.process = subprocess.Popen(command, stderr=err, stdin=subprocess.DEVNULL, env=self._environment)

    def memory_mb(self) -> float:
        """The most that it has taken so far."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024

    def wait(self) -> int:
        return self.process.wait(HANG_S)

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.wait()


@contextmanager
def shipping(directory: Path, state: Path, server: Server, *options: str) -> Iterator[Ship]:
    """A process that ships, killed at the end."""
    ship = Ship(directory, state, server, *options)
    try:
        yield ship
    finally:
        ship.process.kill()
        ship.process.wait()


def ship_all(directory: Path, state: Path, server: Server, *options: str) -> str:
    """Ships until all is acknowledged; the messages."""
    with shipping(directory, state, server, "--once", *options) as ship:
        code = ship.wait()
        text = ship.messages.read_text()
        assert code == 0, text
    assert "Traceback" not in text, text
    return text


def position(state: Path, name: str) -> dict[str, Any]:
    """The state of a receiver."""
    from rawtp._ship import status

    return status.read(str(state)).get(name, {})


def pause(seconds: float) -> None:
    """Lets both sides work for a while."""
    time.sleep(seconds)
