"""scripts/setup.sh on machines that lack something. Every program it can see is a stand-in that notes its calls."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
# What any shell script may count on.
COREUTILS = ("awk", "cat", "cut", "dirname", "env", "ls", "mktemp", "paste", "rm", "sed", "sh", "sort", "tr")
TOOLS = ("cargo", "make", "cc", "c++", "clang", "clang-format", "pkg-config", "rpmbuild", "rsyslogd", "strace")
VENDORED = ("autoreconf", "automake", "autopoint", "flex", "bison", "gawk", "readelf")


def manifest(file: str, pattern: str) -> str:
    found = re.search(pattern, (ROOT / file).read_text())
    assert found
    return found[1]


MSRV = manifest("Cargo.toml", r'rust-version = "(.+)"')
RUST = f"install Rust {MSRV} or newer, from https://rustup.rs"
UPDATE = f"{RUST} (with rustup: rustup update)"
OLDEST_PYTHON = manifest("pyproject.toml", r'requires-python = ">=(.+)"')
INSTALLS = "these packages are missing, and are installed now with"
PYTHON = f"install CPython {OLDEST_PYTHON} or newer, or name one: make PYTHON=/path/to/python3"


def rustc(version: str) -> str:
    return f"echo 'rustc {version} (0123456789 2030-01-01)'"


def python(version: str, ensurepip: int = 0) -> str:
    return f"case $2 in *version*) echo {version} ;; *ensurepip*) exit {ensurepip} ;; esac"


class Machine:
    """A machine with all that setup.sh looks for, until a test takes something away."""

    def __init__(self, root: Path) -> None:
        self.path = root / "bin"
        self.path.mkdir()
        self.calls = root / "calls"
        self.calls.touch()
        for name in COREUTILS:
            real = shutil.which(name)
            assert real, name
            (self.path / name).symlink_to(real)
        self.add(**dict.fromkeys(TOOLS + VENDORED, ""))
        self.add(rustc=rustc("1.999.0"), python3=python("3.99"), id="echo 0")

    def add(self, **scripts: str) -> None:
        for name, script in scripts.items():
            shim = self.path / name
            shim.write_text(f'#!/bin/sh\necho "{name} $*" >>"{self.calls}"\n{script}\n')
            shim.chmod(0o755)

    def remove(self, *names: str) -> None:
        for name in names:
            (self.path / name).unlink()

    def setup(self, *targets: str, **env: str) -> tuple[int, list[str]]:
        done = subprocess.run(
            [ROOT / "scripts" / "setup.sh", *targets],
            env={"PATH": str(self.path), **env},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        assert done.stdout == ""
        return done.returncode, done.stderr.splitlines()

    def called(self, name: str) -> list[str]:
        return [line for line in self.calls.read_text().splitlines() if line.startswith(f"{name} ")]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_complete_machine_is_left_alone(machine: Machine) -> None:
    machine.add(**{"apt-get": ""})
    assert machine.setup("build", "wheel", "lint", "fuzz") == (0, [])
    assert machine.called("apt-get") == []


@pytest.mark.parametrize(
    ("gone", "changed", "line"),
    [
        ("cargo", {}, f"no cargo: {RUST}"),
        ("rustc", {}, f"cargo without a rustc that runs: {RUST}"),
        ("", {"rustc": "exit 1"}, f"cargo without a rustc that runs: {RUST}"),
        ("", {"rustc": rustc("1.63.0")}, f"rustc 1.63.0 is too old: {UPDATE}"),
        ("", {"rustc": rustc("1.9.0")}, f"rustc 1.9.0 is too old: {UPDATE}"),
        ("", {"rustc": rustc("0.999.0-nightly")}, f"rustc 0.999.0-nightly is too old: {UPDATE}"),
        ("python3", {}, f"no python3: {PYTHON}"),
        ("", {"python3": python("3.9")}, f"python3 is Python 3.9, too old: {PYTHON}"),
        ("clang", {"dnf": ""}, "missing: clang; as root: dnf install clang"),
        ("clang", {"pacman": ""}, "missing: clang; as root: pacman -S clang"),
        ("clang", {"apk": ""}, "missing: clang; as root: apk add clang"),
        ("clang", {"zypper": ""}, "missing: clang; as root: zypper install clang"),
        ("clang", {}, "missing: clang; Debian's packages for that: clang"),
        (
            "clang",
            {"apt-get": "", "id": "echo 1000"},
            "missing: clang; there is no sudo, so as root: apt-get install clang",
        ),
    ],
)
def test_one_line_that_helps(machine: Machine, gone: str, changed: dict[str, str], line: str) -> None:
    machine.remove(*gone.split())
    machine.add(**changed)
    assert machine.setup("build") == (1, [f"setup: {line}"])
    assert not any(machine.called(name) for name in ("apt-get", "dnf", "pacman", "apk", "zypper"))


@pytest.mark.parametrize(
    ("manager", "advice"),
    [
        ("dnf", "dnf install clang-tools-extra elfutils-libelf-devel gettext-devel python3 zlib-devel"),
        ("pacman", "pacman -S clang gettext libelf python zlib"),
        ("apk", "apk add clang-extra-tools elfutils-dev gettext-dev python3 zlib-dev"),
        ("zypper", "zypper install clang-tools gettext-tools libelf-devel python3 zlib-devel"),
    ],
)
def test_names_of_other_distributions(machine: Machine, manager: str, advice: str) -> None:
    machine.remove("clang-format", "autopoint")
    machine.add(**{"pkg-config": "exit 1", "python3": python("3.99", ensurepip=1), manager: ""})
    line = f"setup: missing: venv libelf zlib clang-format autopoint; as root: {advice}"
    assert machine.setup("build", "lint", "wheel") == (1, [line])


def test_any_chromium_will_do(machine: Machine) -> None:
    machine.add(dnf="")
    assert machine.setup("build", "lab") == (1, ["setup: missing: chromium; as root: dnf install chromium"])
    machine.add(**{"google-chrome": ""})
    assert machine.setup("build", "lab") == (0, [])


def test_sudo_is_for_who_is_not_root(machine: Machine) -> None:
    machine.add(dnf="")
    for environment in ({}, {"CI": "", "RAWTP_REQUIRE_KERNEL": ""}):
        assert machine.setup("build", "wheel", "test", **environment) == (0, [])
    missing = (1, ["setup: missing: sudo; as root: dnf install sudo"])
    machine.add(id="echo 1000")
    assert machine.setup("build", "wheel") == (0, [])
    assert machine.setup("build", "wheel", "test") == missing
    machine.add(id="echo 0")
    # Where no test may be left out.
    assert machine.setup("test", CI="true") == missing
    assert machine.setup("test", RAWTP_REQUIRE_KERNEL="1") == missing
    machine.add(sudo="")
    assert machine.setup("build", "wheel", "test", CI="true") == (0, [])


def test_on_a_terminal_there_is_time_to_refuse(machine: Machine) -> None:
    machine.remove("clang")
    machine.add(**{"apt-get": "", "sleep": ""})
    ours, theirs = os.openpty()
    command = [str(ROOT / "scripts" / "setup.sh"), "build"]
    done = subprocess.run(command, env={"PATH": str(machine.path)}, stderr=theirs, check=False, timeout=30)
    os.close(theirs)
    first, second, *_ = os.read(ours, 65536).decode().splitlines()
    os.close(ours)
    assert done.returncode == 1
    assert (first, second) == (
        f"setup: {INSTALLS} apt-get: clang",
        "setup: Ctrl-C within 5 seconds leaves the machine as it is",
    )
    calls = [line.split()[0] for line in machine.calls.read_text().splitlines()]
    # First the word, then the wait, then the installation.
    assert calls.index("sleep") < calls.index("apt-get")
    assert machine.called("sleep") == ["sleep 5"]


@pytest.mark.parametrize("version", [f"{MSRV}.0", f"{MSRV}.1-nightly", "2.0.0"])
def test_new_enough(machine: Machine, version: str) -> None:
    machine.remove("python3")
    machine.add(rustc=rustc(version), other=python(f"{OLDEST_PYTHON}"))
    assert machine.setup("build", PYTHON="other") == (0, [])


def test_no_clippy(machine: Machine) -> None:
    machine.add(cargo='[ "$1" != clippy ]')
    assert machine.setup("build") == (0, [])
    assert machine.setup("lint") == (1, ["setup: no rustfmt or no clippy: rustup component add rustfmt clippy"])


def test_apt_is_asked_for_what_is_missing_only(machine: Machine) -> None:
    machine.remove("clang")
    machine.add(**{"pkg-config": "exit 1", "apt-get": "echo chatter; echo more >&2"}, id="echo 1000", sudo='exec "$@"')
    # The stand-in installs nothing, and setup.sh believes what it sees, not apt's exit code.
    missing = "setup: installed, and still missing: clang libelf zlib"
    assert machine.setup("build") == (1, [f"setup: {INSTALLS} sudo apt-get: clang libelf-dev zlib1g-dev", missing])
    assert machine.called("apt-get") == [
        "apt-get -y -o DPkg::Lock::Timeout=300 update",
        "apt-get -y -o DPkg::Lock::Timeout=300 install --no-install-recommends clang libelf-dev zlib1g-dev",
    ]
    assert len(machine.called("sudo")) == 2


def test_a_fuzzer_needs_a_compiler_of_c_plus_plus(machine: Machine) -> None:
    machine.add(**{"c++": "exit 1", "apt-get": ""})
    assert machine.setup("build") == (0, [])
    lines = [f"setup: {INSTALLS} apt-get: g++", "setup: installed, and still missing: c++"]
    assert machine.setup("build", "fuzz") == (1, lines)


def test_other_kernels_need_qemu_and_a_cross_compiler(machine: Machine) -> None:
    said = (1, ["setup: the kernels of test-vm are Debian's: that needs apt-get"])
    assert machine.setup("vm") == said
    machine.add(**{"apt-get": "", "qemu-system-x86_64": "", "rustup": ""})
    code, [first, second] = machine.setup("vm")
    assert (code, second) == (1, "setup: installed, and still missing: cross-cc qemu-system-aarch64")
    assert first == f"setup: {INSTALLS} apt-get: gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-system-arm"


def test_wheels_need_a_standard_library_each(machine: Machine) -> None:
    line = "setup: rustc has no standard library for x86_64-unknown-linux-gnu, and there is no rustup to add it"
    assert machine.setup("wheels") == (1, [line])
    machine.add(rustup="")
    assert machine.setup("wheels") == (0, [])
    assert machine.called("rustup") == [
        f"rustup target add {arch}-unknown-linux-{libc}" for arch in ("x86_64", "aarch64") for libc in ("gnu", "musl")
    ]


def test_fresh_machines_are_debians(machine: Machine) -> None:
    assert machine.setup("fresh") == (1, ["setup: the machines of test-fresh are Debian's: that needs apt-get"])
    machine.add(**{"apt-get": "", "git": ""})
    said = [f"setup: {INSTALLS} apt-get: debootstrap", "setup: installed, and still missing: debootstrap"]
    assert machine.setup("fresh") == (1, said)


def test_apt_fails(machine: Machine) -> None:
    machine.remove("clang")
    machine.add(**{"apt-get": "echo 'E: no such package' >&2; exit 100"})
    said = "E: no such package"
    lines = [f"setup: {INSTALLS} apt-get: clang", said, said, "setup: apt-get could not install: clang"]
    assert machine.setup("build") == (1, lines)


def test_own_clang(machine: Machine) -> None:
    machine.remove("clang")
    assert machine.setup("build", RAWTP_CLANG=str(machine.path / "make")) == (0, [])
    line = "setup: RAWTP_CLANG is set, but there is no program /nowhere/clang"
    assert machine.setup("build", RAWTP_CLANG="/nowhere/clang") == (1, [line])
