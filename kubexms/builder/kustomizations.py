"""Addons that kustomize renders, here on the controller, so that every plan knows their objects.

kustomize has no business on a host: what it reads are files of the project, and what it makes is text.
"""

from __future__ import annotations

import hashlib
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from kubexms.builder.artifacts import ClusterArtifacts
from kubexms.builder.places import wrong
from kubexms.builder.plans import ClusterPlan
from kubexms.config.commands import said
from kubexms.config.documents import Building

NAMES = ("kustomization.yaml", "kustomization.yml", "Kustomization")
TIMEOUT = 60.0
NOT_FOUND = 127
_ARCHITECTURES: Mapping[str, str] = {"x86_64": "amd64", "aarch64": "arm64"}
_LOADER: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def kustomized(building: Building, plan: ClusterPlan) -> dict[str, str]:
    """The text of each addon that is a kustomization, by its name; what is wrong goes to the problems."""
    texts: dict[str, str] = {}
    for index, addon in enumerate(plan.spec.addons):
        if addon.kustomize is None:
            continue
        place = ("spec", "addons", index, "kustomize")
        directory = building.directory / Path(addon.kustomize).expanduser()
        found = _rendered(building, directory, plan.artifacts)
        if isinstance(found, str):
            texts[addon.name] = found
        else:
            summary, detail = found
            building.problems.add(wrong(building, place, summary, detail))
    return texts


def _rendered(
    building: Building, directory: Path, artifacts: ClusterArtifacts | None
) -> str | tuple[str, str]:
    """The text, or what is wrong and what to do."""
    if not any((directory / name).is_file() for name in NAMES):
        return f"there is no {NAMES[0]} in {directory.name}", "It is looked for relative to this document."
    if building.untrusted:
        return (
            "a kustomization is not rendered with --untrusted",
            "It can name what is elsewhere, and a program.",
        )
    for program in _programs(artifacts):
        done = building.run_command([*program, str(directory)], timeout=TIMEOUT)
        if done.status != NOT_FOUND:
            break
    else:
        return (
            "there is no kubectl to render a kustomization with",
            "Install kubectl or kustomize on this machine; or have artifacts with a kubectl for it.",
        )
    if done.status != 0:
        return f"it cannot be rendered: kustomize {said(done)}", ""
    return _checked(done.stdout.decode("utf-8", "replace"))


def _checked(text: str) -> str | tuple[str, str]:
    objects = [one for one in yaml.load_all(text, Loader=_LOADER) if isinstance(one, dict)]
    if not objects:
        return "it makes no object", "Name files in its `resources`."
    secrets = [one for one in objects if one.get("kind") == "Secret"]
    if secrets:
        name = (secrets[0].get("metadata") or {}).get("name")
        return (
            f"it makes the Secret {name}, which would be kept in state",
            "Take it out of the kustomization, and give it in a file: `manifest` of another addon.",
        )
    return text


def _programs(artifacts: ClusterArtifacts | None) -> Sequence[list[str]]:
    """What can render, best first: the cluster's own kubectl makes the same of it everywhere."""
    own = artifacts.find("kubectl", _ARCHITECTURES.get(platform.machine(), "")) if artifacts else None
    found: list[list[str]] = []
    if artifacts is not None and own is not None and sys.platform == "linux":
        path = artifacts.found.path(own)
        if os.access(path, os.X_OK) and _digest(path) == own.sha256:
            found.append([str(path), "kustomize"])
    return [*found, ["kubectl", "kustomize"], ["kustomize", "build"]]


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
