"""What a command made go, what fails because of it, and what git still has: :meth:`rawtp.RunResult.report`."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from rawtp._core import __version__
from rawtp._report import git, losses
from rawtp._report.conditions import Conditions, in_order
from rawtp._report.losses import Losses
from rawtp.formats import ledger
from rawtp.formats.raw_bytes import exact, visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rawtp._report.git import Recovery
    from rawtp._report.losses import Loss

FORMATS = ("md", "json", "sarif")


class Report:
    """What a command deleted, overwrote, truncated and moved, with sizes, and what git still has of it.

    A notebook shows it. It grows while events are added, up to 20,000 different files; more are counted only.
    """

    fields = losses.FIELDS

    def __init__(
        self, command: Sequence[str], conditions: Conditions | None = None, directory: str | None = None
    ) -> None:
        self.command = tuple(command)
        """The command's words."""
        self.directory = directory or os.getcwd()  # noqa: PTH109 - as real_path names it
        """The directory that paths are shown relative to."""
        self.conditions = conditions or Conditions()
        self.losses = Losses()
        self.returncode: int | None = None
        """The command's exit code."""
        self.start_ns: int | None = None
        """Unix time of the start, in nanoseconds."""
        self.problems: list[str] = []
        """Why this may not be all."""
        self.recovery: Mapping[str, Recovery] = {}
        """What git has, by path."""
        self._met: set[str] = set()

    @property
    def broken_limits(self) -> list[str]:
        """The conditions on sums that hold, or that nothing tells not to."""
        found = [*self.conditions.of_all(self.losses), *self.undecided]
        return in_order(self.conditions.texts, found)

    @property
    def undecided(self) -> list[str]:
        """Those of ``broken`` of which nothing tells whether they hold, since the sizes of some files are not known."""
        return self.conditions.undecided(self.losses)

    @property
    def broken(self) -> list[str]:
        """The conditions that hold, or that nothing tells not to, and so fail the command."""
        return in_order(self.conditions.texts, {*self._met, *self.broken_limits})

    def add(self, events: Iterable[Mapping[str, Any]]) -> None:
        """Take these events."""
        for loss in self.losses.add(events):
            loss.failing = self.conditions.of(loss)
            self._met.update(loss.failing)
            self.losses.keep(loss)

    def finish(self, returncode: int, lost: int | None) -> None:
        """Take the end: the exit code, the number of events that were lost; and ask git."""
        self.returncode = returncode
        if lost is None or lost:
            count = "an unknown number of events" if lost is None else ledger.events(lost)
            self.problems.append(f"{count} were lost: there may be more than this report has")
        if self.undecided:
            count = ledger.events(self.losses.unknown_sizes)
            self.problems.append(f"{', '.join(self.undecided)}: it may hold, since the sizes of {count} are not known")
        answer = git.recoveries(self.losses.listed)
        self.recovery = answer.found
        self.problems += [f"git: {problem}" for problem in answer.problems]

    def relative(self, path: str) -> str:
        """The path relative to the directory where it is below that, else as it is."""
        top = self.directory.rstrip("/") + "/"
        return path[len(top) :] if path.startswith(top) and len(path) > len(top) else path

    def totals(self) -> dict[str, Any]:
        """The sums."""
        found = self.losses
        return {
            "count": found.count,
            **{kind: found.by_kind[kind] for kind in losses.KINDS},
            "bytes": found.bytes,
            "unknown_sizes": found.unknown_sizes,
            "failed_attempts": found.failed,
            "unlisted": found.unlisted,
            "recoverable": len(self.recovery),
        }

    def entry(self, loss: Loss) -> dict[str, Any]:
        """One loss."""
        found = self.recovery.get(loss.path or "")
        names = {"path": loss.path, "other_path": loss.other}
        return {
            "kind": loss.kind,
            **names,
            **exact(names, names),
            "is_whole_path": loss.is_whole,
            "count": loss.count,
            "bytes": loss.bytes,
            "first_ns": loss.first_ns,
            "pid": loss.pid,
            "comm": loss.comm,
            "argv": None if loss.argv is None else list(loss.argv),
            "fails": loss.failing,
            "git": None
            if found is None
            else {
                "worktree": found.worktree,
                "path": found.path,
                "where": list(found.where),
                "is_unchanged": found.is_unchanged,
                "size": found.size,
                "command": found.command,
            },
        }

    def as_dict(self) -> dict[str, Any]:
        """The report as plain values, with the keys of the JSON report."""
        return {
            "type": "report",
            "format": 1,
            "version": __version__,
            "command": list(self.command),
            "directory": self.directory,
            "start_ns": self.start_ns,
            "returncode": self.returncode,
            "conditions": list(self.conditions.texts),
            "fails": self.broken,
            "totals": self.totals(),
            "problems": self.problems,
            "losses": [self.entry(loss) for loss in self.losses.listed],
        }

    def to_markdown(self) -> str:
        """The report as Markdown: sums, and a table of up to 200 rows, what fails first."""
        from rawtp._report import markdown

        return markdown.text(self)

    def to_json(self) -> str:
        """The report as one line of JSON."""
        return json.dumps(_valid(self.as_dict())) + "\n"

    def to_sarif(self) -> str:
        """The report as SARIF 2.1.0, for code scanning: what fails is an error, all else a note."""
        from rawtp._report import sarif

        return json.dumps(_valid(sarif.document(self))) + "\n"

    def text(self, kind: str) -> str:
        """The report in one of :data:`FORMATS`."""
        return {"md": self.to_markdown, "json": self.to_json, "sarif": self.to_sarif}[kind]()

    def _repr_markdown_(self) -> str:
        return self.to_markdown()

    def __repr__(self) -> str:
        return f"<report: {ledger.events(self.losses.count)}, {ledger.counted(len(self.broken), 'condition')} met>"


def _valid(value: Any) -> Any:
    """The value with text that every encoding of Unicode takes."""
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, dict):
        return {key: _valid(one) for key, one in value.items()}
    return [_valid(one) for one in value] if isinstance(value, (list, tuple)) else value
