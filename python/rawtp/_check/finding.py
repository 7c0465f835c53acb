"""The result of :func:`rawtp.check`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from rawtp.formats.escape import printable

if TYPE_CHECKING:
    from typing import Literal

    State = Literal["ok", "degraded", "unknown", "blocked"]


@dataclass(frozen=True)
class Finding:
    """One thing that a tracer needs, or that can stand in its way."""

    name: str
    """The subject in a word: always the same, and always in the same place."""
    state: State
    """``"ok"``; ``"degraded"``: a tracer works, but something is lost; ``"unknown"``: only a tracer tells, and there is
    none; ``"blocked"``: no tracer with this."""
    detail: str
    """The fact that was found; of ``"degraded"``, the loss. Parts are the kernel's own text: escape them for a
    terminal, as ``str`` of a :class:`Check` does."""
    advice: str | None
    """The remedy, with the command to run; ``None`` when there is nothing to do."""


@dataclass(frozen=True)
class Check:
    """The findings of :func:`rawtp.check`: data, and lines for people as ``str``."""

    findings: tuple[Finding, ...]
    """The findings, in the order in which a tracer needs them."""

    @property
    def ok(self) -> bool:
        """True when nothing is blocked: ``Tracer()`` works in this process."""
        return all(finding.state != "blocked" for finding in self.findings)

    def __getitem__(self, name: str) -> Finding:
        """The finding of that name."""
        for finding in self.findings:
            if finding.name == name:
                return finding
        raise KeyError(name)

    def as_dict(self) -> dict[str, Any]:
        """Give the data as dicts and lists, ready for JSON."""
        return {"ok": self.ok, "findings": [asdict(finding) for finding in self.findings]}

    def __str__(self) -> str:
        """A line for each finding, and one for each piece of advice, where it is first of use."""
        width = max(len(finding.name) for finding in self.findings)
        lines: list[str] = []
        for finding in self.findings:
            lines.append(f"{finding.name:<{width}}  {finding.state:<8}  {printable(finding.detail)}")
            if finding.advice is not None:
                advice = f"{'':<{width}}  {'':<8}  {printable(finding.advice)}"
                lines += [] if advice in lines else [advice]
        return "\n".join(lines)
