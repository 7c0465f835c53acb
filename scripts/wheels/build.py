"""One wheel, by one way: on which machine, in which directory makes no difference to its bytes.

zig is the C compiler and the linker: it has every target's libc in every version, so that nothing of this machine's
gets in.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.wheels import sbom, unwind

if TYPE_CHECKING:
    from scripts.wheels.targets import Target

ROOT = Path(__file__).parents[2]
# libelf and libbpf run once, when a tracer is made. These come last, after cargo's wish for debug information.
C_FLAGS = ("-Os", "-g0", "-fomit-frame-pointer", "-fno-asynchronous-unwind-tables", "-fno-unwind-tables")
# elfutils asks for what its programs need and libelf does not. musl has none of it.
NOT_NEEDED = {f"ac_cv_search_{name}": "none required" for name in ("argp_parse", "fts_close", "_obstack_free")}
MUSL = Path(__file__).with_name("musl")


def build(target: Target, out: Path, root: Path = ROOT) -> Path:
    """Into ``out``, in place of those of the same target that are there."""
    for old in built(target, out):
        old.unlink()
    bill = sbom.write(root)
    maturin: list[str | Path] = [Path(sys.executable).with_name("maturin"), "build", "--profile", "wheel", "--locked"]
    maturin += ["--features", "vendored", "--zig", "--compatibility", target.policy, "--target", target.triple]
    maturin += ["--compression-level", "9", "--sbom-include", bill, "--out", out]
    subprocess.run(maturin, cwd=root, env={**os.environ, **environment(target, root)}, check=True)
    [wheel] = built(target, out)
    return wheel


def built(target: Target, out: Path) -> list[Path]:
    """The wheels for a target that are in a directory."""
    return sorted(out.glob(f"rawtp-*{target.libc}*_{target.machine}.whl"))


def environment(target: Target, root: Path) -> dict[str, str]:
    """What compilers are told, so that they write no path of this machine's."""
    cargo = Path(os.environ.get("CARGO_HOME") or Path.home() / ".cargo")
    # The last that fits counts.
    renamed = {root: "/rawtp", cargo: "/cargo"}
    rust = [f"--remap-path-prefix={path}={name}" for path, name in renamed.items()]
    c = [*C_FLAGS, *(f"-ffile-prefix-map={path}={name}" for path, name in renamed.items())]
    musl = target.libc == "musllinux"
    if musl:
        c.append(f"-I{MUSL}")
    else:
        rust.append(f"-Clink-arg={unwind.libgcc_s(target, root)}")
    return {
        # maturin looks for zig there.
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "CARGO_ENCODED_RUSTFLAGS": "\x1f".join(rust),
        f"CFLAGS_{target.variable}": " ".join(c),
        **(NOT_NEEDED if musl else {}),
    }
