"""Sealed files into a bucket of S3, or of whatever speaks its protocol: as they are, each once.

The objects are ``PREFIX/events/host=H/date=D/SESSION-N.parquet``, as in the recorder's directory. The lines of the
journal go to ``PREFIX/journal/host=H/date=D/SESSION-LINE.jsonl``, and names of containers to
``PREFIX/containers/host=H/date=D/TIME-DIGEST.jsonl``. No object is ever replaced: a put asks that there be
none of that name.
"""

from __future__ import annotations

import hashlib
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from rawtp.sinks import tls
from rawtp.sinks.base import NotTakenError, Receiver
from rawtp.sinks.records import to_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from obstore.store import ClientConfig

    from rawtp.sinks.base import Delivery, File, Origin

_SHA256 = "rawtp-sha256"
_LINES = "application/x-ndjson"
_TOOK = re.compile(r" in [0-9.]+[µnm]?s\b")
_CERTIFICATE = re.compile(r"\bInvalidCertificate\(\s*(\w+)")
_CAPITAL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._")


class S3(Receiver):
    """A bucket and a prefix: ``s3://BUCKET/PREFIX``.

    The keys, the region and the endpoint are those of the environment: ``AWS_ACCESS_KEY_ID``,
    ``AWS_SECRET_ACCESS_KEY``, ``AWS_SESSION_TOKEN``, ``AWS_REGION``, ``AWS_ENDPOINT_URL``; or those of the instance, of
    the container or of a web identity. Unencrypted HTTP needs ``AWS_ALLOW_HTTP=true``.

    Raises:
        ImportError: obstore is missing.
        OSError: the file of authorities cannot be read.
        ValueError: a setting that obstore refuses, or a client's certificate, which it does not take.
    """

    name = "s3"
    takes_files = True

    def __init__(self, url: str, environment: Mapping[str, str], files: tls.Files = tls.NONE) -> None:
        import obstore
        from obstore.store import S3Store

        self._obstore: Any = obstore
        self.target = url.rstrip("/")
        parts = urlsplit(url)
        self._prefix = parts.path.strip("/")
        allows_http = environment.get("AWS_ALLOW_HTTP", "").lower() in {"true", "1", "yes"}
        endpoint = environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL") or ""
        if endpoint.startswith("http://") and not allows_http:
            raise ValueError(f"{endpoint} is not encrypted: AWS_ALLOW_HTTP=true allows that")
        if files.cert is not None:
            raise ValueError("S3 takes no client certificate: its keys say who ships")
        roots: ClientConfig = {}
        if files.ca is not None:
            tls.context(files)
            roots["root_certificate"] = Path(files.ca).read_bytes()
        try:
            self._store = S3Store(
                parts.netloc,
                # The checksum goes along, and the server compares it. "etag": If-None-Match decides who is first.
                config={"checksum_algorithm": "SHA256", "conditional_put": "etag"},
                client_options={
                    "allow_http": allows_http,
                    "timeout": "60s",
                    "connect_timeout": "10s",
                    "user_agent": "rawtp",
                    **roots,
                },
                # The shipper tries again, and says so meanwhile.
                retry_config={"max_retries": 0},
            )
        except obstore.exceptions.BaseError as error:
            raise ValueError(_first_line(error)) from None

    def put(self, file: File) -> None:
        """Put a sealed file. One that is there already with the same content was put before."""
        kind = "application/vnd.apache.parquet"
        name = file.name
        if not self._put(name, file.content, kind):
            # Two hosts of one name have sealed a file at the same nanosecond, or share a machine's image.
            stem, dot, suffix = name.rpartition(".")
            name = f"{stem}-{file.origin.machine_id[:8] or 'other'}{dot}{suffix}"
            if not self._put(name, file.content, kind):
                raise NotTakenError(f"{self.target}/{name} has another content")

    def send(self, delivery: Delivery) -> int:
        """Put lines of the journal, or names of containers."""
        records = list(delivery.records)
        if records and records[0]["type"] == "container":
            content = _lines(records)
            name = _containers_name(delivery.origin, records, content)
            if not self._put(name, content, _LINES):
                raise NotTakenError(f"{self.target}/{name} has another content")
            return 0
        while records:
            name = _journal_name(delivery.origin, records[0])
            content = _lines(records)
            if self._put(name, content, _LINES):
                return 0
            # Put before the position was kept, with fewer lines or more.
            there = self._get(name).splitlines()
            if not there or to_json(records[0]) != there[0]:
                raise NotTakenError(f"{self.target}/{name} has another content")
            records = records[len(there) :]
        return 0

    def _put(self, name: str, content: bytes, kind: str) -> bool:
        """Put an object. False: there is one of that name, with another content."""
        path = f"{self._prefix}/{name}" if self._prefix else name
        digest = hashlib.sha256(content).hexdigest()
        errors = self._obstore.exceptions
        try:
            self._obstore.put(
                self._store,
                path,
                content,
                attributes={"Content-Type": kind, _SHA256: digest},
                mode="create",
                use_multipart=False,
            )
        except (errors.AlreadyExistsError, errors.PreconditionError):
            return self._is_there(path, len(content), digest)
        except (errors.BaseError, OSError) as error:
            raise NotTakenError(_first_line(error)) from None
        return True

    def _is_there(self, path: str, size: int, digest: str) -> bool:
        try:
            found = self._obstore.get(self._store, path, options={"head": True})
            if found.meta["size"] != size:
                return False
            known = found.attributes.get(_SHA256)
            if known is None:
                content = bytes(self._obstore.get(self._store, path).bytes())
                known = hashlib.sha256(content).hexdigest()
        except (self._obstore.exceptions.BaseError, OSError) as error:
            raise NotTakenError(_first_line(error)) from None
        return bool(known == digest)

    def _get(self, name: str) -> bytes:
        path = f"{self._prefix}/{name}" if self._prefix else name
        try:
            return bytes(self._obstore.get(self._store, path).bytes())
        except (self._obstore.exceptions.BaseError, OSError) as error:
            raise NotTakenError(_first_line(error)) from None


