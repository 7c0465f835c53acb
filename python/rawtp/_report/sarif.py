"""A report as SARIF 2.1.0, which code scanning and editors read."""

from __future__ import annotations

import hashlib
import os
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from rawtp._core import __version__
from rawtp.formats.escape import printable

if TYPE_CHECKING:
    from rawtp._report import Report
    from rawtp._report.losses import Loss

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
MAX_RESULTS = 20_000  # GitHub takes no file with more than 25,000
_RULES = {
    "deleted": ("file-deleted", "A file was deleted"),
    "removed": ("directory-removed", "A directory was removed"),
    "overwritten": ("file-overwritten", "A file was replaced by a rename"),
    "truncated": ("content-removed", "Content of a file was removed"),
    "moved": ("name-removed", "A file was moved to another name"),
}
_LIMIT = ("limit-exceeded", "More went than is allowed")
_ROOT = "SRCROOT"


def document(report: Report) -> dict[str, Any]:
    """The report as an object for :func:`json.dumps`."""
    losses = sorted(report.losses.listed, key=lambda loss: not loss.failing)
    rules = [*_RULES.values(), _LIMIT]
    results = [_limit(report, condition) for condition in report.broken_limits]
    results += [_result(report, loss) for loss in losses[: MAX_RESULTS - len(results)]]
    left_out = len(losses) - sum(result["ruleId"] != _LIMIT[0] for result in results) + report.losses.unlisted
    notes = list(report.problems)
    if left_out:
        notes.append(f"{left_out} more are counted only")
    invocation: dict[str, Any] = {
        "commandLine": " ".join(map(_words, report.command)),
        "arguments": [_words(word) for word in report.command[1:]],
        "exitCode": report.returncode,
        "executionSuccessful": report.returncode == 0,
        "workingDirectory": {"uri": _directory(report.directory)},
        "toolExecutionNotifications": [{"level": "warning", "message": {"text": _words(note)}} for note in notes],
    }
    if report.start_ns is not None:
        invocation["startTimeUtc"] = _time(report.start_ns)
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "rawtp",
                        "version": __version__,
                        "rules": [
                            {
                                "id": name,
                                "shortDescription": {"text": f"{text}."},
                                "defaultConfiguration": {"level": "note"},
                            }
                            for name, text in rules
                        ],
                    }
                },
                "invocations": [invocation],
                "originalUriBaseIds": {_ROOT: {"uri": _directory(report.directory)}},
                "columnKind": "unicodeCodePoints",
                "results": results,
                "properties": report.totals(),
            }
        ],
    }


def _result(report: Report, loss: Loss) -> dict[str, Any]:
    rule, text = _RULES[loss.kind]
    path = "a path that is not known" if loss.path is None else loss.path
    why = f" This fails {' and '.join(loss.failing)}." if loss.failing else ""
    times = f", {loss.count} times" if loss.count > 1 else ""
    other = f" to {loss.other}" if loss.kind == "moved" and loss.other is not None else ""
    found = report.recovery.get(loss.path or "")
    git = f" git has it in {', '.join(found.where)}." if found else ""
    message = f"{text}: {path}{other}, by {loss.comm} (pid {loss.pid}){times}.{why}{git}"
    result: dict[str, Any] = {
        "ruleId": rule,
        "ruleIndex": list(_RULES).index(loss.kind),
        "level": "error" if loss.failing else "note",
        "message": {"text": _words(message)},
        "partialFingerprints": {"rawtpLoss/v1": _fingerprint(rule, report.relative(path))},
        "occurrenceCount": loss.count,
        "properties": report.entry(loss),
    }
    if loss.path is not None and loss.is_whole:
        # GitHub shows no result without a line.
        place = {"artifactLocation": _location(report, loss.path), "region": {"startLine": 1}}
        result["locations"] = [{"physicalLocation": place}]
    return result


def _limit(report: Report, condition: str) -> dict[str, Any]:
    totals = report.totals()
    text = f"{condition} holds: {totals['count']} calls, {totals['bytes']} bytes."
    return {
        "ruleId": _LIMIT[0],
        "ruleIndex": len(_RULES),
        "level": "error",
        "message": {"text": _words(text)},
        "partialFingerprints": {"rawtpLoss/v1": _fingerprint(_LIMIT[0], condition)},
    }


def _location(report: Report, path: str) -> dict[str, str]:
    relative = report.relative(path)
    if relative.startswith("/"):
        return {"uri": f"file://{quote(os.fsencode(relative))}"}
    return {"uri": quote(os.fsencode(relative)), "uriBaseId": _ROOT}


def _directory(path: str) -> str:
    return f"file://{quote(os.fsencode(path.rstrip('/') + '/'))}"


def _fingerprint(rule: str, text: str) -> str:
    return hashlib.sha256(f"{rule}\0".encode() + os.fsencode(text)).hexdigest()


def _time(ns: int) -> str:
    second, rest = divmod(ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(second, timezone.utc):%Y-%m-%dT%H:%M:%S}.{rest // 1_000_000:03d}Z"


def _words(text: str) -> str:
    """Text that shows all of a name, and is valid Unicode."""
    return printable(text)
