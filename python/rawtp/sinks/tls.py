"""TLS to receivers: certificates are always verified."""

from __future__ import annotations

import ssl
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rawtp.sinks.base import NotTakenError

if TYPE_CHECKING:
    from collections.abc import Iterator


def context(ca: str | None) -> ssl.SSLContext:
    """A client's context, which trusts the authorities of the file ``ca``, or those of the system.

    Raises:
        OSError: the file cannot be read, or has no certificate.
    """
    return ssl.create_default_context(cafile=ca)


@contextmanager
def told() -> Iterator[None]:
    """Say in words why a certificate is not trusted."""
    try:
        yield
    except ssl.SSLCertVerificationError as error:
        raise NotTakenError(f"the certificate is not trusted: {error.verify_message}") from None
    except ssl.SSLError as error:
        raise NotTakenError(f"TLS: {error.reason or error}") from None
