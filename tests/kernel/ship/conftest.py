"""Receivers are packages of the group ``test``, which a machine of ``make test-vm`` does not have."""

from __future__ import annotations

import os

collect_ignore_glob = ["test_*.py"] if os.environ.get("RAWTP_PROGRAMS") else []
