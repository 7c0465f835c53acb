"""What a machine said, judged: a run passes when all its tests do, and when it skips nothing but what is known."""

from __future__ import annotations

import base64
import gzip
import re
import xml.etree.ElementTree as ElementTree
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from scripts.vm.skips import is_known

if TYPE_CHECKING:
    from pathlib import Path

LAST_LINES = 300
JUNIT = re.compile(r"^=== rawtp junit\n(.*?)^=== rawtp exit (\d+)$", re.MULTILINE | re.DOTALL)


@dataclass
class Result:
    """One kernel's."""

    name: str
    package: str = ""
    absent: str = ""
    """Why there is nothing to tell."""
    status: int | None = None
    tests: int = 0
    failed: int = 0
    took_s: float = 0.0
    wrong: tuple[str, ...] = ()
    reasons: Counter[str] = field(default_factory=Counter)
    """Of the skips: how often each."""
    features: str = ""
    """As tests/vm/test_features.py recorded them."""

    @property
    def skipped(self) -> int:
        return self.reasons.total()

    @property
    def passed(self) -> bool:
        return self.status == 0 and not self.wrong and self.tests > self.skipped

    def __str__(self) -> str:
        if self.absent:
            return f"{self.name:<13} NOT TESTED: {self.absent}"
        verdict = "passed" if self.passed else "FAILED"
        counts = f"{self.tests - self.skipped} ran, {self.skipped} skipped, {self.took_s:.0f} s"
        return "\n    ".join([f"{self.name:<13} {verdict}: {counts} ({self.package})", *self.wrong])


def last(said: str) -> str:
    """What went wrong, as pytest tells it; of a machine that stopped before that, its last words."""
    before = said.partition("=== rawtp junit")[0]
    _, failures, told = before.partition("= FAILURES =")
    return "\n".join((failures + told if failures else before).splitlines()[-LAST_LINES:])


def read(name: str, package: str, said: str, took_s: float, to: Path) -> Result:
    """Takes the JUnit file out of what was said, and keeps it."""
    found = JUNIT.search(said)
    if found is None:
        return Result(name, package, took_s=took_s, wrong=("the machine stopped before the tests had ended",))
    status = int(found[2])
    try:
        report = gzip.decompress(base64.b64decode("".join(found[1].split()), validate=True))
        root = ElementTree.fromstring(report)  # noqa: S314 # from our own machine
    except (ValueError, OSError, EOFError, ElementTree.ParseError) as error:
        return Result(name, package, status=status, took_s=took_s, wrong=(f"no JUnit file: {error}",))
    to.write_bytes(report)
    wrong = []
    failed = 0
    reasons: Counter[str] = Counter()
    cases = root.findall(".//testcase")
    for case in cases:
        test = f"{case.get('classname')}.{case.get('name')}".removeprefix("tests.").strip(".")
        for child in case:
            reason = child.get("message") or ""
            if child.tag in ("failure", "error"):
                first = reason.partition("\n")[0]
                wrong.append(f"{child.tag}: {test}: {first}")
                failed += 1
            elif child.tag == "skipped":
                reasons[reason] += 1
                if not is_known(name, test, reason):
                    wrong.append(f"skipped, and not on the list of scripts/vm/skips.py: {test}: {reason}")
    recorded = root.find(".//property[@name='features']")
    features = "" if recorded is None else recorded.get("value", "")
    return Result(name, package, "", status, len(cases), failed, took_s, tuple(wrong), reasons, features)
