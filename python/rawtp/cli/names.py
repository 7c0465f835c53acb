"""The names that ``--fields`` and ``--syscalls`` take: their groups, and the help on keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

import rawtp

if TYPE_CHECKING:
    from collections.abc import Iterable


CONTAINER_NAMES = {
    "container_name": "The container's name, as its runtime's files have it.",
    "pod": "The name of the Kubernetes pod.",
    "namespace": "The namespace of the Kubernetes pod.",
    "image": "The name of the container's image.",
}
"""Keys that the command line looks up by itself, beside the reading; None until they are known."""
CONTAINER_IDS = ("container_id", "pod_id")
"""The keys that these are looked up by."""


def fields(names: Iterable[str]) -> list[str]:
    """Expand the groups among the names of keys; each comes once. A name that is none is for the tracer to refuse."""
    groups = {"all": rawtp.ALL_FIELDS, "basic": rawtp.BASIC_FIELDS}
    return list(dict.fromkeys(key for name in names for key in groups.get(name, (name,))))


def syscalls(names: Iterable[str]) -> list[str]:
    """Expand the groups among the names of calls. A name that is none is for the tracer to refuse."""
    groups = {
        "delete": rawtp.DELETE,
        "rename": rawtp.RENAME,
        "truncate": rawtp.TRUNCATE,
        "loss": rawtp.LOSS,
        "file_changes": rawtp.FILE_CHANGES,
    }
    return [call for name in names for call in groups.get(name, (name,))]


def recorded(names: Iterable[str], own: Iterable[str]) -> list[str]:
    """Expand the groups among the names of keys that a history has: those of events, and ``own`` ones.

    Raises:
        ValueError: a name that is none of them.
    """
    from difflib import get_close_matches

    found = fields(names)
    known = [*rawtp.ALL_FIELDS, *rawtp.OPT_IN_FIELDS, *own]
    for key in found:
        if key not in known:
            nearest = get_close_matches(key, known, 1, cutoff=0)
            raise ValueError(f"unknown field {key!r}; did you mean {nearest[0]!r}? --fields help lists them")
    return found


def wants_help(names: Iterable[str] | None) -> bool:
    """Tell whether the keys are to be listed."""
    return names is not None and "help" in names


def documented() -> dict[str, str]:
    """The keys, each with the first sentence of its documentation in :class:`rawtp.Event`, found in its source."""
    import ast
    import inspect
    import itertools

    from rawtp import event

    tree = ast.parse(inspect.getsource(event))
    # ``Event`` and, before it, its base class.
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name in {"_AllFields", "Event"}]
    found = {}
    for key, text in itertools.pairwise(statement for node in classes for statement in node.body):
        if isinstance(key, ast.AnnAssign) and isinstance(key.target, ast.Name) and isinstance(text, ast.Expr):
            assert isinstance(text.value, ast.Constant)  # noqa: S101 - for the type checker
            found[key.target.id] = _sentence(str(text.value.value))
    return found


def help_text() -> str:
    """A line for each key, and for the groups."""
    lines = {
        "all": f"All of these but {', '.join(rawtp.OPT_IN_FIELDS)}: the default.",
        "basic": f"The cheapest: {', '.join(rawtp.BASIC_FIELDS)}.",
        **documented(),
        **CONTAINER_NAMES,
    }
    width = max(map(len, lines))
    return "".join(f"{key:<{width}}  {text}\n" for key, text in lines.items())


def _sentence(text: str) -> str:
    # The documentation marks up code; a terminal shows none of that.
    text = " ".join(text.split()).replace("``", "")
    return text.partition(". ")[0].rstrip(".") + "."
