"""scripts/setup.sh on machines that lack something: one line that helps, and no install unasked."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_machine import SCRIPT, Machine


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def manifest(file: str, key: str) -> str:
    lines = (SCRIPT.parents[1] / file).read_text().splitlines()
    return next(line.split('"')[1].removeprefix(">=") for line in lines if line.startswith(f"{key} ="))


MSRV = manifest("Cargo.toml", "rust-version")
PYTHON = manifest("pyproject.toml", "requires-python")
RUST_HINT = f"install Rust {MSRV} or newer, from https://rustup.rs"
PYTHON_HINT = f"install CPython {PYTHON} or newer, or name one: make PYTHON=/path/to/python3"


def test_complete_machine_is_left_alone(machine: Machine) -> None:
    machine.add("apt-get")
    assert machine.setup("build", "wheel", "lint") == (0, [])
    assert machine.called("apt-get") == []


def test_no_cargo(machine: Machine) -> None:
    machine.remove("cargo")
    assert machine.setup() == (1, [f"setup: no cargo: {RUST_HINT}"])


@pytest.mark.parametrize("version", ["1.63.0", "1.9.0", "0.999.0"])
def test_old_rustc(machine: Machine, version: str) -> None:
    machine.add("rustc", f"echo 'rustc {version} (0123456789 2020-01-01)'")
    line = f"setup: rustc {version} is too old: {RUST_HINT} (with rustup: rustup update)"
    assert machine.setup() == (1, [line])


@pytest.mark.parametrize("version", [f"{MSRV}.0", f"{MSRV}.1-nightly", "2.0.0"])
def test_new_enough_rustc(machine: Machine, version: str) -> None:
    machine.add("rustc", f"echo 'rustc {version} (0123456789 2030-01-01)'")
    assert machine.setup() == (0, [])


def test_rustup_without_a_toolchain(machine: Machine) -> None:
    machine.add("rustc", "exit 1")
    assert machine.setup() == (1, [f"setup: cargo without a rustc that runs: {RUST_HINT}"])


def test_no_clippy(machine: Machine) -> None:
    machine.add("cargo", '[ "$1" != clippy ]')
    assert machine.setup() == (0, [])
    assert machine.setup("lint") == (1, ["setup: no rustfmt or no clippy: rustup component add rustfmt clippy"])


def test_old_python(machine: Machine) -> None:
    machine.add("python3", "echo 3.9")
    assert machine.setup() == (1, [f"setup: python3 is Python 3.9, too old: {PYTHON_HINT}"])


def test_no_python(machine: Machine) -> None:
    machine.remove("python3")
    assert machine.setup() == (1, [f"setup: no python3: {PYTHON_HINT}"])


def test_named_python(machine: Machine) -> None:
    machine.remove("python3")
    machine.add("python3.13", "case $2 in *version*) echo 3.13 ;; esac")
    assert machine.setup(PYTHON="python3.13") == (0, [])


@pytest.mark.parametrize(
    ("manager", "advice"),
    [("dnf", "dnf install"), ("pacman", "pacman -S"), ("apk", "apk add"), ("zypper", "zypper install")],
)
def test_no_clang_elsewhere(machine: Machine, manager: str, advice: str) -> None:
    machine.remove("clang")
    machine.add(manager)
    assert machine.setup() == (1, [f"setup: missing: clang; as root: {advice} clang"])
    assert machine.called(manager) == []


@pytest.mark.parametrize(
    ("manager", "advice"),
    [
        ("dnf", "dnf install clang-tools-extra elfutils-libelf-devel gettext-devel python3 zlib-devel"),
        ("pacman", "pacman -S clang gettext libelf python zlib"),
        ("apk", "apk add clang-extra-tools elfutils-dev gettext-dev python3 zlib-dev"),
        ("zypper", "zypper install clang-tools gettext-tools libelf-devel python3 zlib-devel"),
    ],
)
def test_other_names_elsewhere(machine: Machine, manager: str, advice: str) -> None:
    machine.remove("clang-format", "autopoint")
    machine.add("pkg-config", "exit 1")
    machine.add("python3", "case $2 in *version*) echo 3.99 ;; *) exit 1 ;; esac")
    machine.add(manager)
    line = f"setup: missing: venv libelf zlib clang-format autopoint; as root: {advice}"
    assert machine.setup("build", "lint", "wheel") == (1, [line])


def test_no_package_manager(machine: Machine) -> None:
    machine.remove("clang", "pkg-config")
    line = (
        "setup: missing: clang pkg-config libelf zlib; "
        "Debian's packages for that: clang libelf-dev pkg-config zlib1g-dev"
    )
    assert machine.setup() == (1, [line])


def test_neither_root_nor_sudo(machine: Machine) -> None:
    machine.remove("clang")
    machine.add("apt-get")
    machine.add("id", "echo 1000")
    line = "setup: missing: clang; there is no sudo, so as root: apt-get install clang"
    assert machine.setup() == (1, [line])
    assert machine.called("apt-get") == []


def test_apt_is_asked_for_what_is_missing_only(machine: Machine) -> None:
    machine.remove("clang")
    machine.add("pkg-config", "exit 1")
    machine.add("id", "echo 1000")
    machine.add("sudo", 'exec "$@"')
    machine.add("apt-get", "echo chatter; echo more >&2")
    code, lines = machine.setup()
    assert machine.called("apt-get") == [
        "apt-get -y -o DPkg::Lock::Timeout=300 update",
        "apt-get -y -o DPkg::Lock::Timeout=300 install --no-install-recommends clang libelf-dev zlib1g-dev",
    ]
    assert len(machine.called("sudo")) == 2
    # The stand-in installs nothing, and setup.sh believes what it sees, not apt's exit code.
    assert lines == [
        "setup: installing clang libelf-dev zlib1g-dev",
        "setup: installed, and still missing: clang libelf zlib",
    ]
    assert code == 1


def test_apt_fails(machine: Machine) -> None:
    machine.remove("clang")
    machine.add("apt-get", "echo 'E: Unable to locate package' >&2; exit 100")
    code, lines = machine.setup()
    assert code == 1
    assert "E: Unable to locate package" in lines
    assert lines[-1] == "setup: apt-get could not install: clang"


def test_own_clang(machine: Machine) -> None:
    machine.remove("clang")
    assert machine.setup(RAWTP_CLANG=str(machine.path / "make")) == (0, [])
    line = "setup: RAWTP_CLANG is set, but there is no program /nowhere/clang"
    assert machine.setup(RAWTP_CLANG="/nowhere/clang") == (1, [line])
