"""An OTLP receiver: notes each log record as a line of JSON before it answers.

It reads them with the types that OpenTelemetry publishes.

``argv[1]`` is the port, ``argv[2]`` the file, and ``argv[3]`` what one request in so many is answered with: ``429`` and
``Retry-After``.
"""

from __future__ import annotations

import gzip
import itertools
import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

PORT, FILE, EVERY = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
REQUESTS = itertools.count(1)


def cut_torn_line(path: Path) -> None:
    """What a server before this one was killed in the middle of was never answered."""
    if path.exists():
        text = path.read_bytes()
        os.truncate(path, text.rfind(b"\n") + 1)


def plain(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [plain(one) for one in value.array_value.values]
    if kind == "kvlist_value":
        return {one.key: plain(one.value) for one in value.kvlist_value.values}
    if kind == "bytes_value":
        return {"bytes": value.bytes_value.hex()}
    return getattr(value, kind) if kind else None


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if EVERY and next(REQUESTS) % EVERY == 0:
            self.answer(429, b"", {"Retry-After": "0"})
            return
        assert self.headers["Content-Encoding"] == "gzip"
        assert self.path == "/v1/logs"
        request = ExportLogsServiceRequest.FromString(gzip.decompress(body))
        lines = []
        for resource in request.resource_logs:
            of_resource = {one.key: plain(one.value) for one in resource.resource.attributes}
            for scope in resource.scope_logs:
                for record in scope.log_records:
                    values = {one.key: plain(one.value) for one in record.attributes}
                    assert len(values) == len(record.attributes), "an attribute stands there twice"
                    lines.append(
                        {
                            "time": record.time_unix_nano,
                            "name": record.event_name,
                            "severity": record.severity_text,
                            "body": record.body.string_value,
                            "attributes": values,
                            "resource": of_resource,
                            "scope": scope.scope.name,
                        }
                    )
        with open(FILE, "a", encoding="utf-8") as file:  # noqa: PTH123
            file.write("".join(json.dumps(line) + "\n" for line in lines))
        self.answer(200, ExportLogsServiceResponse().SerializeToString(), {})

    def answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


cut_torn_line(Path(FILE))
ThreadingHTTPServer.allow_reuse_address = True
ThreadingHTTPServer(("127.0.0.1", PORT), Handler).serve_forever()