def _lines(records: Iterable[Mapping[str, Any]]) -> bytes:
    return b"".join(to_json(record) + b"\n" for record in records)


def _partition(kind: str, host: str, time_ns: int) -> str:
    plain = "".join(char if char in _PLAIN else "".join(f"%{byte:02X}" for byte in char.encode()) for char in host)
    return f"{kind}/host={plain or 'unknown'}/date={time.strftime('%Y-%m-%d', time.gmtime(time_ns / 1e9))}"


def _containers_name(origin: Origin, records: Sequence[Mapping[str, Any]], content: bytes) -> str:
    """By its content: what is put again after a lost answer has the same name."""
    seen_ns = max(int(record["seen_ns"]) for record in records)
    digest = hashlib.sha256(content).hexdigest()[:16]
    return f"{_partition('containers', origin.host, seen_ns)}/{seen_ns:019}-{digest}.jsonl"


def _journal_name(origin: Origin, record: dict[str, Any]) -> str:
    # A line of the journal, or a file that was not shipped.
    of = record.get("line")
    if of is None:
        of = "unshipped-" + str(record.get("file", "")).rpartition("/")[2].removesuffix(".parquet")
    else:
        of = f"{int(of):06}"
    return f"{_partition('journal', origin.host, origin.session)}/{origin.session:019}-{of}.jsonl"


def _first_line(error: BaseException) -> str:
    """The error's own words, without the time that it took. obstore adds the debug form of its parts below, which alone
    says that a certificate is not trusted."""
    if found := _CERTIFICATE.search(str(error)):
        return f"the certificate is not trusted: {_CAPITAL.sub(' ', found[1]).lower()}"
    return _TOOK.sub("", " ".join(str(error).split("\n\n")[0].split()))[:500]
