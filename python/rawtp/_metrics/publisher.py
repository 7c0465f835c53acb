"""Publishes metrics as ``--metrics`` asks: by a server, or in a file every few seconds."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rawtp._errors import reason
from rawtp._metrics import textfile
from rawtp._metrics.exposition import render
from rawtp._metrics.server import Server
from rawtp._signals import Blocked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rawtp._metrics.exposition import Family

_WRITE_S = 10.0


@dataclass(frozen=True)
class Target:
    """Where to: a file, or an address to listen on."""

    path: str | None = None
    host: str = "127.0.0.1"
    port: int = 0

    @property
    def words(self) -> str:
        """It as :func:`target` takes it, wherever that is called."""
        return self.path or (f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}")

    @property
    def is_loopback(self) -> bool:
        """Whether only this host can read it."""
        return self.path is not None or ipaddress.ip_address(self.host).is_loopback


def target(text: str) -> Target:
    """Parse ``PORT``, ``HOST:PORT``, or the absolute path of a file that ends in ``.prom``.

    Raises:
        ValueError: it is none of these.
    """
    if "/" in text:
        if not text.endswith(".prom") or text.endswith("/.prom"):
            raise ValueError(f"{text!r} must end in .prom: node_exporter reads no other file")
        return Target(path=os.path.abspath(text))  # noqa: PTH100 - start-up time
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    host = "127.0.0.1" if host in {"", "localhost"} else host
    with contextlib.suppress(ValueError):
        ipaddress.ip_address(host)
        if port.isascii() and port.isdecimal() and len(port) < 6 and int(port) < 1 << 16 and "%" not in host:
            return Target(host=host, port=int(port))
    raise ValueError(f"{text!r} is neither a port, such as 9750, nor an address with one, nor a path")


class Publisher:
    """Publishes what ``collect`` gives, from ``start`` to ``finish``. Nothing waits for a reader.

    Raises:
        OSError: nobody can listen there.
    """

    def __init__(self, where: Target, collect: Callable[[], Iterable[Family]]) -> None:
        self._collect = collect
        self._path = where.path
        self._server = None if where.path else Server(where.host, where.port, self._text)
        self._thread = threading.Thread(target=self._run, name="rawtp-metrics", daemon=True)
        self._end = threading.Event()
        self._trouble: str | None = None
        self._said: list[str] = []

    @property
    def place(self) -> str:
        """Where the metrics are."""
        return self._server.url if self._server else str(self._path)

    def start(self) -> None:
        """Begin."""
        if self._server is not None:
            self._server.start()
        else:
            with Blocked():  # signals are the main thread's
                self._thread.start()

    def said(self) -> list[str]:
        """Lines to tell since the last call."""
        lines, self._said = self._said, []
        return lines

    def finish(self) -> list[str]:
        """End. The file has the last state."""
        if self._server is not None:
            self._server.close()
        else:
            self._end.set()
            if self._thread.ident is not None:
                self._thread.join(_WRITE_S)
            self._write()
        return self.said()

    def _text(self, openmetrics: bool) -> str:
        return render(self._collect(), openmetrics=openmetrics)

    def _run(self) -> None:
        self._write()
        while not self._end.wait(_WRITE_S):
            self._write()

    def _write(self) -> None:
        assert self._path is not None  # noqa: S101 - for the type checker
        trouble = None
        try:
            textfile.write(self._path, self._text(openmetrics=False))
        except OSError as error:
            trouble = reason(error)
        if trouble and trouble != self._trouble:
            self._said.append(f"the metrics cannot be written into {self._path}: {trouble}")
        self._trouble = trouble
