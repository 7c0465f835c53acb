"""Metric families as text: OpenMetrics 1.0, and the older format of Prometheus, which node_exporter reads."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rawtp.formats.raw_bytes import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Literal

OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
TEXT = "text/plain; version=0.0.4; charset=utf-8"

_UNITS = ("seconds", "bytes")


@dataclass
class Family:
    """Samples of one name. ``name`` has no ``_total`` or ``_info``: the format adds it."""

    name: str
    kind: Literal["counter", "gauge", "info"]
    help: str
    samples: list[tuple[Mapping[str, str], int | float]] = field(default_factory=list)

    def add(self, value: float | None, **labels: str) -> Family:
        """Add a sample; none where the value is not known."""
        if value is not None:
            self.samples.append((labels, value))
        return self


def render(families: Iterable[Family], *, openmetrics: bool) -> str:
    """All families that have samples, as text."""
    lines = []
    for family in families:
        if not family.samples:
            continue
        suffix = {"counter": "_total", "info": "_info", "gauge": ""}[family.kind]
        # The older format names the samples, and knows no info.
        name = family.name if openmetrics else family.name + suffix
        kind = "gauge" if family.kind == "info" and not openmetrics else family.kind
        lines.append(f"# HELP {name} {_help(family.help, openmetrics=openmetrics)}")
        lines.append(f"# TYPE {name} {kind}")
        unit = name.rpartition("_")[2]
        if openmetrics and unit in _UNITS:
            lines.append(f"# UNIT {name} {unit}")
        for labels, value in family.samples:
            shown = ",".join(f'{key}="{_label(text)}"' for key, text in labels.items())
            lines.append(f"{family.name}{suffix}{'{' if shown else ''}{shown}{'}' if shown else ''} {_number(value)}")
    if openmetrics:
        lines.append("# EOF")
    return "".join(f"{line}\n" for line in lines)


def _number(value: float) -> str:
    return repr(value) if isinstance(value, float) else str(int(value))


def _label(text: str) -> str:
    return re.sub(r'[\\"\n]', lambda found: {"\n": "\\n"}.get(found[0], "\\" + found[0]), visible(text))


def _help(text: str, *, openmetrics: bool) -> str:
    text = text.replace("\\", "\\\\").replace("\n", "\\n")
    return text.replace('"', '\\"') if openmetrics else text
