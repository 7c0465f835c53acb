"""Receivers by the options that name them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rawtp._ship.credentials import check_url
from rawtp.sinks import tls

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Literal

    from rawtp.sinks.base import Receiver

SCHEMES = {
    "s3": ("s3",),
    "otlp": ("http", "https"),
    "nats": ("nats", "tls"),
    "syslog": ("tcp", "tls", "unix"),
    "journald": ("unix",),
}
"""The kinds of receivers, and how their URLs begin."""
ENCRYPTED = ("s3://", "https://", "tls://")
"""How the URLs begin that certificates are for."""

_PACKAGES = {"s3": "obstore", "nats": "nats-py"}


def make(
    kind: str,
    url: str,
    environment: Mapping[str, str],
    *,
    files: tls.Files = tls.NONE,
    form: Literal["json", "arrow"] = "json",
) -> Receiver:
    """The receiver of a kind.

    Raises:
        ValueError: a URL or a setting of another form.
        ImportError: a package is missing; the error says which extra brings it.
        OSError: a file of TLS cannot be read.
    """
    for one in url.split(",") if kind == "nats" else [url]:
        check_url(one, SCHEMES[kind])
    if files != tls.NONE and not url.startswith(ENCRYPTED):
        raise ValueError(f"{url!r} is not encrypted, and takes no certificates")
    try:
        return _made(kind, url, environment, files, form)
    except ImportError as error:
        package = "pyarrow" if error.name == "pyarrow" else _PACKAGES.get(kind, str(error.name))
        extra = "arrow" if package == "pyarrow" else kind
        raise ImportError(f"{package} is missing: pip install 'rawtp[{extra}]'") from None


def _made(
    kind: str, url: str, environment: Mapping[str, str], files: tls.Files, form: Literal["json", "arrow"]
) -> Receiver:
    """Each with its own imports: a receiver that nobody asked for costs nothing."""
    if kind == "s3":
        from rawtp.sinks.s3 import S3

        return S3(url, environment, files)
    if kind == "otlp":
        from rawtp.sinks.otlp import Otlp

        return Otlp(url, environment, files)
    if kind == "nats":
        from rawtp.sinks.nats import Nats

        return Nats(url, environment, files, form)
    if kind == "syslog":
        from rawtp.sinks.syslog import Syslog

        return Syslog(url, files)
    from rawtp.sinks.journald import Journald

    return Journald(url.removeprefix("unix://"))
