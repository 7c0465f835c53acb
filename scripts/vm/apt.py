"""apt with a state of its own: other suites another architecture, and the mirror that this machine uses."""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
DAY_S = 24 * 3600


class Apt:
    """The packages of some suites for one architecture. Needs no root, and leaves the machine's own alone."""

    def __init__(self, place: Path, arch: str, suites: tuple[str, ...]) -> None:
        self._place = place
        self._arch = arch
        self._config = place / "apt.conf"
        place.mkdir(parents=True, exist_ok=True)
        for name in ("state/lists/partial", "cache/archives/partial", "none/partial"):
            (place / name).mkdir(parents=True, exist_ok=True)
        (place / "status").touch()
        debian, security = mirrors()
        sources = {suite: security if suite.endswith("-security") else debian for suite in suites}
        lines = [f"deb [signed-by={KEYRING}] {uri} {suite} main\n" for suite, uri in sources.items()]
        (place / "sources.list").write_text("".join(lines))
        self._config.write_text(
            f'Dir::State "{place}/state"; Dir::State::status "{place}/status"; Dir::Cache "{place}/cache";\n'
            f'Dir::Etc::sourcelist "{place}/sources.list"; Dir::Etc::sourceparts "-";\n'
            'Dir::Etc::preferences "/dev/null"; Dir::Etc::preferencesparts "-"; Acquire::Languages "none";\n'
            f'APT::Architecture "{arch}"; APT::Architectures {{ "{arch}"; }};\n'
            # Root would fetch as _apt, who may not write here. A suite that gets no updates any more serves as well.
            'APT::Sandbox::User "root"; Acquire::Retries "2"; Acquire::Check-Valid-Until "false";\n'
        )

    def update(self) -> None:
        """Fetches the lists, once a day; what is there already serves when the mirror does not answer."""
        stamp = self._place / "updated"
        if not stamp.exists() or time.time() - stamp.stat().st_mtime > DAY_S:
            self._run("apt-get", "-qq", "update", check=False)
            stamp.touch()

    def kernels(self, version: str) -> list[str]:
        """The packages of a cloud kernel, the newest first."""
        flavour = f"cloud-{self._arch}"
        names = self._run("apt-cache", "pkgnames", "linux-").split()
        # Since 6.19 the image is in linux-binary, and linux-image but needs it.
        pattern = re.compile(rf"linux-(image|binary)-(\d+\.\d+[.0-9a-z+~-]*)-{flavour}")
        found: dict[tuple[int, ...], str] = {}
        for name in sorted(names, reverse=True):
            match = pattern.fullmatch(name)
            if match and (version == "newest" or match[2].startswith(f"{version}.")):
                found[tuple(map(int, re.findall(r"\d+", match[2].split("+")[0])))] = name
        return [name for _, name in sorted(found.items(), reverse=True)]

    def modules(self, package: str) -> str:
        """The package with a kernel's modules: since 6.19 they are apart from its binary."""
        return package.replace("linux-binary-", "linux-modules-")

    def download(self, package: str) -> Path | None:
        """One package without those that it needs; ``None`` when the mirror has it no longer."""
        uris = self._run("apt-get", "--print-uris", "download", package, check=False).split()
        if len(uris) < 2:
            return None
        archive = self._place / "cache" / "archives" / uris[1]
        if not archive.exists():
            self._run("apt-get", "-qq", "download", package, check=False, cwd=archive.parent)
        return archive if archive.exists() else None

    def closure(self, packages: tuple[str, ...]) -> list[Path]:
        """Packages with all that they need."""
        ask = ("apt-get", "-y", "--no-install-recommends", "install", *packages)
        # apt gives addresses of what it has not fetched yet: of all, when it looks for that elsewhere.
        uris = self._run(*ask, "--print-uris", "-o", f"Dir::Cache::archives={self._place}/none")
        self._run(*ask, "--download-only")
        names = re.findall(r"^'[^']+' (\S+\.deb) ", uris, re.MULTILINE)
        return [self._place / "cache" / "archives" / name for name in names]

    def _run(self, *command: str, check: bool = True, cwd: Path | None = None) -> str:
        env = {"APT_CONFIG": str(self._config), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}
        done = subprocess.run(command, env=env, cwd=cwd, capture_output=True, text=True, check=False)
        if check and done.returncode != 0:
            raise RuntimeError(f"{' '.join(command[:2])} failed:\n{done.stdout}{done.stderr}")
        return done.stdout


def mirrors() -> tuple[str, str]:
    """Where Debian and its security updates come from, as this machine's apt says."""
    ask = ["apt-get", "indextargets", "--format", "$(LABEL) $(REPO_URI)", "Created-By: Packages"]
    found = dict(line.split(None, 1) for line in subprocess.check_output(ask, text=True).splitlines())
    if "Debian" not in found:
        raise RuntimeError("this machine's apt has no mirror of Debian: the kernels come from there")
    beside = found["Debian"].rstrip("/").removesuffix("/debian") + "/debian-security/"
    return found["Debian"], found.get("Debian-Security", beside)
