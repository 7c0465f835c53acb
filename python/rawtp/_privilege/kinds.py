"""The kinds of requests: what a process with privilege loads for another one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rawtp._core import _load, _load_counts, _load_raw_tracepoint
from rawtp._privilege.protocol import LoadedFds

if TYPE_CHECKING:
    from typing import Any


def load(request: dict[str, Any], *, pid: int, owner: int | None, tell_cgroups: bool) -> LoadedFds:
    """Load and attach what a request asks for, which has been parsed, and granted.

    ``pid`` is the client's. Only what the user ``owner`` does is seen, if there is one. ``tell_cgroups`` lets a tracer
    learn about the cgroups of the whole host.
    """
    asked = dict(request)
    kind = asked.pop("kind")
    if kind == "raw_tracepoint":
        if owner is not None:
            raise PermissionError("a raw tracepoint shows what all users do")
        return LoadedFds(*_load_raw_tracepoint(**asked))
    without = pid if asked.pop("exclude_self") else None
    if kind == "counts":
        return LoadedFds(*_load_counts(**asked, without=without, owner=owner))
    return LoadedFds(*_load(**asked, without=without, owner=owner, tell_cgroups=tell_cgroups))
