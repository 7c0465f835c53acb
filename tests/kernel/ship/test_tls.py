"""TLS to each receiver: whom it trusts, and whom it shows a certificate."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import threading
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from helpers import tls
from helpers.receivers import CLI, Receiver, Server, position, ship_all, shipping
from helpers.recordings import HANG_S, events
from helpers.shipping import Answers, small
from helpers.support import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [pytest.mark.kernel, pytest.mark.filterwarnings("ignore"), pytest.mark.quiet_host]


@pytest.fixture
def authority(tmp_path: Path) -> tls.Authority:
    return tls.Authority(tmp_path / "authority")


def is_refused(directory: Path, state: Path, server: Server, text: str, *options: str) -> None:
    """It says why, tries again, counts that, and has shipped nothing. ``text`` is a regular expression."""
    [kind] = (word.removeprefix("--") for word in server.options[:1])
    with shipping(directory, state, server, *options) as process:
        wait_for(lambda: bool(re.search(text, process.messages.read_text())), text)
        wait_for(lambda: position(state, kind).get("counts", {"failures": 0})["failures"] >= 2, "it is tried again")
        assert process.end() == 0
    # When it changes, and not at each attempt.
    told = re.findall(f".*(?:{text}).*", process.messages.read_text())
    assert all(one != following for one, following in pairwise(told)), told
    found = position(state, kind)
    assert re.search(text, found["failing"])
    assert (found["counts"]["records"], found["counts"]["files"]) == (0, 0)


def keys_of(server: Receiver) -> list[str]:
    return [record["key"] for record in server.received() if record["type"] == "event"]


@pytest.mark.parametrize("kind", ["syslog", "nats", "s3"])
def test_an_unknown_authority(kind: str, tmp_path: Path, authority: tls.Authority) -> None:
    """Nothing is sent to it, and nothing is lost."""
    directory, state = tmp_path / "h", tmp_path / "s"
    small(directory, tmp_path / "work")
    make: dict[str, Callable[[], Receiver]] = {
        "syslog": lambda: tls.Syslog(tmp_path, authority.context()),
        "nats": lambda: tls.Nats(tmp_path, authority),
        "s3": lambda: tls.S3(tmp_path, authority),
    }
    server = make[kind]()
    server.start()
    try:
        text = "the certificate is not trusted: "
        is_refused(directory, state, server, text)
        assert server.received() == []
        another = tls.Authority(tmp_path / "another")
        is_refused(directory, tmp_path / "s2", server, text, "--ca", another.ca)
        ship_all(directory, state, server, "--ca", authority.ca)
        assert len(keys_of(server)) == len({*keys_of(server)}) == len(events(directory)) == 20
    finally:
        server.kill()


def test_another_hosts_certificate(tmp_path: Path, authority: tls.Authority) -> None:
    directory, server = tmp_path / "h", tls.Syslog(tmp_path, authority.context())
    small(directory, tmp_path / "work")

    class ByAddress(tls.Syslog):
        @property
        def options(self) -> list[str]:
            return ["--syslog", f"tls://127.0.0.1:{self.port}"]

    server = ByAddress(tmp_path, authority.context())
    server.start()
    text = "the certificate is not trusted: IP address mismatch, certificate is not valid for '127.0.0.1'"
    is_refused(directory, tmp_path / "s", server, text, "--ca", authority.ca)
    server.kill()
    assert server.content == b""


@pytest.mark.parametrize("kind", ["syslog", "nats", "otlp"])
def test_a_certificate_of_the_client(kind: str, tmp_path: Path, authority: tls.Authority) -> None:
    directory, state = tmp_path / "h", tmp_path / "s"
    small(directory, tmp_path / "work")
    context = authority.context(asks_client=True)
    make: dict[str, Callable[[], Server]] = {
        "syslog": lambda: tls.Syslog(tmp_path, context),
        "nats": lambda: tls.Nats(tmp_path, authority, asks_client=True),
        "otlp": lambda: Answers(tmp_path, lambda _: (200, {}), context),
    }
    server = make[kind]()
    server.start()
    try:
        # By TLS 1.3 the server says so after the handshake, when what the client writes can have failed already.
        text = "TLS: certificate required|TLS: the other side has closed the connection|the connection was closed"
        if kind == "nats":
            text += r"|the server may want a certificate \(--client-cert\)"
        is_refused(directory, state, server, text, "--ca", authority.ca)
        ship_all(directory, state, server, "--ca", authority.ca, "--client-cert", authority.client)
        if isinstance(server, Receiver):
            assert len(keys_of(server)) == len({*keys_of(server)}) == 20
    finally:
        server.kill()
    assert position(state, kind)["counts"]["records"] == 22


def test_rsyslog(tmp_path: Path, authority: tls.Authority) -> None:
    """A real server of RFC 5425, which wants to see a certificate."""
    if (reason := tls.Rsyslog.missing()) is not None:
        pytest.skip(reason)
    directory, state, server = tmp_path / "h", tmp_path / "s", tls.Rsyslog(tmp_path, authority)
    small(directory, tmp_path / "work")
    server.start()
    try:
        another = tls.Authority(tmp_path / "another")
        is_refused(directory, state, server, "the certificate is not trusted: ", "--ca", another.ca)
        words = ("--ca", authority.ca, "--client-cert", authority.client)
        ship_all(directory, state, server, *words)
        wait_for(lambda: len(keys_of(server)) >= 20, "it has written them")
        found = keys_of(server)
    finally:
        server.kill()
    assert len(found) == len({*found}) == 20
    assert position(state, "syslog")["counts"]["records"] == 22


def test_a_server_of_nats_that_does_not_encrypt_gets_nothing(tmp_path: Path, authority: tls.Authority) -> None:
    """nats-py would go on, with the token, unencrypted."""
    directory, server = tmp_path / "h", tls.Nats(tmp_path, authority, is_encrypted=False)
    small(directory, tmp_path / "work")
    got = b""
    with socket.create_server(("127.0.0.1", server.port)) as listening:

        def serve() -> None:
            nonlocal got
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection:
                    connection.sendall(b'INFO {"server_id":"x","version":"2.10.0","max_payload":1048576}\r\n')
                    while chunk := connection.recv(4096):
                        got += chunk

        threading.Thread(target=serve, daemon=True).start()
        server.environment = {"NATS_TOKEN": "secret"}
        is_refused(directory, tmp_path / "s", server, "the server does not encrypt", "--ca", authority.ca)
        listening.shutdown(socket.SHUT_RDWR)
    assert got == b""


def test_a_recorder_ships_by_tls(tmp_path: Path, authority: tls.Authority) -> None:
    from helpers.recorders import recording
    from helpers.recordings import delete

    directory, work = tmp_path / "h", tmp_path / "work"
    work.mkdir()
    server = tls.Syslog(tmp_path, authority.context(asks_client=True))
    server.start()
    words = ["--ca", authority.ca, "--client-cert", authority.client, "-p", os.getpid()]
    with recording(directory, *server.options, *words) as recorder:
        paths = delete(work, *range(20))
        wait_for(lambda: {*paths} <= {record.get("path") for record in server.received()}, "they arrive")
        assert recorder.end() == 0
    server.kill()


def test_files_that_are_none(tmp_path: Path, authority: tls.Authority) -> None:
    def said(*words: str) -> tuple[int, str]:
        command = [*CLI, "ship", "--syslog", "tls://localhost", "--directory", str(tmp_path), *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=HANG_S)
        assert "Traceback" not in done.stderr
        return done.returncode, done.stderr

    another = tls.Authority(tmp_path / "another")
    missing, empty = str(tmp_path / "missing"), tmp_path / "empty"
    empty.write_text("nothing\n")
    assert said("--ca", missing) == (1, f"rawtp: {missing}: No such file or directory\n")
    assert said("--ca", str(empty)) == (1, f"rawtp: {empty}: there is no certificate in it, or no key\n")
    assert said("--client-cert", str(empty))[1] == f"rawtp: {empty}: there is no certificate in it, or no key\n"
    code, text = said("--client-cert", another.server_cert, "--client-key", authority.server_key)
    assert (code, text.splitlines()[-1].partition("error: ")[2]) == (
        2,
        f"{another.server_cert}, {authority.server_key}: the key is another certificate's",
    )
    assert "--client-key needs --client-cert" in said("--client-key", authority.client)[1]
    command = [*CLI, "ship", "--otlp", "http://localhost", "--ca", authority.ca]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=HANG_S)
    assert "'http://localhost' is not encrypted, and takes no certificates" in done.stderr
    command = [*CLI, "ship", "--s3", "s3://b", "--client-cert", authority.client]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=HANG_S)
    assert "S3 takes no client certificate" in done.stderr


def encrypted(key: str, place: Path) -> Any:
    """The key with a password."""
    from cryptography.hazmat.primitives import serialization

    loaded = serialization.load_pem_private_key(Path(key).read_bytes(), None)
    place.write_bytes(
        loaded.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    return place


def test_nobody_is_asked_for_a_password(tmp_path: Path, authority: tls.Authority) -> None:
    key = encrypted(authority.server_key, tmp_path / "encrypted.key")
    command = [*CLI, "ship", "--syslog", "tls://localhost", "--client-cert", authority.server_cert]
    command += ["--client-key", str(key)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=HANG_S)
    assert (done.returncode, done.stderr.splitlines()[-1].partition("error: ")[2]) == (
        2,
        "the key is encrypted, and nobody is there to say its password",
    )
