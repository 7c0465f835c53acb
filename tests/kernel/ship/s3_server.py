"""moto's S3 as a process that can be killed: ``s3_server.py PORT FILE``.

moto keeps its objects in memory, and can record the requests that it gets. So a new process first has those of the one
before again, and listens then.
"""

from __future__ import annotations

import base64
import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

port, file = int(sys.argv[1]), Path(sys.argv[2])
os.environ["MOTO_RECORDER_FILEPATH"] = str(file)

from moto.moto_api import recorder  # noqa: E402 - by its name in the environment
from werkzeug.serving import make_server  # noqa: E402
from werkzeug.test import Client  # noqa: E402

server: Any = importlib.import_module("moto.server")
application: Any = server.DomainDispatcherApplication(server.create_backend_app)
client = Client(application)
content = file.read_bytes() if file.exists() else b""
# A request that was cut off has not been answered.
whole = content[: content.rfind(b"\n") + 1]
file.write_bytes(whole)
for line in whole.splitlines():
    request = json.loads(line)
    body = base64.b64decode(request["body"]) if request["body_encoded"] else request["body"]
    url = urlsplit(request["url"])
    client.open(
        url.path,
        method=request["method"],
        base_url=f"http://127.0.0.1:{port}",
        query_string=url.query,
        headers=request["headers"],
        data=body,
    )
recorder.start_recording()
make_server("127.0.0.1", port, application, threaded=True).serve_forever()
