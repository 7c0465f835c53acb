"""Tests of the hooks on the kernel's own functions need such a hook."""

from __future__ import annotations

import functools

import pytest

import rawtp
from helpers.files import EVERYTHING


@functools.cache
def absent() -> str | None:
    """Why this kernel lets no hook be attached; ``None`` where it does."""
    with rawtp.Tracer(EVERYTHING, pid=1) as tracer:
        part = tracer.coverage["truth"]
    return part["reason"] if part["hook"] is None else None


@pytest.fixture(autouse=True)
def hook() -> None:
    if reason := absent():
        pytest.skip(f"no hook on the kernel's functions: {reason}")
