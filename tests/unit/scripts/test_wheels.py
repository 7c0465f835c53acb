"""What judges a wheel, on wheels that are made up."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest

from scripts.fresh.carried import NAMES
from scripts.wheels.again import differing
from scripts.wheels.build import built, environment
from scripts.wheels.contents import Contents
from scripts.wheels.targets import TARGETS, of

WHEEL = "rawtp-1.0-cp310-abi3-manylinux2014_x86_64.manylinux_2_17_x86_64.whl"
MUSL = "rawtp-1.0-cp310-abi3-musllinux_1_2_aarch64.whl"


@pytest.mark.parametrize(
    ("target", "changed", "faults"),
    [
        ("x86_64", {}, []),
        ("x86_64", {"glibc": "2.18"}, ["wants GLIBC_2.18: its tag says 2.17"]),
        ("x86_64", {"glibc": "2.4"}, []),
        ("x86_64", {"needed": ("libc.so.6", "libelf.so.1", "libz.so.1")}, ["needs libelf.so.1, libz.so.1 beside libc"]),
        (
            "x86_64",
            {"directories": ("/home/me/rawtp/src",)},
            ["has paths of the machine that built it: /home/me/rawtp/src"],
        ),
        ("aarch64-musl", {"glibc": None, "needed": ("libc.so",)}, []),
        ("aarch64-musl", {}, ["wants glibc"]),
    ],
)
def test_what_is_refused(tmp_path: Path, target: str, changed: dict[str, object], faults: list[str]) -> None:
    (tmp_path / WHEEL).write_bytes(b"x" * 999_999)
    values: dict[str, object] = {
        "wheel": tmp_path / WHEEL,
        "files": {"rawtp/__init__.py": 12},
        "needed": ("libc.so.6", "ld-linux-x86-64.so.2"),
        "glibc": "2.17",
        "directories": (),
    }
    inside = Contents(**{**values, **changed})  # type: ignore[arg-type]
    assert inside.faults(of(target)) == faults
    (tmp_path / WHEEL).write_bytes(b"x" * 3_500_000)
    assert inside.faults(of(target)) == ["3,500,000 bytes: 3,500,000 is too many", *faults]
    assert str(inside).startswith(f"{WHEEL}: 3,500,000 bytes, 12 unpacked\n         12  rawtp/__init__.py\n")


def test_each_target_has_its_own_wheels(tmp_path: Path) -> None:
    for name in (WHEEL, MUSL):
        (tmp_path / name).touch()
    found = {target.name: [path.name for path in built(target, tmp_path)] for target in TARGETS}
    assert found == {"x86_64": [WHEEL], "aarch64": [], "x86_64-musl": [], "aarch64-musl": [MUSL]}
    with pytest.raises(
        ValueError, match=r"^no wheels for riscv; there are x86_64, aarch64, x86_64-musl, aarch64-musl$"
    ):
        of("riscv")


def test_compilers_are_told_to_name_no_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARGO_HOME", "/home/me/.cargo")
    told = environment(of("aarch64-musl"), Path("/home/me/rawtp"))
    assert told["CARGO_ENCODED_RUSTFLAGS"].split("\x1f") == [
        "--remap-path-prefix=/home/me/rawtp=/rawtp",
        "--remap-path-prefix=/home/me/.cargo=/cargo",
    ]
    assert "-ffile-prefix-map=/home/me/.cargo=/cargo" in told["CFLAGS_aarch64_unknown_linux_musl"].split()
    assert told["ac_cv_search_argp_parse"] == "none required"
    assert told["PATH"].endswith(os.environ["PATH"])


def test_what_differs_is_named(tmp_path: Path) -> None:
    def wheel(name: str, **files: str) -> Path:
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            for file, content in files.items():
                archive.writestr(file, content)
        return tmp_path / name

    one = wheel("one", a="1", b="2")
    assert differing(one, wheel("other", a="1", b="3", c="4")) == ["b", "c"]
    # The same content, packed otherwise.
    assert differing(one, wheel("packed", b="2", a="1")) == ["one"]


def test_a_fresh_machine_gets_the_ways_out_and_no_places() -> None:
    carried = {"https_proxy", "NO_PROXY", "PIP_INDEX_URL", "PIP_CERT", "CARGO_HTTP_CAINFO", "CARGO_REGISTRIES_X_INDEX"}
    left = {
        "PIP_CACHE_DIR",
        "PIP_FIND_LINKS",
        "CARGO_HOME",
        "CARGO_TARGET_DIR",
        "HOME",
        "LD_PRELOAD",
        "AWS_SECRET_ACCESS_KEY",
    }
    assert {name for name in carried | left if NAMES.fullmatch(name)} == carried
