"""``rawtp ship`` as a process: beside a recorder, its secrets, what it says."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from helpers import receivers
from helpers.receivers import CLI, position, ship_all, shipping
from helpers.recordings import HANG_S, delete, events, recording
from helpers.shipping import small
from helpers.support import wait_for

if TYPE_CHECKING:
    pass


pytestmark = [pytest.mark.kernel, pytest.mark.filterwarnings("ignore")]


@pytest.mark.quiet_host
def test_a_dead_receiver_does_not_hold_the_recorder(tmp_path: Path) -> None:
    """``rawtp record`` has a process of its own ship, which comes back when it is killed, and ends with it."""
    from helpers.recorders import recording as running

    directory, work, server = tmp_path / "h", tmp_path / "work", receivers.Otlp(tmp_path)
    work.mkdir()
    with running(directory, "--otlp", server.options[1], "--pid", os.getpid()) as recorder:
        wait_for(lambda: "takes nothing: Connection refused" in recorder.messages, "the receiver is dead")
        paths = delete(work, *range(50))
        wait_for(lambda: len(events(directory)) >= 50, "it records")
        children = Path(f"/proc/{recorder.process.pid}/task/{recorder.process.pid}/children").read_text().split()
        [child] = map(int, children)
        os.kill(child, signal.SIGKILL)
        wait_for(lambda: "was ended by signal 9; it is started again" in recorder.messages, "it is started again")
        server.start()
        wait_for(lambda: {line["path"] for line in server.received()} >= {*paths}, "the events arrive")
        server.kill()
        assert recorder.end() == 0
    assert position(directory / "sinks", "otlp")["counts"]["records"] >= 50


def test_secrets_are_not_on_the_command_line(tmp_path: Path) -> None:
    def refused(*words: str) -> str:
        done = subprocess.run([*CLI, "ship", *words], capture_output=True, text=True, check=False, timeout=HANG_S)
        assert done.returncode == 2, done.stderr
        return done.stderr

    assert "can be seen by everybody" in refused("--otlp", "https://user:secret@localhost")
    assert "secret" not in refused("--nats", "nats://user:secret@localhost")
    assert "must begin with s3://" in refused("--s3", "https://bucket")
    assert "one receiver, please" in refused("--s3", "s3://a", "--otlp", "http://localhost")
    file = tmp_path / "secrets"
    file.write_text("AWS_ALLOW_HTTP=true\nnonsense secret\n")
    file.chmod(0o604)
    assert "everybody may read" in refused("--s3", "s3://bucket", "--credentials", str(file))
    file.chmod(0o600)
    text = refused("--s3", "s3://bucket", "--credentials", str(file))
    assert "line 2 is not NAME=value" in text
    assert "secret\n" not in text.splitlines()[-1].removesuffix(str(file))


def test_status(tmp_path: Path, otlp: receivers.Otlp) -> None:
    directory = tmp_path / "h"
    small(directory, tmp_path / "work")
    ship_all(directory, tmp_path / "s", otlp)

    def asked() -> tuple[int, dict[str, Any]]:
        command = [*CLI, "ship", "--status", "--json", "--state", str(tmp_path / "s")]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=HANG_S)
        return done.returncode, json.loads(done.stdout)

    code, found = asked()
    assert code == 0
    assert found["otlp"]["counts"]["records"] == len(events(directory)) + 2
    assert found["otlp"]["failing"] is None
    otlp.kill()
    with recording(directory):
        pass
    with shipping(directory, tmp_path / "s", otlp) as process:
        wait_for(lambda: "takes nothing" in process.messages.read_text(), "it fails")
        assert process.end() == 0
    code, found = asked()
    assert (code, found["otlp"]["failing"]) == (1, "Connection refused")
