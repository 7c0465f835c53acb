"""Runs a recorder until a signal ends it: its heartbeat, what it tells systemd, and its account."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from rawtp._core import RawtpError
from rawtp._errors import reason
from rawtp._record.status_file import StatusFile

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any, Literal

    from rawtp._core import Recorder
    from rawtp._record.companion import Companion
    from rawtp._record.heartbeat import Heartbeat
    from rawtp._record.notify import Notifier
    from rawtp._record.shippers import Shippers
    from rawtp._record.signals import Signals

_TICK_S = 1.0
_ACCOUNT_S = 10.0  # between accounts where nothing changes
_SEAL_S = 30.0
_GAP_S = 5.0
_DIRECTORY = {
    "here": "the directory is where it was again",
    "moved": "the directory was moved, or something is in its place: it is recorded into where it is now",
    "removed": "the directory was removed, with what was recorded into it",
}


class Service:
    """A recorder that records. ``say`` writes a line for the journal."""

    def __init__(
        self,
        recorder: Recorder,
        heartbeat: Heartbeat,
        notifier: Notifier,
        signals: Signals,
        account: Mapping[str, Any],
        say: Callable[[str], None],
        shippers: Shippers,
        companions: Sequence[Companion] = (),
    ) -> None:
        self._shippers = shippers
        self._recorder = recorder
        self._heartbeat = heartbeat
        self._notifier = notifier
        self._signals = signals
        self._account = account
        self._say = say
        self._companions = companions
        self._file = StatusFile(recorder._open_directory())
        self._told: tuple[object, ...] | None = None
        self._quarantined = len(recorder.recovered["quarantined"])  # which the start has told
        self._accounted_s = float("-inf")

    def run(self) -> Literal["signal", "stopped", "removed"]:
        """Record until a signal asks for the end, and close. ``"stopped"``: the recorder has stopped by itself;
        ``"removed"``: its directory was removed.

        Raises:
            OSError: events in memory could not be written.
            RawtpError: the recorder gave up.
        """
        for companion in self._companions:
            companion.start()
        self._notifier.send(READY=1, STATUS="recording")
        end: Literal["signal", "stopped", "removed"] = "stopped"
        try:
            end = self._watch()
        finally:
            # Of a service that stops, systemd waits for the end; one whose directory was removed begins anew.
            self._notifier.send(
                **({"STATUS": "beginning anew"} if end == "removed" else {"STOPPING": 1, "STATUS": "closing"})
            )
            try:
                self._recorder.close()
            finally:
                try:
                    self._shippers.close()
                finally:
                    for companion in self._companions:
                        self._say_all(companion.finish())
                self._write(self._recorder.status())
                self._file.close()
                self._notifier.close()
        return end

    def _watch(self) -> Literal["signal", "stopped", "removed"]:
        while not self._signals.is_end:
            if self._signals.is_hangup:
                self._signals.is_hangup = False
                self._seal()
            if self._tick() == "removed":
                return "removed"
            if self._signals.wait(self._recorder.wait, _TICK_S):
                return "signal" if self._signals.is_end else "stopped"
        return "signal"

    def _tick(self) -> str:
        """Look how it goes, and tell; where the directory is."""
        status = self._recorder.status()
        now_s = time.monotonic()
        self._shippers.tick(now_s)
        came_back = self._heartbeat.tick(now_s, status["heartbeats"])
        # Without a heartbeat the writer's thread, which reads the tracer, is what can be seen to live.
        if came_back or (self._heartbeat.state == "none" and status["running"]):
            self._notifier.send(WATCHDOG=1)
        told = (self._heartbeat.state, status["failing"], status["dropped"] > 0, status["directory"])
        for companion in self._companions:
            self._say_all(companion.said())
        if status["quarantined"] > self._quarantined:
            self._quarantined = status["quarantined"]
            self._say(f"in quarantine, and a gap in the recording: {status['last_error']}")
        if told != self._told:
            self._tell(told, status)
        if told != self._told or came_back or now_s >= self._accounted_s + _ACCOUNT_S:
            self._accounted_s = now_s
            self._write(status)
        self._told = told
        return str(status["directory"])

    def _tell(self, told: tuple[object, ...], status: Mapping[str, Any]) -> None:
        """Say what has changed, once."""
        before = self._told or ("waiting", False, False, "here")
        state, failing, dropped, directory = told
        if state == "late" and before[0] != "late":
            # From the last one on: nobody knows when the hooks fell silent.
            self._recorder._set_silent(status["last_heartbeat_ns"] or status["session"])
            # Who is told of it can rely on the gap, even if the recorder is killed now.
            self._is_done(self._recorder.sync, _GAP_S, "the gap may not be written yet")
        if state != before[0]:
            text = {
                "late": "the heartbeat does not come back: what happens now may not be recorded",
                "ok": "the heartbeat comes back again" if before[0] == "late" else None,
                "none": f"there is no heartbeat: {self._heartbeat.reason}",
            }.get(str(state))
            if text:
                self._say(text)
        if directory != before[3]:
            self._say(_DIRECTORY[str(directory)])
        # A directory that is gone is why.
        if failing != before[1] and directory != "removed":
            error = status["last_error"] or "unknown"
            self._say(
                f"the log cannot be written: {error}; events wait in memory" if failing else "the log is written again"
            )
        if dropped and not before[2]:
            self._say("memory is full as well: events are lost, and counted")
        parts = ["recording"]
        if state == "late":
            parts = ["the heartbeat does not come back"]
        if directory != "here":
            parts.append(_DIRECTORY[str(directory)])
        elif failing:
            parts.append(f"the log cannot be written: {status['last_error']}")
        self._notifier.send(STATUS=", ".join(parts))

    def _say_all(self, lines: list[str]) -> None:
        for line in lines:
            self._say(line)

    def _seal(self) -> None:
        if self._is_done(self._recorder.seal, _SEAL_S, "SIGHUP: the log was not sealed"):
            self._say("SIGHUP: the log is sealed")

    def _is_done(self, work: Callable[[float], None], timeout_s: float, failure: str) -> bool:
        """Whether the recorder did it. Where it did not, that is said: one that has stopped ends soon by itself."""
        try:
            work(timeout_s)
        except (OSError, RawtpError, ValueError) as error:  # TimeoutError is an OSError
            self._say(f"{failure}: {reason(error)}")
            return False
        return True

    def _write(self, status: Mapping[str, Any]) -> None:
        last_s = self._heartbeat.last_s
        beat = {
            "state": self._heartbeat.state,
            "reason": self._heartbeat.reason,
            "last_ns": None if last_s is None else time.time_ns() - int((time.monotonic() - last_s) * 1e9),
        }
        self._file.write(
            {"pid": os.getpid(), "written_ns": time.time_ns(), "heartbeat": beat, **self._account, "status": status}
        )
