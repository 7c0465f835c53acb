"""These tests know which kernel they run on: `make test-vm` names it. Elsewhere there is nothing to expect."""

from __future__ import annotations

import os

collect_ignore_glob = [] if "RAWTP_VM_KERNEL" in os.environ else ["test_*.py"]
