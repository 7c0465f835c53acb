"""Sealed files in a bucket."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from helpers import receivers
from helpers.receivers import ship_all
from helpers.recordings import HANG_S, delete, recording, sealed

if TYPE_CHECKING:
    from collections.abc import Iterator


pytestmark = [pytest.mark.kernel, pytest.mark.filterwarnings("ignore")]


@pytest.fixture
def s3(tmp_path: Path) -> Iterator[receivers.S3]:
    server = receivers.S3(tmp_path)
    server.start()
    yield server
    server.kill()


def test_s3(tmp_path: Path, s3: receivers.S3) -> None:
    """Files as they are; a second time nothing is put; another content under the same name is no reason to stop."""
    directory, work = tmp_path / "h", tmp_path / "work"
    work.mkdir()
    with recording(directory) as recorder:
        delete(work, *range(100))
        recorder.seal(HANG_S)
        ship_all(directory, tmp_path / "s", s3)
        assert len(s3.objects()) == 2
        delete(work, *range(10))
        recorder.seal(HANG_S)
        # Somebody has put something else in its place.
        *_, second = sealed(directory)
        name = f"fleet/{second.relative_to(directory)}"
        s3.client().put_object(Bucket="bucket", Key=name, Body=b"else")
        ship_all(directory, tmp_path / "s", s3)
    ship_all(directory, tmp_path / "s", s3)
    found = s3.objects()
    first, second = sealed(directory)
    assert found[f"fleet/{first.relative_to(directory)}"] == first.read_bytes()
    assert found[name] == b"else"
    other = next(key for key in found if key.startswith(name.removesuffix(".parquet") + "-"))
    assert found[other] == second.read_bytes()
    head = s3.client().head_object(Bucket="bucket", Key=other)
    assert head["Metadata"]["rawtp-sha256"] == hashlib.sha256(second.read_bytes()).hexdigest()
    lines = [json.loads(line) for key, text in found.items() if "/journal/" in key for line in text.splitlines()]
    assert [line["type"] for line in sorted(lines, key=lambda line: line["line"])] == ["session", "through"]
    # Without its position it finds that everything is there.
    shutil.rmtree(tmp_path / "s")
    ship_all(directory, tmp_path / "s", s3)
    assert s3.objects() == found
