"""The packages for Debian and by rpm: what is in them, of a wheel that the test makes up."""

from __future__ import annotations

import os
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

import rawtp
from rawtp._record import unit

TOP = Path(__file__).parents[3]
PACKAGE = Path(rawtp.__file__).parent
FILES = {
    "/opt/rawtp/bin/rawtp",
    "/opt/rawtp/lib/rawtp/__init__.py",
    "/opt/rawtp/lib/rawtp/_core.abi3.so",
    "/usr/bin/rawtp",
    "/usr/lib/systemd/system/rawtp-record.service",
    "/usr/share/doc/rawtp/LICENSE-MIT",
}

pytestmark = pytest.mark.skipif(not Path("/usr/bin/python3").exists(), reason="no /usr/bin/python3")


def need(program: str) -> None:
    if shutil.which(program) is None:
        if os.environ.get("RAWTP_REQUIRE_KERNEL"):
            pytest.fail(f"{program} is required here", pytrace=False)
        pytest.skip(f"no {program}")


def run(*command: object, **environment: str) -> str:
    done = subprocess.run(
        [*map(str, command)], capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """A wheel with these sources, and no code in its extension."""
    path = tmp_path / "rawtp-1.2.3-cp310-abi3-manylinux_2_17_x86_64.whl"
    with zipfile.ZipFile(path, "w") as made:
        for source in PACKAGE.rglob("*.py"):
            made.write(source, f"rawtp/{source.relative_to(PACKAGE)}")
        made.writestr("rawtp/_core.abi3.so", b"\x7fELF")
        for name in ("LICENSE-MIT", "LICENSE-APACHE"):
            made.write(TOP / name, f"rawtp-1.2.3.dist-info/licenses/{name}")
    return path


def check_tree(root: Path) -> None:
    """The files as a host would have them."""
    assert str((root / "usr/bin/rawtp").readlink()) == "/opt/rawtp/bin/rawtp"
    assert (root / "opt/rawtp/bin/rawtp").stat().st_mode & 0o777 == 0o755
    text = (root / "usr/lib/systemd/system/rawtp-record.service").read_text()
    expected = unit.text("/opt/rawtp/bin/rawtp").replace(" -I -m rawtp ", " ")
    assert text.strip() == expected.strip()
    assert "\nExecStart=/opt/rawtp/bin/rawtp record\n" in text
    for source in PACKAGE.rglob("*.py"):
        assert (root / "opt/rawtp/lib/rawtp" / source.relative_to(PACKAGE)).read_bytes() == source.read_bytes()
    assert not [*root.rglob("__pycache__")]


def test_rpm(tmp_path: Path, wheel: Path) -> None:
    need("rpmbuild")
    out = tmp_path / "out"
    run(TOP / "deploy/rpm/build.sh", wheel, out)
    [package] = out.iterdir()
    assert package.name == "rawtp-1.2.3-1.x86_64.rpm"
    query = ("rpm", "-qp", package)
    listed = run(*query, "-l").splitlines()
    assert {*listed} >= FILES
    assert all(
        name.startswith(("/opt/rawtp", "/usr/bin/rawtp", "/usr/lib/systemd/", "/usr/share/doc/")) for name in listed
    )
    owners = run(*query, "--qf", "[%{FILEUSERNAME}:%{FILEGROUPNAME}\\n]").split()
    assert {*owners} == {"root:root"}
    requires = run(*query, "--requires").splitlines()
    assert {"python3 >= 3.10", "glibc >= 2.17"} <= {*requires}
    assert not [line for line in requires if ".so" in line]
    scripts = run(*query, "--scripts")
    assert "groupadd --system rawtp" in scripts
    # A host's group, and its files, are the host's: nothing is started.
    assert "enable" not in scripts.replace("disable", "")
    first = package.read_bytes()
    run(TOP / "deploy/rpm/build.sh", wheel, out)
    assert package.read_bytes() == first, "a second build differs"
    root = tmp_path / "root"
    run("rpm", "-i", "--nodeps", "--noscripts", "--root", root, "--dbpath", "/rpmdb", package)
    check_tree(root)
    assert run("rpm", "--root", root, "--dbpath", "/rpmdb", "-V", "--nodeps", "rawtp") == ""


def test_debian(tmp_path: Path, wheel: Path) -> None:
    need("dpkg-deb")
    out, root = tmp_path / "out", tmp_path / "root"
    run(TOP / "deploy/debian/build.sh", wheel, out)
    [package] = out.iterdir()
    assert package.name == "rawtp_1.2.3_amd64.deb"
    names = {line.split()[5].removeprefix(".") for line in run("dpkg-deb", "-c", package).splitlines()}
    assert names >= FILES
    assert "python3 (>= 3.10)" in run("dpkg-deb", "-f", package, "Depends")
    run("dpkg-deb", "-x", package, root)
    check_tree(root)
