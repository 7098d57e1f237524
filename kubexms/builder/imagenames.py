"""The images that objects of a cluster run, and their full names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from kubexms.config.yaml import Document, Path
from kubexms.spec.base import Json

CONTAINERS = ("containers", "initContainers")
HUB = "docker.io"


@dataclass(frozen=True)
class Used:
    """An image of a container."""

    path: Path
    """Where it is named."""
    name: str
    """As it is written."""
    always: bool
    """Whether the registry is asked at every start."""


def used_images(document: Document) -> Iterator[Used]:
    """The images of all containers in a document, whatever kind of object they are in."""
    yield from _used(document.value, ())


def _used(value: Json, path: Path) -> Iterator[Used]:
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _used(item, (*path, index))
    elif isinstance(value, dict):
        for key, item in value.items():
            if key in CONTAINERS and isinstance(item, list):
                yield from _containers(item, (*path, key))
            else:
                yield from _used(item, (*path, key))


def _containers(containers: list[Json], path: Path) -> Iterator[Used]:
    for index, container in enumerate(containers):
        image = container.get("image") if isinstance(container, dict) else None
        if isinstance(container, dict) and isinstance(image, str) and image:
            policy = container.get("imagePullPolicy")
            always = policy == "Always" or (policy is None and full_name(image).endswith(":latest"))
            yield Used((*path, index, "image"), image, always)


def registry_of(name: str) -> str:
    """Where an image comes from: the part before the first slash, if that is a host."""
    first, slash, _ = name.partition("/")
    return first if slash and (set(first) & {".", ":"} or first == "localhost") else HUB


def full_name(name: str) -> str:
    """With registry and tag: `busybox` is `docker.io/library/busybox:latest`."""
    if registry_of(name) == HUB and not name.startswith(f"{HUB}/"):
        name = f"{HUB}/{name}" if "/" in name else f"{HUB}/library/{name}"
    return name if ":" in name.rpartition("/")[2] or "@" in name else f"{name}:latest"
