"""The check of the Rust sources' imports finds what it is there for."""

from __future__ import annotations

from scripts import layers


def test_a_row_uses_only_what_is_below_it() -> None:
    text = "use crate::ring::queue::Queue;\n// use crate::py::dict::Dicts;\nuse crate::session::Session;\n"
    assert layers.violations("record/mod.rs", text) == [
        "src/record/mod.rs:1: record must not use ring",
        "src/record/mod.rs:3: record must not use session",
    ]
    assert layers.violations("py/dict.rs", text) == []


def test_modules_of_one_row_do_not_use_each_other() -> None:
    assert layers.violations("load/mod.rs", "use crate::{\n    error,\n    read,\n};\n") == [
        "src/load/mod.rs:1: load must not use read"
    ]


def test_pyo3_outside_of_py() -> None:
    assert layers.violations("session/mod.rs", "use pyo3::prelude::*;\n") == [
        "src/session/mod.rs:1: pyo3 belongs under src/py/"
    ]
    assert layers.violations("py/mod.rs", "use pyo3::prelude::*;\n") == []


def test_a_module_of_the_package_by_its_name() -> None:
    text = 'py.import("rawtp._core")?;\npy.import("rawtp._warn")?;\n'
    assert layers.violations("py/tracer.rs", text) == [
        "src/py/tracer.rs:2: python/rawtp/_late.py hands in what the extension calls"
    ]


def test_what_tests_use_is_free() -> None:
    assert layers.violations("record/mod.rs", "#[cfg(test)]\nmod tests {\n    use crate::session::Session;\n}\n") == []


def test_a_folder_without_a_row() -> None:
    assert layers.violations("new/mod.rs", "") == ["src/new/mod.rs: new has no row in scripts/layers.py"]


def test_a_circle_of_files() -> None:
    sources = {
        "read/mod.rs": "use crate::read::join::Join;",
        "read/join.rs": "use crate::read::in_flight::InFlight;",
        "read/in_flight.rs": "use crate::read::Reader;",
        "error.rs": "",
    }
    (found,) = layers.circle(sources)
    assert found.startswith("a circle: ")
    assert set(found.removeprefix("a circle: ").split(" -> ")) == {"read", "read::join", "read::in_flight"}
    sources["read/in_flight.rs"] = "use crate::error::Error;"
    assert layers.circle(sources) == []
