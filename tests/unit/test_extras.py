"""What comes along: nothing, unless it is asked for."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.metadata import metadata
from pathlib import Path

import rawtp

EXTRAS = {
    "arrow": {"pyarrow"},
    "nats": {"nats-py"},
    "notebook": {"ipykernel", "matplotlib"},
    "pandas": {"pandas", "pyarrow"},
    "polars": {"polars"},
    "s3": {"obstore"},
    "tui": {"textual"},
}


def test_every_dependency_is_an_extras() -> None:
    found: dict[str, set[str]] = {}
    for line in metadata("rawtp").get_all("Requires-Dist") or []:
        extra = re.search(r"extra == '(\w+)'", line)
        assert extra, line
        found.setdefault(extra[1], set()).add(re.split(r"[^\w-]", line)[0])
    assert found == EXTRAS


def test_no_source_needs_unicodedata_to_be_compiled(tmp_path: Path) -> None:
    """An interrupt of its import, which a name of a character in a literal causes, would be a SyntaxError."""
    package = Path(rawtp.__file__).parent
    source = (
        "import sys; from pathlib import Path\n"
        "for path in Path(sys.argv[1]).rglob('*.py'): compile(path.read_bytes(), path, 'exec')\n"
        "print('unicodedata' in sys.modules)"
    )
    command = [sys.executable, "-S", "-c", source, str(package)]
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(tmp_path)}
    assert subprocess.check_output(command, text=True, env=environment) == "False\n"
