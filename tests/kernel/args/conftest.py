"""The plans of calls, for both tables."""

from __future__ import annotations

import pytest

from helpers.plans import Plan
from rawtp._core import _NATIVE_ABI


@pytest.fixture(params=["native", "i386"])
def plan(request: pytest.FixtureRequest) -> Plan:
    """An empty plan for the native table, and one for the 32-bit one."""
    if request.param == "native":
        return Plan()
    if _NATIVE_ABI != "x86_64":
        pytest.skip("32-bit calls are made by int 0x80")
    return Plan("i386")
