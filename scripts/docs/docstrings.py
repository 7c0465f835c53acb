"""Reads rawtp's docstrings for the site: an extension of griffe, which mkdocstrings reads sources with."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import griffe

# griffe loads this file by its path.
sys.path.insert(0, str(Path(__file__).parents[2]))

from scripts.docs.interface import documented
from scripts.docs.markdown import markdown


class Docstrings(griffe.Extension):
    """Makes Markdown of each docstring, and a constructor of ``__new__``, which griffe looks for in ``__init__``."""

    def __init__(self) -> None:
        self.known = frozenset(documented())

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        if obj.docstring:
            owner = obj if obj.is_class else obj.parent
            scope = f"rawtp.{owner.name}" if owner is not None else "rawtp"
            obj.docstring.value = markdown(obj.docstring.value, scope, self.known)
        if obj.is_class and "__new__" in obj.members and "__init__" not in obj.members:
            obj.set_member("__init__", obj.members["__new__"])
