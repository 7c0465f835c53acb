"""The built wheel as a user gets it: installed alone, on a machine without compilers."""

from __future__ import annotations

import email
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from helpers.pages import SHELL
from helpers.support import COMES_BACK_LATE
from scripts.third_party import linked_parts
from scripts.wheels.build import built
from scripts.wheels.contents import Contents, contents
from scripts.wheels.targets import native

pytestmark = pytest.mark.wheel

ROOT = Path(__file__).parents[2]
LICENCES = {"LICENSE-MIT", "LICENSE-APACHE", "LICENSE-BPF", "LICENSE-THIRD-PARTY"}
# An event passes through once the deletion happened: what the process knows of itself stands beside it.
CHILD = """
import json, os, pathlib, sys, rawtp
path = sys.argv[1]
pathlib.Path(path).touch()
with rawtp.Tracer(pid=os.getpid()) as tracer:
    os.unlink(path)
    event = tracer.get(timeout=10)
seen = {key: event[key] for key in ("pid", "comm", "filename", "ret")}
comm = pathlib.Path("/proc/self/comm").read_text().rstrip("\\n")
expected = {"pid": os.getpid(), "comm": comm, "filename": path, "ret": 0}
print(json.dumps([seen, expected, rawtp.__file__]))
"""


@pytest.fixture(scope="module")
def wheel() -> Path:
    if named := os.environ.get("RAWTP_WHEEL"):
        return Path(named).resolve()
    found = built(native(), ROOT / "dist")
    if not found:
        # A clone where nobody has built one is no failure; a CI run that forgot to is.
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("no wheel in dist/: make wheel builds it")
    return found[-1]


@pytest.fixture(scope="module")
def inside(wheel: Path) -> Contents:
    return contents(wheel, (ROOT, Path.home()))


