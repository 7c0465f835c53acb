"""The root file system of the image, made by the steps of the Containerfile, in a chroot and as a container."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

import rawtp
from helpers.metrics import samples
from helpers.support import HANG_S, wait_for
from scripts.fresh.machine import Machine, machine
from scripts.wheels.build import built
from scripts.wheels.targets import native

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"


@pytest.fixture(scope="module")
def image() -> Iterator[Machine]:
    """A minimal Debian after ``rootfs.sh``."""
    named = os.environ.get("RAWTP_WHEEL")
    wheel = Path(named) if named else built(native(), ROOT / "dist")[-1]
    cache = Path(os.environ.get("RAWTP_CACHE") or Path.home() / ".cache" / "rawtp") / "fresh"
    cache.mkdir(parents=True, exist_ok=True)
    with machine(cache, "trixie", ()) as made:
        source = made.written / "src"
        shutil.copytree(DEPLOY, source / "deploy")
        shutil.copy(wheel, source)
        made.run("sh", "/src/deploy/image/rootfs.sh", "/src/deploy/install.sh", f"/src/{wheel.name}")
        shutil.rmtree(source)
        yield made


def daemonset() -> dict[str, Any]:
    documents = yaml.safe_load_all((DEPLOY / "kubernetes" / "rawtp.yaml").read_text())
    [found] = [document for document in documents if document["kind"] == "DaemonSet"]
    spec: dict[str, Any] = found["spec"]["template"]["spec"]
    return spec


def test_the_containerfile_runs_the_same_steps() -> None:
    text = (DEPLOY / "image" / "Containerfile").read_text()
    steps = re.findall(r"^(?:RUN [^\n]*(?:\\\n)?[^\n]*)?sh /src/(\S+) /src/(\S+)", text, re.MULTILINE)
    assert len(re.findall(r"deploy/image/rootfs\.sh /src/deploy/install\.sh", text)) == 2, steps
    assert "trixie" in text


def test_the_command_runs_in_a_chroot(image: Machine, tmp_path: Path) -> None:
    image.run("sh", "-c", "rawtp --version > /version; rawtp check --json > /check; echo $? >> /check")
    assert (image.written / "version").read_text() == f"rawtp {rawtp.__version__}\n"
    *lines, code = (image.written / "check").read_text().splitlines()
    found = json.loads("\n".join(lines))
    assert code == "0", found
    assert found["ok"] is True


def test_nothing_is_left_of_the_making(image: Machine) -> None:
    image.run("sh", "-c", "ls -d /var/lib/apt/lists/* /src 2>/dev/null > /left; command -v pip gcc >> /left; true")
    assert (image.written / "left").read_text() == ""
    image.run("sh", "-c", "stat -c '%a %U %G' /var/lib/rawtp /opt/rawtp/bin/rawtp > /modes")
    assert (image.written / "modes").read_text() == "750 root rawtp\n755 root root\n"
    assert list((image.written / "opt/rawtp/lib/rawtp/__pycache__").glob("__init__.*.pyc"))


def bundle(image: Machine, place: Path, mounts: list[dict[str, Any]], arguments: list[str]) -> None:
    """A bundle of the OCI runtime, with the privileges of the DaemonSet."""
    spec = daemonset()
    [container] = spec["containers"]
    context = container["securityContext"]
    assert spec["hostPID"] is True
    assert context["capabilities"]["drop"] == ["ALL"]
    capabilities = [f"CAP_{name}" for name in context["capabilities"]["add"]]
    assert capabilities == ["CAP_BPF", "CAP_PERFMON", "CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH"]
    (place / "rootfs").mkdir()
    config = {
        "ociVersion": "1.0.2",
        "root": {"path": "rootfs", "readonly": context["readOnlyRootFilesystem"]},
        "process": {
            "user": {"uid": context["runAsUser"], "gid": context["runAsGroup"]},
            "args": arguments,
            "env": ["PATH=/usr/local/bin:/usr/bin:/bin"],
            "cwd": "/",
            "capabilities": dict.fromkeys(("bounding", "effective", "permitted"), capabilities),
            "noNewPrivileges": not context["allowPrivilegeEscalation"],
        },
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
            {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"]},
            *mounts,
        ],
        # hostPID and hostNetwork.
        "linux": {"namespaces": [{"type": "mount"}, {"type": "ipc"}, {"type": "uts"}]},
    }
    (place / "config.json").write_text(json.dumps(config))


def bound(source: Path | str, destination: str, *options: str) -> dict[str, Any]:
    return {"destination": destination, "type": "bind", "source": str(source), "options": ["rbind", *options]}


def test_the_recorder_runs_as_the_daemonset_has_it(image: Machine, tmp_path: Path) -> None:
    """With a read-only root and no capability but these, it records what the host deletes."""
    history = tmp_path / "history"
    history.mkdir()
    place = tmp_path / "bundle"
    place.mkdir()
    # The container has a /tmp of its own, without this directory and the link to it.
    work = Path(tempfile.mkdtemp(prefix="rawtp-image-", dir="/tmp"))
    (link := work / "link").symlink_to(work / "real")
    (work / "real").mkdir()
    victim = work / "real" / "x"
    mounts = [
        bound(history, "/var/lib/rawtp", "rw"),
        bound("/", "/host", "ro", "rslave"),
        {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "size=16m"]},
    ]
    [root] = [[word] for word in daemonset()["containers"][0]["args"] if word.startswith("--root=")]
    for name in ("/sys/kernel/btf", "/sys/kernel/tracing", "/sys/fs/cgroup"):
        if Path(name).is_dir():
            mounts.append(bound(name, name, "ro"))
    bundle(image, place, mounts, ["/opt/rawtp/bin/rawtp", "record", *root, "--sync", "100ms", "--metrics", "0"])
    mounted = f"lowerdir={image._base},upperdir={image._place}/upper,workdir={image._place}/work"
    name = f"rawtp-test-{os.getpid()}"
    # crun knows no hybrid of cgroup's two versions: in this mount namespace there is the first alone.
    run = """
        mount -t overlay -o "$1" overlay "$2/rootfs"
        umount /sys/fs/cgroup/unified 2>/dev/null
        exec crun --cgroup-manager=disabled run --bundle "$2" "$3"
    """
    messages = tmp_path / "messages"
    with (
        messages.open("w") as err,
        subprocess.Popen(
            ["unshare", "--mount", "--propagation", "slave", "sh", "-c", run, "sh", mounted, str(place), name],
            stdin=subprocess.DEVNULL,
            stdout=err,
            stderr=err,
        ) as process,
    ):
        try:
            wait_for(lambda: "metrics: " in messages.read_text() or process.poll() is not None, "it records")
            assert process.poll() is None, messages.read_text()
            victim.touch()
            victim.unlink()
            reader = rawtp.History(history)
            found: list[dict[str, Any]] = []

            def is_recorded() -> bool:
                found[:] = [
                    event
                    for batch in reader.scan(["path", "real_path", "comm", "pid"], pid=os.getpid())
                    for event in batch.to_dicts()
                    if event["path"] == str(victim)
                ]
                return bool(found)

            wait_for(is_recorded, "the deletion")
            # Its number on the host.
            assert found[0]["pid"] == os.getpid()
            # As the host names it.
            assert found[0]["real_path"] == str(victim)
            status = subprocess.run(
                ["crun", "exec", name, "/opt/rawtp/bin/rawtp", "record", "--status", "--json"],
                capture_output=True,
                text=True,
                check=False,
                timeout=HANG_S,
            )
            assert json.loads(status.stdout)["is_recording"], status.stderr
            answer = subprocess.run(
                ["crun", "exec", name, "rawtp", "who", "--json", str(link / "x")],
                capture_output=True,
                text=True,
                check=False,
                timeout=HANG_S,
            )
            assert answer.returncode == 0, answer.stderr
            events = [line for line in map(json.loads, answer.stdout.splitlines()) if line["type"] == "event"]
            assert [(one["real_path"], one["pid"], one["user"]) for one in events] == [
                (str(victim), os.getpid(), "root")
            ]
            port = re.search(r"http://127\.0\.0\.1:(\d+)/", messages.read_text())
            assert port
            import urllib.request

            with urllib.request.urlopen(f"http://127.0.0.1:{port[1]}/metrics", timeout=HANG_S) as page:
                assert samples(page.read().decode())["rawtp_recorder_running"] == 1
            subprocess.run(["crun", "kill", name, "TERM"], check=True)
            assert process.wait(HANG_S) == 0
        finally:
            subprocess.run(["crun", "delete", "--force", name], capture_output=True, check=False)
            process.send_signal(signal.SIGKILL)
            shutil.rmtree(work)
    assert " 0 lost\n" in messages.read_text()
