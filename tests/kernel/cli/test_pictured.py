"""The commands of the documentation's first picture, run: the kernel shows what the picture does."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from helpers.support import HANG_S
from scripts.pictures.scenes import recording

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.kernel

SCRIPT = """
cd {at} && mkdir -p srv/data etc var/log && ln -s {at}/srv/data srv/link
printf content > srv/data/report.txt; printf 'port 80\\n' > etc/app.conf; printf x > etc/passwd
printf x > var/log/app.log
chmod 755 etc
rm {at}/srv/link/report.txt
sed -i s/80/8080/ {at}/etc/app.conf
setpriv --reuid=65534 --regid=65534 --clear-groups rm -f {at}/etc/passwd
cp /dev/null {at}/var/log/app.log
"""
ROW = re.compile(r"^\S+ +\d+ \S+ +(\S+) +(\S+) +\S+ +(\S+) +(.*?)(?: \(.*\))?$")


def told(lines: list[str], at: str) -> list[tuple[str, ...]]:
    """Command, action, result and paths of each row. Sizes are known only where the kernel shows the file."""
    found = [ROW.match(line.replace(at, "")) for line in lines if not line.startswith("TIME")]
    # sed makes up a name.
    return [tuple(re.sub(r"/sed\w{6} ", "/sed…… ", cell) for cell in match.groups()) for match in found if match]


def test_the_first_picture(tmp_path: Path) -> None:
    command = ["sh", "-c", SCRIPT.format(at=tmp_path)]
    done = subprocess.run(
        [sys.executable, "-m", "rawtp", "-o", "columns", "--as-root", "--", *command],
        capture_output=True,
        text=True,
        timeout=HANG_S,
        check=False,
    )
    assert "rawtp: 4 events delivered, 0 lost\n" in done.stderr
    assert told(done.stdout.splitlines(), str(tmp_path)) == told(recording(), "")
