"""The manifests of Kubernetes, by the API's schemas, and the Debian package."""

from __future__ import annotations

import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

import rawtp
from rawtp._alert import rules
from rawtp.cli import record

DEPLOY = Path(__file__).parents[3] / "deploy"
DOCUMENTS: list[dict[str, Any]] = [*yaml.safe_load_all((DEPLOY / "kubernetes" / "rawtp.yaml").read_text())]
KINDS = {document["kind"]: document for document in DOCUMENTS}


@pytest.mark.parametrize("version", ["1.30", "1.34"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_manifest_is_what_the_api_takes(kind: str, version: str) -> None:
    """``strict``: also that no key is misspelt."""
    assert kubernetes_validate.validate(KINDS[kind], version, strict=True) == version


def test_a_wrong_manifest_is_told() -> None:
    """What the test above is worth."""
    wrong = yaml.safe_load(yaml.safe_dump(KINDS["DaemonSet"]))
    wrong["spec"]["template"]["spec"]["hostPid"] = True
    with pytest.raises(kubernetes_validate.ValidationError, match="hostPid"):
        kubernetes_validate.validate(wrong, "1.34", strict=True)


def test_the_least_privilege() -> None:
    pod = KINDS["DaemonSet"]["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    [container] = pod["containers"]
    context = container["securityContext"]
    assert (context["privileged"], context["allowPrivilegeEscalation"]) == (False, False)
    assert context["readOnlyRootFilesystem"] is True
    assert context["capabilities"] == {"drop": ["ALL"], "add": ["BPF", "PERFMON", "SYS_PTRACE", "DAC_READ_SEARCH"]}
    written = {mount["name"] for mount in container["volumeMounts"] if not mount.get("readOnly")}
    assert written == {"history", "tmp"}
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}


def test_the_arguments_and_the_rules_are_right() -> None:
    [container] = KINDS["DaemonSet"]["spec"]["template"]["spec"]["containers"]
    words = [word.replace("$(NODE_ADDRESS)", "192.0.2.1") for word in container["args"]]
    parsed = record.add_parser().parse_args(words)
    assert (parsed.max_bytes, parsed.metrics.port) == (10 << 30, 9750)
    mounts = {mount["mountPath"]: mount for mount in container["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in KINDS["DaemonSet"]["spec"]["template"]["spec"]["volumes"]}
    host = mounts[parsed.root]
    assert volumes[host["name"]]["hostPath"]["path"] == "/"
    # What is mounted on the node later is seen, and nothing is written.
    assert (host["mountPropagation"], host["readOnly"]) == ("HostToContainer", True)
    assert container["ports"][0]["containerPort"] == 9750
    found = rules.parse(KINDS["ConfigMap"]["data"]["rules.toml"].encode(), {})
    assert [rule.name for rule in found.rules] == ["mass-deletion", "blind"]
    assert container["image"] == f"rawtp:{rawtp.__version__}"


@pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="there is no dpkg-deb here")
def test_a_debian_package(tmp_path: Path) -> None:
    """Of a wheel with the sources of here, and no extension."""
    package = Path(rawtp.__file__).parent
    wheel = tmp_path / "rawtp-1.2.3-cp310-abi3-manylinux_2_17_x86_64.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for source in sorted(package.rglob("*.py")):
            archive.write(source, f"rawtp/{source.relative_to(package)}")
        archive.write(DEPLOY.parent / "LICENSE-MIT", "rawtp-1.2.3.dist-info/licenses/LICENSE-MIT")
    subprocess.run(["sh", DEPLOY / "debian" / "build.sh", wheel, tmp_path / "out"], check=True, capture_output=True)
    made = tmp_path / "out" / "rawtp_1.2.3_amd64.deb"
    subprocess.run(["dpkg-deb", "-x", made, tmp_path / "root"], check=True)
    unit = (tmp_path / "root/usr/lib/systemd/system/rawtp-record.service").read_text()
    assert "\nExecStart=/opt/rawtp/bin/rawtp record\n" in unit
    assert (tmp_path / "root/usr/bin/rawtp").readlink() == Path("/opt/rawtp/bin/rawtp")
    assert (tmp_path / "root/opt/rawtp/lib/rawtp/cli/record.py").read_bytes() == (
        package / "cli/record.py"
    ).read_bytes()
    assert not list((tmp_path / "root").rglob("*.pyc"))
    shown = subprocess.run(
        ["dpkg-deb", "-f", made, "Package", "Version", "Architecture"], capture_output=True, check=True
    )
    assert shown.stdout.decode() == "Package: rawtp\nVersion: 1.2.3\nArchitecture: amd64\n"
    listed = subprocess.run(["dpkg-deb", "-c", made], capture_output=True, check=True, text=True).stdout
    assert all(" root/root " in line for line in listed.splitlines())
