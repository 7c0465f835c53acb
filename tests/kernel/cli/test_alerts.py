"""``--alert`` of ``rawtp watch`` and ``rawtp record``, with a real command and a real HTTP server."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from helpers.command_line import cli, delete, end
from helpers.recorders import asked, recording
from helpers.support import wait_for
from helpers.webhooks import serving

pytestmark = pytest.mark.kernel


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory whose paths have no links in them."""
    real = Path(os.path.realpath(tmp_path)) / "place"
    real.mkdir()
    return real


def rules(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "rules.toml"
    path.write_text(text)
    return path


def until_told(requests: list[tuple[str, dict[str, str], bytes]], count: int) -> list[dict[str, object]]:
    wait_for(lambda: len(requests) >= count, f"{count} alerts")
    return [json.loads(body) for _, _, body in requests]


def test_rules_that_cannot_match_are_told(tmp_path: Path, place: Path) -> None:
    """By a watch, and by a recorder."""
    text = """
        [notify.program]
        type = "command"
        argv = ["/bin/true"]
        [[rules]]
        name = "renames"
        action = "rename"
        notify = "program"
        [[rules]]
        name = "elsewhere"
        path = "/nonexistent"
        notify = "program"
    """
    told = [
        "rawtp: rule 'renames' matches nothing: no call that is watched (-s) does rename\n",
        "rawtp: rule 'elsewhere' matches nothing: its path is outside of -P/--path\n",
    ]
    options = ("-s", "delete", "-P", place, "--alert", rules(tmp_path, text))
    _, _, err = asked("-d", "0.1s", *options)
    assert err.startswith("".join(told))
    with recording(tmp_path / "history", *options) as recorder:
        wait_for(lambda: told[-1] in recorder.messages, "it is told")
        assert told[0] in recorder.messages


def test_a_watch_tells_a_server_and_runs_a_command(tmp_path: Path, place: Path) -> None:
    program = tmp_path / "program"
    program.write_text(f'#!/bin/sh\necho "$RAWTP_REAL_PATH" >> {tmp_path}/told\n')
    program.chmod(0o755)
    with serving() as server:
        text = f"""
            [notify.server]
            type = "webhook"
            url = "http://127.0.0.1:{server.port}/"
            [notify.program]
            type = "command"
            argv = ["{program}"]
            [[rules]]
            name = "place"
            path = "{place}/**/*.db"
            notify = ["server", "program"]
            cooldown = 0
        """
        with cli("-q", "--alert", rules(tmp_path, text)) as process:

            def is_live() -> bool:
                delete(place / "live.db")
                return bool(server.requests)

            wait_for(is_live, "it watches")
            delete(place / "other.txt")
            delete(place / "hostile\x1b.db")
            wait_for(lambda: any(b"hostile" in body for _, _, body in server.requests), "the alert")
            code, out, err = end(process)
    assert (code, out, err) == (0, "", "")
    documents = [json.loads(body) for _, _, body in server.requests]
    assert {document["rule"] for document in documents} == {"place"}
    assert documents[-1]["event"]["real_path"] == f"{place}/hostile\x1b.db"
    assert documents[-1]["message"].endswith(f"deleted {place}/hostile\\x1b.db")
    assert all("other" not in document["event"]["real_path"] for document in documents)
    assert f"{place}/hostile\x1b.db\n" in (tmp_path / "told").read_text()


def test_mass_deletion_is_told_once_with_exact_counts(tmp_path: Path, place: Path) -> None:
    with serving() as server:
        text = f"""
            [notify.server]
            type = "webhook"
            url = "http://127.0.0.1:{server.port}/"
            [[rules]]
            name = "mass"
            path = "{place}/mass"
            action = "delete"
            count = 100
            window = "1m"
            notify = "server"
            [[rules]]
            name = "live"
            path = "{place}/live"
            notify = "server"
        """
        (place / "mass").mkdir()
        for number in range(250):
            (place / "mass" / str(number)).touch()
        with cli("-q", "--alert", rules(tmp_path, text)) as process:

            def is_live() -> bool:
                delete(place / "live")
                return bool(server.requests)

            wait_for(is_live, "it watches")
            for number in range(250):
                (place / "mass" / str(number)).unlink()
            wait_for(lambda: any(b'"mass"' in body for _, _, body in server.requests), "the alert")
            assert end(process)[0] == 0
    found = [document for _, _, body in server.requests if (document := json.loads(body))["rule"] == "mass"]
    assert [(document["kind"], document["count"]) for document in found] == [("count", 100), ("repeat", 150)]


def test_a_notifier_that_fails_stops_nothing(tmp_path: Path, place: Path) -> None:
    text = f"""
        [notify.broken]
        type = "command"
        argv = ["/bin/false"]
        [[rules]]
        name = "place"
        path = "{place}"
        notify = "broken"
        cooldown = 0
    """
    with cli("--alert", rules(tmp_path, text), "-P", place) as process:
        assert process.stdout
        out = process.stdout.fileno()

        def is_shown() -> bool:
            delete(place / "x")
            return b'"action":"delete"' in os.read(out, 65536)

        for _ in range(3):
            # Each is shown, whatever has become of the alert about the one before.
            wait_for(is_shown, "it is shown")
        code, _, err = end(process)
    assert code == 0
    assert "rawtp: notify.broken: failed: /bin/false: exit code 1\n" in err
    assert err.count("notify.broken: failed") == 1
    assert f"deleted {place}/x\n" in err
    assert " 0 sent, " in err


@pytest.mark.parametrize("command", ["watch", "record"])
def test_a_wrong_rule_is_an_error_at_the_start(command: str, tmp_path: Path) -> None:
    path = rules(tmp_path, "[notify.n]\ntype = 'journald'\n[[rules]]\nname = 'r'\nnotify = 'n'\npath = 'x'\n")
    directory = ("--directory", tmp_path / "history") if command == "record" else ()
    code, out, err = asked(command, *directory, "--alert", path)
    assert (code, out) == (2, "")
    assert err.endswith(f"\nrawtp: error: argument --alert: {path}: line 6: path: 'x' is not absolute\n")
    assert not (tmp_path / "history").exists()
    code, _, err = asked(command, *directory, "--alert", tmp_path / "none")
    assert (code, err) == (1, f"rawtp: cannot read the rules: {tmp_path}/none: No such file or directory\n")


def test_a_recorder_tells_what_it_has_recorded(tmp_path: Path, place: Path) -> None:
    history = place.parent / "history"
    with serving(500) as server:
        text = f"""
            [notify.server]
            type = "webhook"
            url = "http://127.0.0.1:{server.port}/"
            [[rules]]
            name = "place"
            path = "{place}"
            notify = "server"
            cooldown = 0
        """
        path = rules(tmp_path, text)
        with recording(history, "--alert", path, "-p", os.getpid()) as recorder:
            for number in range(20):
                delete(place / f"first {number}")
            # The first try has failed.
            assert len(until_told(server.requests, 21)) == 21
            # What is sealed meanwhile is found as well, and nothing twice.
            recorder.process.send_signal(signal.SIGHUP)
            for number in range(20):
                delete(place / f"second {number}")
            wait_for(lambda: "the log is sealed" in recorder.messages, "it is sealed")
            until_told(server.requests, 41)
            name = b"hostile \xff"
            os.close(os.open(os.fsencode(place) + b"/" + name, os.O_CREAT | os.O_WRONLY))
            os.unlink(os.fsencode(place) + b"/" + name)  # noqa: PTH108 - bytes
            assert recorder.end() == 0
        documents = until_told(server.requests, 42)[1:]
    events = [document["event"] for document in documents]
    names = [Path(event["real_path"]).name for event in events]  # type: ignore[index]
    assert names[:40] == [f"{which} {number}" for which in ("first", "second") for number in range(20)]
    assert names[40:] == ["hostile \\xff"]
    assert "real_path_bytes" in events[-1]  # type: ignore[operator]
    assert "rules matched 41 times, 41 alerts; server: 41 sent, 0 failed, 0 dropped" in recorder.messages
    assert recorder.messages.count("rawtp: alert: place: ") == 41


def test_the_unit_of_a_recorder_with_alerts(tmp_path: Path) -> None:
    path = rules(
        tmp_path, "[notify.n]\ntype = 'webhook'\nurl = 'https://example.org'\n[[rules]]\nname = 'r'\nnotify = 'n'\n"
    )
    code, unit, _ = asked("record", "--install", "--alert", os.path.relpath(path))
    assert code == 0
    assert f"--alert {path}\n" in unit
    assert "\nRestrictAddressFamilies=AF_UNIX AF_INET AF_INET6\n" in unit
    assert "PrivateNetwork" not in unit
    path.write_text("[notify.n]\ntype = 'journald'\n[[rules]]\nname = 'r'\nnotify = 'n'\n")
    assert "\nPrivateNetwork=yes\n" in asked("record", "--install", "--alert", path)[1]
