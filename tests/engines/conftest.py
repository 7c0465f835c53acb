"""These tests need engines of some hundred MB, and Java: `make test-engines` has them run."""

from __future__ import annotations

import os

collect_ignore_glob = [] if os.environ.get("RAWTP_ENGINES") else ["test_*.py"]
