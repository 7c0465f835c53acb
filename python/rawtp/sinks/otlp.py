"""OpenTelemetry's protocol: logs over HTTP, as Protocol Buffers."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from rawtp._core import __version__
from rawtp.formats.escape import printable
from rawtp.sinks import tls
from rawtp.sinks.base import Delivery, NotTakenError, Receiver
from rawtp.sinks.http import Client, retry_after_s
from rawtp.sinks.otlp_records import Encoder, request, scope
from rawtp.sinks.protobuf import fields

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rawtp.sinks.base import Origin

_REFUSED = {400, 422}
_TOO_LARGE = 413
HEADERS = ("OTEL_EXPORTER_OTLP_LOGS_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS")


class Otlp(Receiver):
    """A collector: ``http://HOST:4318`` or ``https://…``. Without a path it is ``/v1/logs``.

    ``environment`` may have ``OTEL_EXPORTER_OTLP_HEADERS``, such as ``Authorization=Bearer%20…``.

    Raises:
        OSError: a file of TLS cannot be read.
        ValueError: headers of another form, or a key that is another certificate's.
    """

    name = "otlp"

    def __init__(self, url: str, environment: Mapping[str, str], files: tls.Files = tls.NONE) -> None:
        if urlsplit(url).path in {"", "/"}:
            url = url.rstrip("/") + "/v1/logs"
        self.target = url
        self._client = Client(url, files)
        self._headers = {
            "Content-Type": "application/x-protobuf",
            "User-Agent": f"rawtp/{__version__}",
            **headers(next((environment[name] for name in HEADERS if environment.get(name)), "")),
        }
        self._encoder = Encoder()
        self._scope = scope(__version__)
        self._has_taken = False
        self._refusal = ""

    def send(self, delivery: Delivery) -> int:
        """POST the records. What is too large goes in halves; so does what is refused, until it is one record.

        Who has never taken anything is not believed to refuse these records: it is another server, or a wrong path.
        """
        records = self._encoder.records(delivery, time.time_ns())
        refused = self._post(delivery.origin, records)
        if refused == len(records) and not self._has_taken:
            raise NotTakenError(f"refuses everything: {self._refusal}")
        return refused

    def _post(self, origin: Origin, records: Sequence[bytes]) -> int:
        status, found, answer = self._client.post(request(origin, self._scope, records), self._headers)
        if 200 <= status < 300:
            refused = min(_rejected(answer), len(records))
            self._has_taken |= refused < len(records)
            return refused
        text = answer[:200].decode("utf-8", "replace")
        says = f"HTTP {status}{f': {printable(text)}' if text.isprintable() and text else ''}"
        if status in _REFUSED or status == _TOO_LARGE:
            if len(records) == 1:
                self._refusal = says
                return 1
            half = len(records) // 2
            return self._post(origin, records[:half]) + self._post(origin, records[half:])
        raise NotTakenError(says, retry_after_s(found))

    def close(self) -> None:
        """Close the connection."""
        self._client.close()


def headers(text: str) -> dict[str, str]:
    """Headers as OpenTelemetry's variables have them: ``NAME=VALUE`` with commas between, percent-encoded.

    Raises:
        ValueError: they are of another form.
    """
    found = {}
    for pair in filter(None, map(str.strip, text.split(","))):
        name, equals, value = pair.partition("=")
        name, value = unquote(name).strip(), unquote(value).strip()
        if not equals or not name or not (name + value).isprintable():
            raise ValueError("OTEL_EXPORTER_OTLP_HEADERS must be NAME=VALUE, with commas between")
        found[name] = value
    return found


def _rejected(answer: bytes) -> int:
    """The number of records that the receiver has refused, by an ExportLogsServiceResponse."""
    try:
        for number, partial in fields(answer):
            if number == 1 and isinstance(partial, bytes):
                return sum(value for at, value in fields(partial) if at == 1 and isinstance(value, int))
    except ValueError:  # JSON, or nothing: the status says enough
        pass
    return 0
