"""An authority, and receivers that speak TLS with its certificates."""

from __future__ import annotations

import signal
import socket
import ssl
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import trustme

from helpers import receivers

if TYPE_CHECKING:
    from collections.abc import Callable


class Authority:
    """An authority, its certificate for ``localhost``, and one for a client, as files."""

    def __init__(self, place: Path) -> None:
        place.mkdir()
        authority = trustme.CA()
        self.ca, self.server, self.client = (str(place / f"{name}.pem") for name in ("ca", "server", "client"))
        self.server_cert, self.server_key = str(place / "server.crt"), str(place / "server.key")
        authority.cert_pem.write_to_path(self.ca)
        server, client = authority.issue_cert("localhost"), authority.issue_cert("client@example.org")
        server.private_key_and_cert_chain_pem.write_to_path(self.server)
        client.private_key_and_cert_chain_pem.write_to_path(self.client)
        server.private_key_pem.write_to_path(self.server_key)
        for pem in server.cert_chain_pems:
            pem.write_to_path(self.server_cert, append=True)

    def context(self, *, asks_client: bool = False) -> ssl.SSLContext:
        """A server's context."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.server)
        if asks_client:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.ca)
        return context


def accepting(port: int, context: ssl.SSLContext, serve: Callable[[ssl.SSLSocket], None]) -> Callable[[], None]:
    """Accepts connections of TLS, each in a thread, until the function that is returned is called."""
    listening = socket.create_server(("127.0.0.1", port))

    def handle(connection: socket.socket) -> None:
        with suppress(OSError), context.wrap_socket(connection, server_side=True) as made:
            serve(made)

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listening.accept()
                threading.Thread(target=handle, args=(connection,), daemon=True).start()

    def end() -> None:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()

    threading.Thread(target=accept, daemon=True).start()
    return end


class Syslog(receivers.Receiver):
    """RFC 5425: TLS, octet-counted."""

    def __init__(self, place: Path, context: ssl.SSLContext) -> None:
        super().__init__(place)
        self._context = context
        self._end: Callable[[], None] = lambda: None
        self.content = b""

    @property
    def options(self) -> list[str]:
        return ["--syslog", f"tls://localhost:{self.port}"]

    def start(self) -> None:
        def serve(connection: ssl.SSLSocket) -> None:
            while chunk := connection.recv(1 << 16):
                self.content += chunk

        self._end = accepting(self.port, self._context, serve)

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        self._end()

    def received(self) -> list[dict[str, Any]]:
        import json

        found, content = [], self.content
        while content:
            size, _, rest = content.partition(b" ")
            if len(rest) < int(size):  # the other half is on its way
                break
            found.append(json.loads(rest[: int(size)].partition(b"@cee:")[2]))
            content = rest[int(size) :]
        return found


class Rsyslog(receivers.Rsyslog):
    """rsyslogd with GnuTLS, which asks the client for a certificate."""

    def __init__(self, place: Path, authority: Authority) -> None:
        super().__init__(place)
        self._authority = authority

    @staticmethod
    def missing() -> str | None:
        """Why there can be none here."""
        if receivers.Rsyslog.program() is None:
            return "no rsyslogd"
        return None if any(Path("/usr/lib").glob("*/rsyslog/lmnsd_gtls.so")) else "no rsyslog-gnutls"

    @property
    def options(self) -> list[str]:
        return ["--syslog", f"tls://localhost:{self.port}"]

    def config(self) -> tuple[str, str]:
        of = self._authority
        files = (("CAFile", of.ca), ("CertFile", of.server_cert), ("KeyFile", of.server_key))
        of_all = " ".join(f'DefaultNetstreamDriver{name}="{path}"' for name, path in files)
        return of_all, 'StreamDriver.Name="gtls" StreamDriver.Mode="1" StreamDriver.AuthMode="x509/certvalid"'


class Nats(receivers.Nats):
    """nats-server with certificates; ``is_encrypted``: or without."""

    def __init__(
        self, place: Path, authority: Authority, *, asks_client: bool = False, is_encrypted: bool = True
    ) -> None:
        super().__init__(place)
        self._authority = authority
        self._asks_client = asks_client
        self._is_encrypted = is_encrypted

    @property
    def options(self) -> list[str]:
        return ["--nats", f"tls://localhost:{self.port}/fleet"]

    def command(self) -> list[str]:
        of = self._authority
        words = ["--tls", "--tlscert", of.server_cert, "--tlskey", of.server_key]
        if self._asks_client:
            words += ["--tlsverify", "--tlscacert", of.ca]
        return super().command() + (words if self._is_encrypted else [])

    def connection(self) -> dict[str, Any]:
        if not self._is_encrypted:
            return super().connection()
        context = ssl.create_default_context(cafile=self._authority.ca)
        context.load_cert_chain(self._authority.client)
        return {"servers": f"tls://localhost:{self.port}", "tls": context}


class S3(receivers.S3):
    """moto behind TLS."""

    def __init__(self, place: Path, authority: Authority) -> None:
        super().__init__(place)
        self._authority = authority
        self._tls_port = receivers.free_port()
        self._end: Callable[[], None] = lambda: None
        self.environment = {**self.environment, "AWS_ENDPOINT_URL": f"https://localhost:{self._tls_port}"}
        del self.environment["AWS_ALLOW_HTTP"]

    def start(self) -> None:
        super().start()
        self._end = accepting(self._tls_port, self._authority.context(), self._forward)

    def _forward(self, connection: ssl.SSLSocket) -> None:
        with socket.create_connection(("127.0.0.1", self.port)) as server:

            def answer() -> None:
                with suppress(OSError):
                    while chunk := server.recv(1 << 16):
                        connection.sendall(chunk)

            threading.Thread(target=answer, daemon=True).start()
            while chunk := connection.recv(1 << 16):
                server.sendall(chunk)

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        self._end()
        super().kill(number)
