"""NATS JetStream: a message an event, as JSON, or a message a batch, as an Arrow IPC stream.

Subjects are ``PREFIX.HOST.events`` and ``PREFIX.HOST.journal``. ``Nats-Msg-Id`` is the record's key, by which the
server drops what it has within its window. JetStream acknowledges each message once it is stored.
"""

from __future__ import annotations

import asyncio
import os
import re
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from rawtp.formats.raw_bytes import visible
from rawtp.sinks import tls
from rawtp.sinks.base import NotTakenError, Receiver
from rawtp.sinks.records import to_json

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping, Sequence
    from typing import Literal, TypeVar

    from rawtp.sinks.base import Delivery, Origin

    T = TypeVar("T")

_TIMEOUT_S = 10.0
_CLOSE_S = 1.0
_WINDOW = 256
"""The messages that may wait for their acknowledgement."""

_UNSAFE = re.compile(r"[^A-Za-z0-9_-]")
PREFIX = "rawtp"


class Nats(Receiver):
    """A server, or several with commas between: ``nats://HOST:4222`` or ``tls://HOST:4222``. A path is the prefix of
    the subjects.

    ``environment`` may have ``NATS_CREDS`` (a file), ``NATS_NKEY`` (a seed's file), ``NATS_TOKEN``, or ``NATS_USER``
    and ``NATS_PASSWORD``.

    Raises:
        ImportError: nats-py is missing, or pyarrow for ``"arrow"``.
        OSError, ValueError: as :func:`tls.context`.
    """

    name = "nats"

    def __init__(
        self,
        url: str,
        environment: Mapping[str, str],
        files: tls.Files = tls.NONE,
        form: Literal["json", "arrow"] = "json",
    ) -> None:
        import nats
        from nats.aio.client import Client

        self._nats: Any = nats
        self._arrow: Any = None
        if form == "arrow":
            import pyarrow  # type: ignore[import-untyped]

            self._arrow = pyarrow
        parts = urlsplit(url.split(",")[0])
        self._prefix = ".".join(_UNSAFE.sub("_", part) for part in parts.path.strip("/").split("/") if part) or PREFIX
        self._servers = [f"{urlsplit(one).scheme}://{urlsplit(one).netloc}" for one in url.split(",")]
        self.target = f"{','.join(self._servers)}/{self._prefix}"
        self._options: dict[str, Any] = {
            "servers": self._servers,
            "name": "rawtp",
            # The shipper connects again, and says so meanwhile.
            "allow_reconnect": False,
            "connect_timeout": int(_TIMEOUT_S),
            "error_cb": _ignore,
        }
        for option, variable in (
            ("user_credentials", "NATS_CREDS"),
            ("nkeys_seed", "NATS_NKEY"),
            ("token", "NATS_TOKEN"),
            ("user", "NATS_USER"),
            ("password", "NATS_PASSWORD"),
        ):
            if value := environment.get(variable):
                self._options[option] = value
        self._is_encrypted = all(server.startswith("tls://") for server in self._servers)
        if self._is_encrypted:
            self._options["tls"] = tls.context(files)
        elif any(server.startswith("tls://") for server in self._servers):
            raise ValueError(f"{url!r}: either all servers are tls://, or none is")
        self._make_client: Any = _encrypted(Client) if self._is_encrypted else Client
        self._client: Any = None
        self._stream: Any = None
        self._loop = asyncio.new_event_loop()
        # The server's pings are answered also while nothing is sent.
        threading.Thread(target=self._loop.run_forever, name="rawtp-nats", daemon=True).start()

    def open(self) -> None:
        """Connect."""
        if self._client is None or not self._client.is_connected:
            self.close()
            self._client = made = self._make_client()
            try:
                with tls.told():
                    self._run(made.connect(**self._options))
            except (BrokenPipeError, ConnectionResetError) as error:
                self.close()
                if self._is_encrypted and made.is_checked:
                    # By TLS 1.3 a server says so after the handshake, and what is written meanwhile may fail first.
                    text = f"{error.strerror} after TLS had begun: the server may want a certificate (--client-cert)"
                    raise NotTakenError(text) from None
                raise
            except OSError:
                self.close()
                raise
            if self._is_encrypted and not made.is_checked:
                self.close()
                raise NotTakenError("this version of nats-py does not show whether a server encrypts")
            self._stream = self._client.jetstream(timeout=_TIMEOUT_S)

    def send(self, delivery: Delivery) -> int:
        """Publish the records, and wait for the acknowledgement of each."""
        host = _UNSAFE.sub("_", delivery.origin.host) or "unknown"
        most = int(self._client.max_payload)
        if self._arrow is not None and delivery.batch is not None:
            table = with_names(self._arrow, self._arrow.record_batch(delivery.batch), delivery.records)
            messages = self._batches(table, delivery.origin, delivery.records[0]["key"], most)
            kind = "events"
        else:
            kind = "events" if delivery.records[0]["type"] == "event" else "journal"
            messages = [(record["key"], to_json(record)) for record in delivery.records]
        fit = [message for message in messages if len(message[1]) <= most]
        self._run(self._publish(f"{self._prefix}.{host}.{kind}", fit))
        return len(messages) - len(fit)

    async def _publish(self, subject: str, messages: Sequence[tuple[str, bytes]]) -> None:
        for first in range(0, len(messages), _WINDOW):
            waiting = [
                self._stream.publish(subject, content, timeout=_TIMEOUT_S, headers={"Nats-Msg-Id": key})
                for key, content in messages[first : first + _WINDOW]
            ]
            # All of them end before the first error is told: none goes on beside the next attempt.
            for done in await asyncio.gather(*waiting, return_exceptions=True):
                if isinstance(done, BaseException):
                    raise done

    def _batches(self, table: Any, origin: Origin, first: str, most: int) -> list[tuple[str, bytes]]:
        """The events as Arrow IPC streams, in halves where one is too large for a message."""
        pa = self._arrow
        metadata = {f"rawtp:{key}": str(value) for key, value in origin._asdict().items()}
        schema = table.schema.with_metadata({**(table.schema.metadata or {}), **metadata})
        output = pa.BufferOutputStream()
        with pa.ipc.new_stream(output, schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
            writer.write_batch(table.replace_schema_metadata(schema.metadata))
        content = output.getvalue().to_pybytes()
        if len(content) <= most or len(table) == 1:
            return [(f"{first}+{len(table)}", content)]
        half = len(table) // 2
        behind = table.slice(half)
        [key] = behind.slice(0, 1).select(["via", "cpu", "seq"]).to_pylist()
        return [
            *self._batches(table.slice(0, half), origin, first, most),
            *self._batches(behind, origin, origin.event_key(key), most),
        ]

    def close(self) -> None:
        """Close the connection."""
        client, self._client = self._client, None
        if client is not None:
            with suppress(OSError):
                self._run(_closed(client))

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        """Have the loop's thread do this.

        Raises:
            OSError: it was not done.
        """
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(3 * _TIMEOUT_S)
        except self._nats.js.errors.NoStreamResponseError:
            raise NotTakenError(
                f"no stream takes {self._prefix}.>: nats stream add RAWTP --subjects '{self._prefix}.>' --defaults"
            ) from None
        except TimeoutError:
            future.cancel()
            raise NotTakenError("no answer in time") from None
        except OSError:
            raise
        except Exception as error:  # nats-py's errors have no base of their own
            future.cancel()
            raise NotTakenError(f"{type(error).__name__}: {error}".rstrip(": ")) from None


def with_names(pa: Any, table: Any, records: Sequence[Mapping[str, Any]]) -> Any:
    """The record batch with the names that the records of its events have, as columns."""
    of = {(one["via"], one["cpu"], one["seq"]): one for one in records}
    rows = [
        of.get(key) for key in zip(*(table.column(name).to_pylist() for name in ("via", "cpu", "seq")), strict=True)
    ]
    for name in ("container_name", "pod", "namespace", "image", "user", "login"):
        at = table.schema.get_field_index(name)
        before = [None] * len(rows) if at < 0 else table.column(at).to_pylist()
        # A row that has no record was acknowledged before.
        found = [old if row is None else row.get(name) for row, old in zip(rows, before, strict=True)]
        column = _texts(pa, [None if one is None else visible(one) for one in found])
        table = table.append_column(name, column) if at < 0 else table.set_column(at, name, column)
        at = table.schema.get_field_index(f"{name}_bytes")
        if at >= 0:
            before = table.column(at).to_pylist()
            raw = [
                old if row is None or one is None else None if visible(one) == one else os.fsencode(one)
                for row, one, old in zip(rows, found, before, strict=True)
            ]
            table = table.set_column(at, f"{name}_bytes", _binary(pa, raw))
    return table


def _texts(pa: Any, values: Sequence[str | None]) -> Any:
    """A column of text. pyarrow.array() would import pandas, if that is there: 45 MB."""
    builder = pa.lib.StringBuilder()
    builder.append_values(values)
    return builder.finish()


def _binary(pa: Any, values: Sequence[bytes | None]) -> Any:
    return pa.array(values, pa.binary()) if any(values) else pa.nulls(len(values), pa.binary())


def _encrypted(client: type) -> type:
    """A client that ends before it says anything to a server that does not encrypt.

    nats-py goes by the server's first line, which anybody on the way can write: without ``tls_required`` in it,
    everything is sent unencrypted, also to ``tls://``.
    """

    class Encrypted(client):  # type: ignore[misc]
        is_checked = False

        async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
            if initial_connection:
                if not info.get("tls_required"):
                    raise NotTakenError("the server does not encrypt: nats:// allows that")
                self.is_checked = True
            await super()._process_info(info, initial_connection)

    return Encrypted


async def _closed(client: Any) -> None:
    """Close a client, also one that never connected: nats-py leaves the transport of such a one open, and after a
    handshake that failed it waits for an end that never comes."""
    with suppress(asyncio.TimeoutError):
        await asyncio.wait_for(client.close(), _CLOSE_S)
    if (transport := getattr(client, "_transport", None)) is not None:
        transport.close()


async def _ignore(_: Exception) -> None:
    """Keep nats-py from writing to standard error what the shipper says in its own words."""
