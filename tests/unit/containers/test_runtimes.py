"""Names out of the files of runtimes, in a tree that is made up, with what anybody may put there."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from rawtp._containers.runtimes import Names, find

ID = "4f1c8d0e7b3a" + "0" * 52
UID = "8e2a5f36-1c4b-4a0e-9c39-0f0c6a0a7d11"
CONTAINERD = f"run/containerd/io.containerd.runtime.v2.task/k8s.io/{ID}/config.json"
DOCKER = f"var/lib/docker/containers/{ID}/config.v2.json"
CRIO = f"run/containers/storage/overlay-containers/{ID}/userdata/config.json"
PODMAN = "var/lib/containers/storage/overlay-containers/containers.json"

OF_CONTAINERD = {
    "annotations": {
        "io.kubernetes.cri.container-name": "app",
        "io.kubernetes.cri.sandbox-name": "web-7c9",
        "io.kubernetes.cri.sandbox-namespace": "shop",
        "io.kubernetes.cri.image-name": "registry.example.org/web:1.2",
    }
}


def put(root: Path, name: str, content: Any) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))


def found(root: Path, container: str | None = ID, pod: str | None = None) -> Names | None:
    return find(container, pod, (str(root),))


def test_containerd(tmp_path: Path) -> None:
    put(tmp_path, CONTAINERD, OF_CONTAINERD)
    assert found(tmp_path) == Names("app", "web-7c9", "shop", "registry.example.org/web:1.2")


def test_nerdctl(tmp_path: Path) -> None:
    put(tmp_path, CONTAINERD.replace("k8s.io", "default"), {"annotations": {"nerdctl/name": "box"}})
    assert found(tmp_path) == Names(container_name="box")


def test_cri_o(tmp_path: Path) -> None:
    annotations = {
        "io.kubernetes.container.name": "app",
        "io.kubernetes.pod.name": "web-7c9",
        "io.kubernetes.pod.namespace": "shop",
        "io.kubernetes.cri-o.ImageName": "web:1.2",
    }
    put(tmp_path, CRIO, {"annotations": annotations})
    assert found(tmp_path) == Names("app", "web-7c9", "shop", "web:1.2")


def test_podman(tmp_path: Path) -> None:
    # Its config.json has no name.
    put(tmp_path, CRIO.replace("run/", "var/lib/"), {"annotations": {"io.podman.annotations.init": "FALSE"}})
    metadata = json.dumps({"image-name": "docker.io/library/nginx:1", "name": "box"})
    put(tmp_path, PODMAN, [{"id": "0" * 64}, {"id": ID, "names": ["box"], "metadata": metadata}])
    assert found(tmp_path) == Names(container_name="box", image="docker.io/library/nginx:1")


@pytest.mark.parametrize("labels", [None, {}, {"io.kubernetes.pod.name": "web", "io.kubernetes.pod.namespace": "shop"}])
def test_docker(tmp_path: Path, labels: dict[str, str] | None) -> None:
    put(tmp_path, DOCKER, {"Name": "/box", "Config": {"Image": "nginx:1", "Labels": labels}})
    pod, namespace = ("web", "shop") if labels else (None, None)
    assert found(tmp_path) == Names("box", pod, namespace, "nginx:1")


def test_the_kubelets_logs(tmp_path: Path) -> None:
    (tmp_path / f"var/log/pods/shop_web-7c9_{UID}").mkdir(parents=True)
    (tmp_path / "var/log/pods/other_x_1").mkdir()
    assert found(tmp_path, ID, UID) == Names(pod="web-7c9", namespace="shop")
    assert found(tmp_path, None, UID) == Names(pod="web-7c9", namespace="shop")
    # Known by half, and the other half from here.
    put(tmp_path, DOCKER, {"Name": "/box", "Config": {"Image": "nginx:1"}})
    assert found(tmp_path, ID, UID) == Names("box", "web-7c9", "shop", "nginx:1")


def test_nothing_is_known(tmp_path: Path) -> None:
    assert found(tmp_path) is None
    assert found(tmp_path, None, None) is None
    assert found(tmp_path / "none", ID, UID) is None


def test_the_first_root_that_knows(tmp_path: Path) -> None:
    put(tmp_path / "b", CONTAINERD, OF_CONTAINERD)
    names = find(ID, None, (str(tmp_path / "a"), str(tmp_path / "b")))
    assert names is not None
    assert names.pod == "web-7c9"


@pytest.mark.parametrize("container", ["..", "../x", "a/b", ".", "", "a" * 300, "a\0b", "\udcff", "-x"])
def test_an_id_leads_nowhere_else(tmp_path: Path, container: str) -> None:
    """An LXC container is called what its maker likes."""
    put(tmp_path, "var/lib/docker/config.v2.json", {"Name": "/secret"})
    put(tmp_path, "var/lib/docker/containers/config.v2.json", {"Name": "/secret"})
    assert found(tmp_path, container, container) is None


@pytest.mark.parametrize(
    "content",
    [
        "",
        "not JSON",
        "[]",
        "3",
        '{"annotations": 1}',
        '{"annotations": {"io.kubernetes.cri.container-name": 7}}',
        json.dumps({"annotations": {"io.kubernetes.cri.container-name": "x" * 10_000}}),
        '{"annotations": {"io.kubernetes.cri.container-name": ""}}',
        '{"annotations": {"io.kubernetes.cri.container-name": "a\\u0000b"}}',
        '{"annotations": {"io.kubernetes.cri.container-name": "\\ud800"}}',
        "[" * 200_000,
        '{"annotations": ' + "{" * 100_000,
        " " * (5 << 20),
    ],
    ids=lambda content: content[:40],
)
def test_contents_that_are_odd(tmp_path: Path, content: str) -> None:
    put(tmp_path, CONTAINERD, content)
    put(tmp_path, DOCKER, content)
    put(tmp_path, PODMAN, content)
    assert found(tmp_path) is None
    # The next file is looked at all the same.
    put(tmp_path, CRIO, {"annotations": {"io.kubernetes.container.name": "app"}})
    assert found(tmp_path) == Names(container_name="app")


@pytest.mark.parametrize(
    "podman", [[{"id": ID}], [{"id": ID, "names": "x"}], [{"id": ID, "names": [], "metadata": "{"}], [1, None, {}]]
)
def test_lists_that_are_odd(tmp_path: Path, podman: list[Any]) -> None:
    put(tmp_path, PODMAN, podman)
    assert found(tmp_path) is None


def test_files_that_are_none(tmp_path: Path) -> None:
    """Nothing waits, and no link is followed."""
    secret = tmp_path / "secret"
    secret.write_text(json.dumps(OF_CONTAINERD))
    for name in (CONTAINERD, DOCKER, CRIO):
        (tmp_path / name).parent.mkdir(parents=True)
    (tmp_path / CONTAINERD).symlink_to(secret)
    os.mkfifo(tmp_path / DOCKER)
    (tmp_path / CRIO).mkdir()
    begin_s = time.monotonic()
    assert found(tmp_path) is None
    assert time.monotonic() - begin_s < 10


def test_hostile_texts_stay_texts(tmp_path: Path) -> None:
    put(tmp_path, DOCKER, {"Name": "/\x1b[2J\n", "Config": {"Image": "a;rm -rf /"}})
    assert found(tmp_path) == Names(container_name="\x1b[2J\n", image="a;rm -rf /")
