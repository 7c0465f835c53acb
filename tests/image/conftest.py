"""These tests make a Debian, and run it as a container: ``make test-image`` has them run."""

from __future__ import annotations

import os

collect_ignore_glob = [] if os.environ.get("RAWTP_IMAGE") else ["test_*.py"]
