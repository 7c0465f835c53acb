"""Posts alerts to an HTTPS server, signed, and tries again where that can help."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import os
import random
import stat
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from rawtp._alert.notifiers.base import Notifier, NotifyError, Table
from rawtp._core import __version__

if TYPE_CHECKING:
    import http.client
    from collections.abc import Callable, Mapping
    from typing import Any

    from rawtp._alert.alert import Alert

_MAX_SECRET = 4096
_MAX_ANSWER = 64 << 10
_FIRST_WAIT_S, _MAX_WAIT_S = 0.5, 60.0
_RETRIED = {408, 425, 429, 500, 502, 503, 504}
_HEADER_NAME_CHARS = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz")
_OWN_HEADERS = {"host", "content-length", "content-type", "transfer-encoding", "connection", "user-agent"}


class Webhook(Notifier):
    """Posts the alert as JSON.

    With a secret, ``X-Rawtp-Signature`` is ``sha256=`` and the HMAC-SHA256, in hexadecimal, of ``X-Rawtp-Timestamp``,
    a dot and the body. ``X-Rawtp-Id`` stays the same when it is sent again. Redirects are not followed.
    """

    KEYS = ("url", "secret_file", "secret_env", "timeout", "attempts", "headers", "ca_file", "parallel")

    def __init__(
        self,
        name: str,
        url: str,
        *,
        secret: bytes | None = None,
        timeout_s: float = 10.0,
        attempts: int = 5,
        headers: Mapping[str, str] | None = None,
        ca_file: str | None = None,
        parallel: int = 1,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(name, parallel=parallel)
        parts = urlsplit(url)
        self._is_https = parts.scheme == "https"
        self._host, self._port = parts.hostname or "", parts.port
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._secret = secret
        self._timeout_s = timeout_s
        self._attempts = attempts
        self._headers = dict(headers or {})
        self._ca_file = ca_file
        self._clock = clock

    @classmethod
    def from_table(cls, name: str, table: Mapping[str, Any], environment: Mapping[str, str], at: list[str]) -> Webhook:
        """Make one as the table says."""
        values = Table(table, at)
        timeout_s = values.seconds("timeout", 10.0)
        attempts = values.count("attempts", 5, 100)
        parallel = values.count("parallel", 1, 16)
        headers = values.get("headers", dict, {})
        for key, value in headers.items():
            _check_header(key, value)
        ca_file = values.optional("ca_file", str)
        if ca_file is not None:
            import ssl

            try:
                ssl.create_default_context(cafile=ca_file)
            except ssl.SSLError:
                raise ValueError(f"ca_file: {ca_file!r} has no certificates") from None
        if "secret_file" in table and "secret_env" in table:
            values.get("secret_env", str)
            raise ValueError("it can have one of secret_file and secret_env")
        secret: bytes | None = None
        if (path := values.optional("secret_file", str)) is not None:
            secret = _secret(path)
        if (variable := values.optional("secret_env", str)) is not None:
            secret = os.fsencode(environment.get(variable, ""))
            if not secret:
                raise ValueError(f"secret_env: the variable {variable!r} is not set")
        url = values.get("url", str)
        _check_url(url)
        return cls(
            name,
            url,
            secret=secret,
            timeout_s=timeout_s,
            attempts=attempts,
            headers=headers,
            ca_file=ca_file,
            parallel=parallel,
        )

    def send(self, alert: Alert, host: str, stop: threading.Event) -> None:
        """Post it, again after what may pass: an error of the network, and the codes 408, 425, 429 and 5xx."""
        body = alert.json(host).encode("ascii")
        wait_s = _FIRST_WAIT_S
        for attempt in range(1, self._attempts + 1):
            reason, asked_s = self._post(body, alert.id)
            if reason is None:
                return
            if asked_s is None or attempt == self._attempts:
                raise NotifyError(reason if attempt == 1 else f"{reason}, {attempt} times")
            self.retried += 1
            # Not all at the same moment, where many hosts have lost one server.
            pause_s = max(wait_s * random.uniform(0.5, 1.0), min(asked_s, _MAX_WAIT_S))  # noqa: S311
            if stop.wait(pause_s):
                raise NotifyError(f"{reason}, and the watch ended")
            wait_s = min(wait_s * 2, _MAX_WAIT_S)

    def _post(self, body: bytes, delivery: str) -> tuple[str | None, float | None]:
        """Post once: why it failed, if it did, and the least time to wait before another attempt; None: there is no
        use in one."""
        import http.client

        connection = self._connection()
        # A server that sends a byte now and then would outlast the socket's timeout for ever.
        guard = threading.Timer(self._timeout_s, _cut, [connection])
        guard.daemon = True
        try:
            connection.connect()
            guard.start()
            connection.request("POST", self._target, body, self._signed(body, delivery))
            response = connection.getresponse()
            response.read(_MAX_ANSWER)
        except (OSError, http.client.HTTPException) as error:
            text = str(getattr(error, "strerror", None) or error) or type(error).__name__
            # A certificate does not get better by itself.
            return f"{self._host}: {text}", None if _is_certificate(error) else 0.0
        finally:
            guard.cancel()
            connection.close()
        if 200 <= response.status < 300:
            return None, None
        reason = f"{self._host}: status {response.status}"
        return reason, _retry_after(response) if response.status in _RETRIED else None

    def _connection(self) -> http.client.HTTPConnection:
        import http.client

        if not self._is_https:
            return http.client.HTTPConnection(self._host, self._port, timeout=self._timeout_s)
        import ssl

        context = ssl.create_default_context(cafile=self._ca_file)
        return http.client.HTTPSConnection(self._host, self._port, timeout=self._timeout_s, context=context)

    def _signed(self, body: bytes, delivery: str) -> dict[str, str]:
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"rawtp/{__version__}",
            "Connection": "close",
            **self._headers,
            "X-Rawtp-Id": delivery,
        }
        if self._secret is not None:
            timestamp = str(int(self._clock()))
            headers["X-Rawtp-Timestamp"] = timestamp
            headers["X-Rawtp-Signature"] = signature(self._secret, timestamp, body)
        return headers


def signature(secret: bytes, timestamp: str, body: bytes) -> str:
    """The signature that a receiver should find."""
    return "sha256=" + hmac.new(secret, timestamp.encode("ascii") + b"." + body, hashlib.sha256).hexdigest()


def _cut(connection: http.client.HTTPConnection) -> None:
    import socket

    if connection.sock is not None:
        with suppress(OSError):
            connection.sock.shutdown(socket.SHUT_RDWR)


def _is_certificate(error: Exception) -> bool:
    import ssl

    return isinstance(error, ssl.SSLCertVerificationError)


def _retry_after(response: http.client.HTTPResponse) -> float:
    text = response.headers.get("Retry-After", "").strip()
    return float(text) if text.isascii() and text.isdecimal() and len(text) < 6 else 0.0


def _check_url(url: str) -> None:
    if not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError(f"url: {url!r} has characters that no URL has")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise ValueError(f"url: {url!r}: {error}") from None
    if parts.scheme not in {"https", "http"} or not host:
        raise ValueError(f"url: {url!r} does not begin with https:// and a host")
    if parts.username is not None or parts.password is not None:
        raise ValueError("url: a password in it would be seen: use headers, or secret_file")
    if parts.fragment:
        raise ValueError(f"url: {url!r} has a fragment, which no server gets")
    if parts.scheme == "http" and not _is_loopback(host):
        raise ValueError(f"url: {url!r} is not encrypted: it must begin with https://, but on this host itself")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _check_header(key: object, value: object) -> None:
    if not isinstance(key, str) or not key or not frozenset(key.lower()) <= _HEADER_NAME_CHARS:
        raise ValueError(f"headers: {key!r} is no header's name")
    if key.lower() in _OWN_HEADERS or key.lower().startswith("x-rawtp-"):
        raise ValueError(f"headers: {key} is set by rawtp")
    if not isinstance(value, str) or not value.isascii() or not value.isprintable():
        raise ValueError(f"headers: the value of {key} is no printable ASCII text")


def _secret(path: str) -> bytes:
    """The content of a file, without the end of its line."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise ValueError(f"secret_file: {path!r} is no regular file")
        if found.st_mode & stat.S_IROTH:
            raise ValueError(f"secret_file: everybody can read {path!r}: chmod o= it")
        data = os.read(fd, _MAX_SECRET + 1)
    finally:
        os.close(fd)
    secret = data.rstrip(b"\r\n")
    if not secret:
        raise ValueError(f"secret_file: {path!r} is empty")
    if len(data) > _MAX_SECRET:
        raise ValueError(f"secret_file: {path!r} is larger than {_MAX_SECRET} bytes")
    return secret
