"""Builds the programs of ``benches/programs`` and runs them."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rawtp import syscalls

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
PROGRAMS = Path(__file__).with_name("programs")
LAST_CPU = max(os.sched_getaffinity(0))


class Programs:
    """The built programs, in a directory of the caller's."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.load = directory / "load"
        self.losses = directory / "losses"
        self._floor = directory / "floor"
        self._object = directory / "floor.bpf.o"
        libbpf = _libbpf()
        include = f"-I{libbpf / 'include'}"
        arch = {"x86_64": "x86", "aarch64": "arm64"}[platform.machine()]
        clang = [
            os.environ.get("RAWTP_CLANG", "clang"),
            "-g",
            "-O2",
            "-Wall",
            "-target",
            "bpf",
            f"-D__TARGET_ARCH_{arch}",
        ]
        numbers = [f"-DFLOOR_NR={syscalls.number('unlinkat')}", f"-DFLOOR_OPENAT={syscalls.number('openat')}"]
        _run(*clang, *numbers, f"-I{ROOT / 'bpf'}", include, "-c", PROGRAMS / "floor.bpf.c", "-o", self._object)
        archive = (libbpf / "libbpf.a", "-lelf", "-lz")
        _run("cc", "-O2", "-Wall", include, "-o", self._floor, PROGRAMS / "floor.c", *archive)
        _run("cc", "-O2", "-Wall", "-o", self.load, PROGRAMS / "load.c")
        _run("cc", "-O2", "-Wall", "-o", self.losses, PROGRAMS / "losses.c")

    def floor_command(self, *programs: str) -> list[str]:
        """Of the loader of ``floor.bpf.c``'s programs."""
        return [str(self._floor), str(self._object), *programs]

    @contextmanager
    def floor(self, *programs: str) -> Iterator[None]:
        """Those programs, attached."""
        with subprocess.Popen(self.floor_command(*programs), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdin
            assert process.stdout
            if process.stdout.readline() != b"ready\n":
                raise RuntimeError("the floor's programs could not be attached")
            yield
            process.stdin.close()
            process.wait()


class Load:
    """The load generator, waiting for its start. A program of its own: it holds no GIL and shares no memory."""

    def __init__(
        self, programs: Programs, *options: object, fds: tuple[int, ...] = (), cwd: Path | None = None
    ) -> None:
        command = [str(programs.load), *map(str, options)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, pass_fds=fds, cwd=cwd
        )
        self.pid = self._process.pid

    def __enter__(self) -> Load:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def ready(self) -> None:
        """Waits until all its processes are there (``-p``)."""
        assert self._process.stdout
        assert self._process.stdout.readline() == "ready\n"

    def start(self) -> None:
        """Lets it go."""
        assert self._process.stdin
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def numbers(self) -> list[float]:
        """Waits for its end: what it printed."""
        assert self._process.stdout
        found = [float(line) for line in self._process.stdout]
        if self._process.wait():
            raise RuntimeError(f"the load ended with {self._process.returncode}")
        return found

    def run(self) -> float:
        """From start to end: nanoseconds of one call, the median of the slices."""
        self.start()
        return statistics.median(self.numbers())


def pinned_load(programs: Programs, call: str, calls: int) -> Load:
    """For the cost of a call: on one CPU, the last one, in slices whose median passes over interruptions."""
    return Load(programs, "-c", call, "-n", calls, "-s", 20, "-u", LAST_CPU)


def _libbpf() -> Path:
    """Where cargo built the libbpf that the extension is linked with, the newest."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    found = sorted(target.glob("release/build/libbpf-sys-*/out/libbpf.a"), key=lambda path: path.stat().st_mtime)
    if not found:
        raise SystemExit(f"no libbpf under {target}: run `make build` first")
    return found[-1].parent


def _run(*command: str | Path) -> None:
    subprocess.run(command, check=True)
