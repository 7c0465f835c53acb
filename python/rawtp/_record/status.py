"""The state of a recorder, as another process sees it: by what is on the disk."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from rawtp._core import HistoryReader, __version__
from rawtp._record import status_file
from rawtp.formats import ledger
from rawtp.formats.escape import printable, size

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from rawtp.formats.timestamp import Clock

_MAX_AGE_NS = 30_000_000_000  # of an account, which is written every 10 s


def read(directory: str, now_ns: int) -> dict[str, Any]:
    """The state. ``is_well``: it records, and nothing in ``problems`` says otherwise.

    Raises:
        OSError: the directory cannot be read, or nobody has recorded there.
    """
    reader = HistoryReader(directory)
    is_recording = reader.is_recording()
    account = status_file.read(directory)
    losses = reader.losses()
    found: dict[str, Any] = {
        "version": __version__,
        "directory": directory,
        "is_recording": is_recording,
        "history": reader.stats(),
        "watched_ns": reader.coverage(),
        "gaps": len(reader.gaps()),
        "lost": sum(loss["count"] for loss in losses),
        "recorder": account,
    }
    found["problems"] = _problems(is_recording, account, now_ns)
    found["is_well"] = not found["problems"]
    return found


def _problems(is_recording: bool, account: Mapping[str, Any] | None, now_ns: int) -> list[str]:
    if not is_recording:
        return ["nothing is recorded now"]
    try:
        if account is None:
            return ["the recorder gives no account"]
        problems = []
        if now_ns - account["written_ns"] > _MAX_AGE_NS:
            problems.append(f"the recorder's account is {_seconds(now_ns - account['written_ns'])} old")
        if account["heartbeat"]["state"] == "late":
            problems.append("the heartbeat does not come back: what happens now may not be recorded")
        if account["status"]["directory"] == "moved":
            problems.append("the recorder was started with another name of this directory, which leads elsewhere now")
        if account["status"]["failing"]:
            problems.append(f"the log cannot be written: {account['status']['last_error']}")
    except (KeyError, TypeError):
        return ["the recorder's account is of another version"]
    return problems


def lines(found: Mapping[str, Any], now_ns: int, clock: Clock) -> list[str]:
    """The state as text, safe to write to a terminal."""
    history, account = found["history"], found["recorder"]
    shown = [f"recording: {'yes' if found['is_recording'] else 'no'}"]
    if found["is_recording"] and account is not None:
        with suppress(KeyError, TypeError, ValueError):  # an account of another version
            shown += _of_account(account, now_ns, clock)
    if watched := found["watched_ns"]:
        shown.append(f"watched: from {clock.of_date(watched[0][0])} to {clock.of_date(watched[-1][1])}")
    shown.append(f"gaps: {found['gaps']}")
    shown.append(f"lost: {ledger.events(found['lost'])}")
    shown.append(f"sealed: {ledger.counted(history['segments'], 'file')}, {size(history['segment_bytes'])}")
    shown.append(f"not sealed yet: {ledger.counted(history['wal_files'], 'log')}, {size(history['wal_bytes'])}")
    if history["quarantined"]:
        shown.append(f"damaged, in quarantine: {ledger.counted(history['quarantined'], 'file')}")
    return shown + [f"problem: {printable(text)}" for text in found["problems"]]


def _of_account(account: Mapping[str, Any], now_ns: int, clock: Clock) -> list[str]:
    beat, status = account["heartbeat"], account["status"]
    shown = [f"since: {clock.of_date(int(account['start_ns']))}, pid {int(account['pid'])}"]
    if beat["state"] == "none":
        shown.append(f"heartbeat: none: {printable(str(beat['reason']))}")
    elif beat["last_ns"] is None:
        shown.append("heartbeat: none came back yet")
    else:
        shown.append(f"heartbeat: came back {_seconds(now_ns - int(beat['last_ns']))} ago")
    if status["last_ack_ns"] is not None:
        shown.append(
            f"acknowledged: {ledger.events(int(status['acknowledged']))}, the last"
            f" {_seconds(now_ns - int(status['last_ack_ns']))} ago"
        )
    return shown


def _seconds(ns: int) -> str:
    return f"{max(ns, 0) / 1e9:.1f} s"
