"""The unit that ships, in ``systemd/``."""

from __future__ import annotations

from pathlib import Path

from rawtp._ship import unit

SAMPLE = Path(__file__).parents[3] / "systemd" / unit.NAME


def test_the_sample_is_what_install_prints() -> None:
    command = ["/opt/rawtp/bin/python", "-I", "-m", "rawtp", "ship", "--otlp", "https://collector.example:4318"]
    assert SAMPLE.read_text() == unit.text(command)
