"""The public names of rawtp and their docstrings, read from its sources: the extension need not be built for it."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PYTHON = Path(__file__).parents[2] / "python"
# Modules that are public themselves.
_MODULES = ("rawtp.syscalls", "rawtp.notebook")


def documented(python: Path = PYTHON) -> dict[str, str | None]:
    """Each public name, ``"rawtp.Tracer.get"``, with its docstring; ``None`` where it has none."""
    package = _parsed(python, "rawtp")
    found: dict[str, str | None] = {}
    for name in _exported(package):
        found |= _of_name(python, "rawtp", package, name, f"rawtp.{name}")
    for module in _MODULES:
        for name in _exported(_parsed(python, module)):
            found |= _of_name(python, module, _parsed(python, module), name, f"{module}.{name}")
    return found


def _parsed(python: Path, module: str) -> ast.Module:
    """The module's syntax tree: of the stub, where there is one."""
    base = python.joinpath(*module.split("."))
    candidates = (base.with_suffix(".pyi"), base.with_suffix(".py"), base / "__init__.py")
    source = next(path for path in candidates if path.is_file())
    return ast.parse(source.read_text())


def _exported(tree: ast.Module) -> Sequence[str]:
    """``__all__``; without it, the functions and classes without an underscore."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            exported: list[str] = ast.literal_eval(node.value)
            return exported
    defined = (node.name for node in tree.body if isinstance(node, (ast.FunctionDef, ast.ClassDef)))
    return [name for name in defined if not name.startswith("_")]


def _of_name(python: Path, module: str, tree: ast.Module, name: str, public: str) -> dict[str, str | None]:
    """The docstrings of ``name`` in a module, and of its public members, wherever it is imported from."""
    body = [*_statements(tree.body)]
    for at, node in enumerate(body):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name == name:
            return {public: ast.get_docstring(node), **_members(node, tree, public)}
        if _assigned(node) == name:
            return {public: _text_after(body, at)}
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    source = node.module or ""
                    if f"{source}.{alias.name}" in _MODULES:
                        return {public: ast.get_docstring(_parsed(python, f"{source}.{alias.name}"))}
                    return _of_name(python, source, _parsed(python, source), alias.name, public)
    raise LookupError(f"{module} neither defines nor imports {name}")


def _statements(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """With those below an ``if``, such as the one for type checkers."""
    for node in body:
        yield node
        if isinstance(node, ast.If):
            yield from _statements(node.body)


def _members(node: ast.stmt, tree: ast.Module, public: str) -> dict[str, str | None]:
    if not isinstance(node, ast.ClassDef):
        return {}
    found: dict[str, str | None] = {}
    bases = {ast.unparse(base) for base in node.bases}
    for other in tree.body:
        if isinstance(other, ast.ClassDef) and other.name in bases and other.name.startswith("_"):
            found |= _members(other, tree, public)
    for at, part in enumerate(node.body):
        if isinstance(part, ast.FunctionDef) and not part.name.startswith("_"):
            found[f"{public}.{part.name}"] = ast.get_docstring(part)
        elif (name := _assigned(part)) and not name.startswith("_"):
            found[f"{public}.{name}"] = _text_after(node.body, at)
    return found


def _assigned(node: ast.stmt) -> str | None:
    if isinstance(node, ast.AnnAssign):
        return ast.unparse(node.target)
    return ast.unparse(node.targets[0]) if isinstance(node, ast.Assign) else None


def _text_after(body: Sequence[ast.stmt], at: int) -> str | None:
    """The string that stands behind an assignment."""
    follower = body[at + 1] if at + 1 < len(body) else None
    if isinstance(follower, ast.Expr) and isinstance(follower.value, ast.Constant):
        return follower.value.value if isinstance(follower.value.value, str) else None
    return None
