"""What all rings of tests share."""

from __future__ import annotations

import functools
import os

import pytest


@functools.cache
def kernel_refusal() -> str | None:
    """Why BPF cannot be used here; ``None`` when it can."""
    import rawtp

    try:
        rawtp.Tracer().close()
    except (PermissionError, rawtp.UnsupportedKernelError) as error:
        return str(error)
    return None


def pytest_runtest_setup(item: pytest.Item) -> None:
    """A test of the kernel ring without a kernel to test is a skip with its reason; where the ring is required (CI), a failure."""
    if item.get_closest_marker("kernel") is None or (reason := kernel_refusal()) is None:
        return
    if os.environ.get("RAWTP_REQUIRE_KERNEL"):
        pytest.fail(f"kernel tests are required here: {reason}", pytrace=False)
    pytest.skip(reason)
