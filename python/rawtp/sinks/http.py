"""POSTs over one connection that is kept, with TLS as the system trusts it."""

from __future__ import annotations

import http.client
import time
import zlib
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from rawtp.sinks import tls
from rawtp.sinks.base import NotTakenError

if TYPE_CHECKING:
    from collections.abc import Mapping

TIMEOUT_S = 30.0
_MAX_ANSWER = 65_536


class Client:
    """A connection to the server of a URL.

    Raises:
        OSError, ValueError: as :func:`tls.context`.
    """

    def __init__(self, url: str, files: tls.Files = tls.NONE) -> None:
        parts = urlsplit(url)
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._host, self._port = parts.hostname or "", parts.port
        self._context = tls.context(files) if parts.scheme == "https" else None
        self._connection: http.client.HTTPConnection | None = None

    def post(self, body: bytes, headers: Mapping[str, str]) -> tuple[int, Mapping[str, str], bytes]:
        """Send a body, compressed. Returns the status, the headers and the beginning of the answer.

        Raises:
            OSError: there was no answer.
        """
        compressor = zlib.compressobj(1, zlib.DEFLATED, 31)
        packed = compressor.compress(body) + compressor.flush()
        is_new = self._connection is None
        try:
            return self._post(packed, headers)
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError) as error:
            self.close()
            if is_new:
                raise NotTakenError(f"the connection was closed: {error}") from None
            # The server has closed a connection that was idle.
        try:
            return self._post(packed, headers)
        except http.client.HTTPException as error:
            self.close()
            raise NotTakenError(f"no answer of HTTP: {error!r}") from None

    def _post(self, packed: bytes, headers: Mapping[str, str]) -> tuple[int, Mapping[str, str], bytes]:
        if self._connection is None:
            if self._context is None:
                self._connection = http.client.HTTPConnection(self._host, self._port, timeout=TIMEOUT_S)
            else:
                self._connection = http.client.HTTPSConnection(
                    self._host, self._port, timeout=TIMEOUT_S, context=self._context
                )
        try:
            with tls.told():
                self._connection.request("POST", self._path, packed, {**headers, "Content-Encoding": "gzip"})
                # A server of TLS 1.3 says only now that it wants another certificate.
                answer = self._connection.getresponse()
                content = answer.read(_MAX_ANSWER)
            if answer.read(1) or answer.will_close:
                self.close()
        except http.client.RemoteDisconnected:
            raise
        except http.client.HTTPException as error:
            self.close()
            raise NotTakenError(f"no answer of HTTP: {error!r}") from None
        except OSError:
            self.close()
            raise
        return answer.status, {key.lower(): value for key, value in answer.getheaders()}, content

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """The wait that a server asks for: seconds, or a date."""
    value = headers.get("retry-after", "").strip()
    if not value:
        return None
    if value.isascii() and value.isdecimal():
        return float(value[:9])
    try:
        return max(parsedate_to_datetime(value).timestamp() - time.time(), 0.0)
    except (TypeError, ValueError, OverflowError):
        return None
