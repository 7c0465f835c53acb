"""The functions that the extension calls, each by a name. Their modules are imported by the first call."""

from __future__ import annotations

TYPE_CHECKING = False  # as checkers know it, without the import of typing
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_FUNCTIONS = {
    "awaited": ("rawtp._async", "Awaited"),
    "batch_html": ("rawtp.notebook._html", "batch"),
    "by_broker": ("rawtp._privilege.broker_client", "obtain"),
    "by_sudo": ("rawtp._privilege.sudo", "obtain"),
    "live": ("rawtp.notebook._live", "live"),
    "stats_html": ("rawtp.notebook._html", "stats"),
}


def find(name: str) -> Callable[..., Any]:
    """Give the function of this name."""
    from importlib import import_module

    module, function = _FUNCTIONS[name]
    return getattr(import_module(module), function)  # type: ignore[no-any-return]
