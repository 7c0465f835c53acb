"""The names of a container, in the files in which its runtime keeps them.

The files are those of containerd, CRI-O, podman and docker, and of the kubelet. A container may write none of them, but
who starts one chooses what is in it. So nothing is believed of a file but its texts, and none can hold a reader up.
"""

from __future__ import annotations

import json
import os
import re
import stat
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from rawtp import _root

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any

KEYS = ("container_name", "pod", "namespace", "image")
"""The keys of :class:`Names`."""

ROOTS = ("/proc/1/root", "/")
"""Where the host's files are: by its first process, from a container that sees it; else here."""

_MAX_BYTES = 4 << 20
_MAX_TEXT = 256
_MAX_ENTRIES = 4096
# No directory's name that leads elsewhere.
_ID = re.compile(r"[A-Za-z0-9][\w.@:+-]{0,255}", re.ASCII)

_CONTAINERD = "/run/containerd/io.containerd.runtime.v2.task"
_STORAGES = ("/run/containers/storage", "/var/lib/containers/storage")
_DOCKER = "/var/lib/docker/containers"
_PODS = "/var/log/pods"

# Keys of annotations, those of the pod's own first.
_CONTAINER = ("io.kubernetes.cri.container-name", "io.kubernetes.container.name", "nerdctl/name")
_POD = ("io.kubernetes.cri.sandbox-name", "io.kubernetes.pod.name")
_NAMESPACE = ("io.kubernetes.cri.sandbox-namespace", "io.kubernetes.pod.namespace")
_IMAGE = ("io.kubernetes.cri.image-name", "io.kubernetes.cri-o.ImageName", "io.kubernetes.cri-o.Image")


class Names(NamedTuple):
    """What a container is called; None where that is not known."""

    container_name: str | None = None
    pod: str | None = None
    namespace: str | None = None
    image: str | None = None


def find(container_id: str | None, pod_id: str | None, roots: tuple[str, ...] = ROOTS) -> Names | None:
    """The names of a container or a pod; None where no file has any. It reads files, and raises nothing."""
    for root in roots:
        found = Names()
        if container_id is not None and _ID.fullmatch(container_id):
            for candidate in _of_container(root, container_id):
                found = _merged(found, candidate)
                if found.pod or found.container_name:
                    break
        if not found.pod and pod_id is not None and _ID.fullmatch(pod_id):
            found = _merged(found, _of_pod(root, pod_id))
        if found != Names():
            return found
    return None


def finder(root: str) -> Callable[[str | None, str | None], Names | None]:
    """:func:`find` for the host whose root is mounted at ``root``; ``"/"``: it looks for the host's files itself."""
    return find if _root.is_own(root) else partial(find, roots=(root,))


def _merged(first: Names, second: Names) -> Names:
    return Names(*(one or other for one, other in zip(first, second, strict=True)))


def _of_container(root: str, container_id: str) -> Iterator[Names]:
    for namespace in _listed(root, _CONTAINERD):
        yield _of_annotations(_read(root, f"{_CONTAINERD}/{namespace}/{container_id}/config.json").get("annotations"))
    for storage in _STORAGES:
        place = f"{storage}/overlay-containers"
        yield _of_annotations(_read(root, f"{place}/{container_id}/userdata/config.json").get("annotations"))
    # The second one has podman's list.
    yield _of_podman(_read_list(root, f"{_STORAGES[1]}/overlay-containers/containers.json"), container_id)
    yield _of_docker(_read(root, f"{_DOCKER}/{container_id}/config.v2.json"))


def _of_annotations(annotations: object) -> Names:
    if not isinstance(annotations, dict):
        return Names()
    return Names(*(_first(annotations, keys) for keys in (_CONTAINER, _POD, _NAMESPACE, _IMAGE)))


def _of_podman(containers: list[Any], container_id: str) -> Names:
    for container in containers:
        if not isinstance(container, dict) or container.get("id") != container_id:
            continue
        names = container.get("names")
        metadata = container.get("metadata")
        image = None
        if isinstance(metadata, str):
            try:
                known = json.loads(metadata)
            except (ValueError, RecursionError):
                known = None
            if isinstance(known, dict):
                image = _text(known.get("image-name"))
        return Names(container_name=_text(names[0]) if isinstance(names, list) and names else None, image=image)
    return Names()


def _of_docker(config: Mapping[str, Any]) -> Names:
    inner = config.get("Config")
    labels = inner.get("Labels") if isinstance(inner, dict) else None
    of_labels = _of_annotations(labels)
    name = _text(config.get("Name"))
    image = _text(inner.get("Image")) if isinstance(inner, dict) else None
    return _merged(of_labels, Names(container_name=name and name.removeprefix("/"), image=image))


def _of_pod(root: str, pod_id: str) -> Names:
    """By the directory of the pod's logs, ``NAMESPACE_NAME_UID``."""
    for name in _listed(root, _PODS):
        namespace, _, rest = name.partition("_")
        pod, _, uid = rest.rpartition("_")
        if uid == pod_id:
            return Names(pod=_text(pod), namespace=_text(namespace))
    return Names()


def _first(found: Mapping[str, Any], keys: tuple[str, ...]) -> str | None:
    return next((text for key in keys if (text := _text(found.get(key)))), None)


def _text(value: object) -> str | None:
    """A name. What is longer than any, or cannot be encoded, is none."""
    if not isinstance(value, str) or not 0 < len(value) <= _MAX_TEXT or "\0" in value:
        return None
    try:
        value.encode()
    except UnicodeEncodeError:  # half of a pair, which JSON can have
        return None
    return value


def _read(root: str, path: str) -> dict[str, Any]:
    found = _json(root, path)
    return found if isinstance(found, dict) else {}


def _read_list(root: str, path: str) -> list[Any]:
    found = _json(root, path)
    return found if isinstance(found, list) else []


def _json(root: str, path: str) -> object:
    try:
        # No link, and no FIFO that nobody writes to.
        fd = _root.opened(root, path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_NOCTTY)
    except (OSError, ValueError):
        return None
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode) or found.st_size > _MAX_BYTES:
            return None
        data = b""
        while len(data) <= _MAX_BYTES and (more := os.read(fd, 1 << 20)):
            data += more
        return json.loads(data) if len(data) <= _MAX_BYTES else None
    except (OSError, ValueError, RecursionError):
        return None
    finally:
        os.close(fd)


def _listed(root: str, path: str) -> list[str]:
    names: list[str] = []
    try:
        fd = _root.opened(root, path, os.O_RDONLY | os.O_DIRECTORY | os.O_NONBLOCK)
    except OSError:
        return names
    try:
        with os.scandir(fd) as entries:
            for entry in entries:
                if len(names) == _MAX_ENTRIES:
                    break
                names.append(entry.name)
    except OSError:
        return []
    finally:
        os.close(fd)
    return sorted(names)
