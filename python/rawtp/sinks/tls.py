"""TLS to receivers: certificates are always verified."""

from __future__ import annotations

import ssl
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from rawtp.sinks.base import NotTakenError

if TYPE_CHECKING:
    from collections.abc import Iterator


class Files(NamedTuple):
    """The files, in PEM, that a connection goes by."""

    ca: str | None = None
    """The authorities to trust in place of the system's."""
    cert: str | None = None
    """A client's certificate, with those between it and an authority."""
    key: str | None = None
    """Its key; None where that is in the file of the certificate."""


NONE = Files()
"""The system's authorities, and no certificate of the client's."""


def context(files: Files) -> ssl.SSLContext:
    """A client's context.

    Raises:
        OSError: a file cannot be read, or has no certificate.
        ValueError: the key is another certificate's, or encrypted.
    """
    with _of(files.ca):
        made = ssl.create_default_context(cafile=files.ca)
    if files.cert is not None:
        with _of(files.cert if files.key is None else f"{files.cert}, {files.key}"):
            made.load_cert_chain(files.cert, files.key, _no_password)
    return made


def _no_password() -> str:
    raise ValueError("the key is encrypted, and nobody is there to say its password")


@contextmanager
def _of(name: str | None) -> Iterator[None]:
    """Name the file in an error."""
    try:
        yield
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise ValueError(f"{name}: the key is another certificate's") from None
        raise OSError(error.errno, "there is no certificate in it, or no key", name) from None
    except OSError as error:
        error.filename = name
        raise


@contextmanager
def told() -> Iterator[None]:
    """Say in words why a certificate is not trusted, or what the other side says."""
    try:
        yield
    except ssl.SSLCertVerificationError as error:
        raise NotTakenError(f"the certificate is not trusted: {error.verify_message}") from None
    except ssl.SSLError as error:
        raise NotTakenError(f"TLS: {words(error)}") from None


def words(error: ssl.SSLError) -> str:
    """What an error of TLS is about, such as ``certificate required``."""
    if isinstance(error, ssl.SSLEOFError):
        return "the other side has closed the connection"
    text = error.reason or str(error)
    for head in ("TLSV13_ALERT_", "TLSV1_ALERT_", "SSLV3_ALERT_"):
        text = text.removeprefix(head)
    return text.replace("_", " ").lower()