@pytest.fixture(scope="module")
def bare_env(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return {"PATH": str(tmp_path_factory.mktemp("no-programs"))}


@pytest.fixture(scope="module")
def python(wheel: Path, bare_env: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return installed(wheel, Path(sys.executable), bare_env, tmp_path_factory.mktemp("venv"))


def installed(wheel: Path, interpreter: Path, env: dict[str, str], venv: Path) -> Path:
    """The Python of a new environment that has the wheel and nothing else."""
    subprocess.run([interpreter, "-m", "venv", venv], check=True)
    python = venv / "bin" / "python"
    pip = [str(python), "-I", "-m", "pip", "--disable-pip-version-check", "--no-cache-dir", "install", "--quiet"]
    subprocess.run([*pip, "--no-index", "--no-deps", str(wheel)], env=env, check=True)
    return python


def interpreters() -> dict[str, Path]:
    """Every CPython that the wheel is for and that this machine has, by its version; pyenv's too."""
    commands = [found for minor in range(10, 20) if (found := shutil.which(f"python3.{minor}"))]
    says = "import sys; print('%d.%d' % sys.version_info[:2], sys.implementation.name)"
    by_version: dict[str, Path] = {}
    for path in (Path(sys.executable), *map(Path, commands), *Path.home().glob(".pyenv/versions/3.*/bin/python")):
        said = subprocess.run([path, "-c", says], capture_output=True, text=True, check=False).stdout.split()
        if said and said[1] == "cpython" and int(said[0].partition(".")[2]) >= 10:
            by_version.setdefault(said[0], path)
    return by_version


def run(python: Path, env: dict[str, str], program: str, *args: str) -> str:
    # -I: not the clone's python/rawtp, from whichever folder the tests run.
    done = subprocess.run([python, "-I", "-c", program, *args], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_brings_the_command(python: Path, bare_env: dict[str, str]) -> None:
    """The program that the README calls."""
    script = python.with_name("rawtp")
    done = subprocess.run([script, "help"], env=bare_env, capture_output=True, text=True, check=True)
    assert f"  {script} -p 1234\n" in done.stdout.replace("sudo ", "")


def test_it_is_installed_as_the_readme_says(wheel: Path, tmp_path: Path) -> None:
    lines = [line for place, line in SHELL if place.startswith("README.md") and not line.startswith(("sudo", "make"))]
    assert lines == ["python3 -m venv .venv", ".venv/bin/pip install rawtp"]
    # This wheel, and not what an index has.
    named = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheel.parent), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    for line in lines:
        subprocess.run(["sh", "-c", line], cwd=tmp_path, env={"PATH": path, **named}, check=True)
    done = subprocess.run([".venv/bin/rawtp", "help"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "  .venv/bin/rawtp -p 1234\n" in done.stdout.replace("sudo ", "")


@pytest.mark.kernel
@pytest.mark.timeout(600)
def test_one_wheel_for_every_python(wheel: Path, bare_env: dict[str, str], tmp_path: Path) -> None:
    """An event comes through, and a thread ends as glibc ends it: by unwinding frames that zig has linked."""
    found = interpreters()
    assert ".".join(map(str, sys.version_info[:2])) in found
    for version, interpreter in found.items():
        python = installed(wheel, interpreter, bare_env, tmp_path / version)
        seen, expected, _ = json.loads(run(python, bare_env, CHILD, str(tmp_path / f"deleted-{version}")))
        assert (version, seen) == (version, expected)
        assert (version, run(python, bare_env, COMES_BACK_LATE)) == (version, "")


@pytest.mark.kernel
def test_reports_a_deletion(python: Path, bare_env: dict[str, str], tmp_path: Path) -> None:
    seen, expected, module = json.loads(run(python, bare_env, CHILD, str(tmp_path / "deleted")))
    assert seen == expected
    assert Path(module).is_relative_to(python.parents[1])


def test_needs_libc_of_2012_and_nothing_else(inside: Contents) -> None:
    """What `make wheels` refuses: other libraries, a newer libc than the tag says, a megabyte, this machine's paths."""
    assert inside.needed
    assert inside.glibc is not None
    assert inside.faults(native()) == []
    assert "manylinux_2_17" in inside.wheel.name


def test_holds_what_it_should_and_no_more(wheel: Path) -> None:
    source = ROOT / "python"
    kinds = (".py", ".pyi", ".typed")
    modules = {str(path.relative_to(source)) for path in source.rglob("*") if path.suffix in kinds}
    assert {"rawtp/__init__.py", "rawtp/_core.pyi", "rawtp/py.typed"} <= modules
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    info = next(name.split("/")[0] for name in names if name.endswith(".dist-info/METADATA"))
    described = {f"{info}/{name}" for name in ("METADATA", "WHEEL", "RECORD", "entry_points.txt")}
    licences = {f"{info}/licenses/{name}" for name in LICENCES}
    bill = {f"{info}/sboms/rawtp.cyclonedx.json"}
    share = ROOT / "packaging" / "wheel"
    data = f"{info.removesuffix('.dist-info')}.data"
    shared = {f"{data}/{path.relative_to(share)}" for path in share.rglob("*") if path.is_file()}
    assert names == modules | described | licences | bill | shared | {"rawtp/_core.abi3.so"}


def test_installs_manual_pages_and_completions(python: Path) -> None:
    share = python.parents[1] / "share"
    assert (share / "man" / "man1" / "rawtp.1").read_text().startswith(".TH RAWTP 1")
    assert (share / "bash-completion" / "completions" / "rawtp").read_text().startswith("# bash completion")
    assert (share / "zsh" / "site-functions" / "_rawtp").exists()
    assert (share / "fish" / "vendor_completions.d" / "rawtp.fish").exists()


def test_names_all_that_is_linked_into_it_and_its_terms(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {Path(name).name: name for name in archive.namelist()}
        bill = json.loads(archive.read(names["rawtp.cyclonedx.json"]))
        texts = archive.read(names["LICENSE-THIRD-PARTY"]).decode()
    listed = {(part["name"], part["version"]): part["licenses"][0]["expression"] for part in bill["components"]}
    rust = [key for key in listed if key[0] == "Rust's standard library"]
    assert len(rust) == 1
    parts = linked_parts()
    assert listed.keys() - rust == {(part.name, part.version) for part in parts}
    assert {"libbpf", "elfutils libelf", "zlib", "pyo3"} <= {name for name, _ in listed}
    assert all(f"\n{part.name} {part.version}: {part.licence} [" in texts for part in parts)
    assert bill["dependencies"][0]["dependsOn"] == [part["bom-ref"] for part in bill["components"]]
    crates = [part for part in bill["components"] if part["purl"].startswith("pkg:cargo/")]
    assert all(len(part["hashes"][0]["content"]) == 64 for part in crates)


def test_carries_its_version_and_licence(wheel: Path, python: Path, bare_env: dict[str, str]) -> None:
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = email.message_from_bytes(archive.read(name))
    assert run(python, bare_env, "import rawtp; print(rawtp.__version__)").strip() == metadata["Version"]
    assert metadata["License-Expression"] == "MIT OR Apache-2.0"
    assert set(metadata.get_all("License-File", [])) == LICENCES
