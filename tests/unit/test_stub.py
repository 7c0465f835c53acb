"""The stub, which carries the documentation, says what the extension has."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, get_type_hints

import pytest

import rawtp

if TYPE_CHECKING:
    from collections.abc import Iterator

STUB = Path(rawtp.__file__).with_name("_core.pyi")


@pytest.mark.slow
def test_stub_and_extension_agree() -> None:
    command = [sys.executable, "-m", "mypy.stubtest", "rawtp._core", "--concise"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


def test_all_is_there_and_documented() -> None:
    assert set(rawtp.__all__) <= set(dir(rawtp))
    assert rawtp.DELETE == ("unlink", "unlinkat", "rmdir")
    assert tuple(rawtp.Event.__annotations__) == (*rawtp.ALL_FIELDS, *rawtp.OPT_IN_FIELDS)
    assert len(rawtp.BASIC_FIELDS) == 21
    assert list(rawtp.BASIC_FIELDS) == [key for key in rawtp.ALL_FIELDS if key in set(rawtp.BASIC_FIELDS)]


@pytest.mark.parametrize("error", [rawtp.LoadError, rawtp.UnsupportedKernelError])
def test_errors_have_one_base(error: type[Exception]) -> None:
    assert issubclass(error, rawtp.RawtpError)
    assert error.__module__ == "rawtp"
    assert inspect.getdoc(error)


def test_types_of_events_are_made_when_asked_for() -> None:
    program = """
import sys
before = set(sys.modules)
import rawtp
print(sorted({"re", "typing"} & set(sys.modules) - before), rawtp.Hook.__name__, hasattr(rawtp, "nothing"))
from rawtp import Event
from rawtp.event import Event as same
print(Event is same is rawtp.Event)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("[] Hook False\nTrue\n", "")


def documented() -> Iterator[tuple[str, str, object]]:
    """What the stub documents: its name, the docstring, and the thing itself."""
    for node in ast.parse(STUB.read_text()).body:
        if not isinstance(node, (ast.ClassDef, ast.FunctionDef)):
            continue
        made = getattr(rawtp._core, node.name)
        parts = [(node.name, node, made)]
        if isinstance(node, ast.ClassDef):
            functions = (part for part in node.body if isinstance(part, ast.FunctionDef))
            parts += [(f"{node.name}.{part.name}", part, vars(made)[part.name]) for part in functions]
        for name, part, thing in parts:
            if (doc := ast.get_docstring(part)) is not None:
                yield name, doc, thing


def test_help_has_every_word_of_the_stub() -> None:
    docs = {}
    for name, doc, thing in documented():
        if not name.startswith("_"):
            docs[name] = doc
            assert inspect.getdoc(thing) == doc, name
    # What is documented is all that people meet: the classes, the errors and the functions.
    assert {"Tracer", "Tracer.get", "Tracer.coverage", "Stats.missed", "Batch.to_dicts", "LoadError", "escape"} <= {
        *docs
    }
    assert len(docs) >= 45
    shown = subprocess.run(
        [sys.executable, "-c", "import rawtp; help(rawtp.Tracer)"], capture_output=True, text=True, check=True
    )
    lines = {line.strip(" |") for line in shown.stdout.splitlines()}
    assert "class Tracer(builtins.object)" in lines
    for name in ("Tracer", "Tracer.get_many", "Tracer.fileno", "Tracer.closed"):
        assert {line.strip() for line in docs[name].splitlines()} <= lines, name


def public() -> Iterator[tuple[str, object]]:
    """Every function and class of the interface, and the methods of these."""
    for name in rawtp.__all__:
        thing = getattr(rawtp, name)
        if isinstance(thing, type):
            # An exception has the signature of all of Python's; a TypedDict that of dict.
            if issubclass(thing, Exception) or thing in {rawtp.Event, rawtp.Hook}:
                continue
            yield from ((f"{name}.{part}", value) for part, value in vars(thing).items() if callable(value))
        if callable(thing):
            yield name, thing


@pytest.mark.parametrize(("name", "thing"), [*public()], ids=[name for name, _ in public()])
def test_everything_has_a_signature(name: str, thing: object) -> None:
    assert isinstance(inspect.signature(thing), inspect.Signature)  # type: ignore[arg-type]


def arguments(function: ast.FunctionDef) -> list[tuple[str, object]]:
    """Names and defaults; ``...`` for those that have none."""
    given = function.args
    positional = given.posonlyargs + given.args
    defaults = [None] * (len(positional) - len(given.defaults)) + given.defaults
    pairs = [*zip(positional, defaults, strict=True), *zip(given.kwonlyargs, given.kw_defaults, strict=True)]
    return [(argument.arg, ... if default is None else ast.literal_eval(default)) for argument, default in pairs]


def test_signatures_are_the_stubs() -> None:
    checked = []
    for node in ast.parse(STUB.read_text()).body:
        if not isinstance(node, ast.ClassDef):
            continue
        made = getattr(rawtp._core, node.name)
        for part in node.body:
            is_property = isinstance(part, ast.FunctionDef) and part.decorator_list
            if not isinstance(part, ast.FunctionDef) or is_property or part.name in {"__eq__", "__hash__"}:
                continue
            thing = made if part.name == "__new__" else vars(made)[part.name]
            parameters = inspect.signature(thing).parameters.values()
            found = [(it.name, ... if it.default is it.empty else it.default) for it in parameters]
            expected = arguments(part)
            assert found == (expected[1:] if part.name == "__new__" else expected), f"{node.name}.{part.name}"
            checked.append(f"{node.name}.{part.name}")
    assert {"Tracer.__new__", "Tracer.get_many", "Tracer.__exit__", "Batch.__arrow_c_stream__"} <= {*checked}


def test_the_tracers_arguments() -> None:
    signature = inspect.signature(rawtp.Tracer)
    assert list(signature.parameters)[:4] == ["syscalls", "results", "fields", "pid"]
    assert signature.bind("delete", path="/srv").arguments == {"syscalls": "delete", "path": "/srv"}
    for name in (name for name in signature.parameters if not name.startswith("_")):
        assert f"\n    {name}: " in (inspect.getdoc(rawtp.Tracer) or ""), name


def test_opt_in_keys_need_not_be_there() -> None:
    assert rawtp.Event.__optional_keys__ == {"ancestors", "parent_argv", "cwd", "user", "login", "freed", "args"}
    assert rawtp.Event.__required_keys__ == {*rawtp.ALL_FIELDS}
    assert get_type_hints(rawtp.Event)["ancestors"] == tuple[tuple[int, str, tuple[str, ...] | None], ...]


def test_a_checker_knows_that_opt_in_keys_need_not_be_there(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    keys = ", ".join(f"{name!r}: made[{name!r}]" for name in rawtp.ALL_FIELDS)
    program.write_text(f"import rawtp\ndef f(made: rawtp.Event) -> rawtp.Event:\n    return {{{keys}}}\n")
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache"), str(program)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "Success: no issues found in 1 source file\n"), done.stdout
