"""What comes along: nothing, unless it is asked for."""

from __future__ import annotations

import re
from importlib.metadata import metadata

EXTRAS = {
    "arrow": {"pyarrow"},
    "notebook": {"ipykernel", "matplotlib"},
    "pandas": {"pandas", "pyarrow"},
    "polars": {"polars"},
}


def test_every_dependency_is_an_extras() -> None:
    found: dict[str, set[str]] = {}
    for line in metadata("rawtp").get_all("Requires-Dist") or []:
        extra = re.search(r"extra == '(\w+)'", line)
        assert extra, line
        found.setdefault(extra[1], set()).add(re.split(r"[^\w-]", line)[0])
    assert found == EXTRAS
