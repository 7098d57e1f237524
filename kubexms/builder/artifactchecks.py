"""Whether the directory of artifacts has what a cluster takes from it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from kubexms.builder.artifacts import KUBERNETES_IMAGES, ClusterArtifacts
from kubexms.builder.places import wrong
from kubexms.builder.plans import ClusterPlan
from kubexms.builder.versions import Version
from kubexms.config.artifacts import load_artifacts
from kubexms.config.documents import Building
from kubexms.diagnostics import Diagnostic
from kubexms.errors import ConfigError
from kubexms.spec.cluster import ClusterSpec

PROGRAMS = ("kubeadm", "kubelet", "kubectl")
RUNTIME = ("containerd", "runc", "cni-plugins")
CRICTL_UNTIL = (1, 33)
"""kubeadm looks for crictl up to this minor version."""


def read_artifacts(building: Building, spec: ClusterSpec, version: Version) -> ClusterArtifacts | None:
    """The manifest of the directory that the document names, if it names one."""
    if spec.artifacts is None:
        for path, source in (
            (("spec", "kubernetes", "source"), spec.kubernetes.source),
            (("spec", "containerRuntime", "source"), spec.container_runtime.source),
        ):
            if source == "artifacts":
                detail = "Name it in spec.artifacts."
                building.problems.add(wrong(building, path, "there is no directory of artifacts", detail))
        return None
    try:
        found = load_artifacts(building.directory / Path(spec.artifacts).expanduser())
    except ConfigError as error:
        place = building.document.range(("spec", "artifacts"))
        for item in error.diagnostics:
            building.problems.add(item if item.source is not None else replace(item, source=place))
        return None
    return ClusterArtifacts(spec.artifacts, found, version)


def artifact_problems(plan: ClusterPlan) -> Iterator[Diagnostic]:
    """What is missing in the manifest, and files of it that are not there."""
    if plan.artifacts is None:
        return
    wanted: list[str] = []
    if plan.kubernetes_from_artifacts:
        wanted += PROGRAMS
        wanted += ["crictl"] if plan.version.release <= CRICTL_UNTIL else []
        if not plan.artifacts.architectures:
            yield plan.artifacts.found.missing("kubelet", f"v{plan.version}", "any architecture")
            return
    if plan.runtime_from_artifacts:
        wanted += RUNTIME
    for arch in plan.artifacts.architectures:
        for name in wanted:
            found = plan.artifacts.find(name, arch)
            if found is None:
                tag = f"v{plan.version}" if name in PROGRAMS else None
                yield plan.artifacts.found.missing(name, tag, arch)
            elif not plan.artifacts.found.path(found).is_file():
                yield plan.artifacts.found.error(found, f"there is no file {found.file}")
        if plan.kubernetes_from_artifacts:
            there = {(image.name, image.version) for image in plan.artifacts.found.images(arch)}
            for name in KUBERNETES_IMAGES:
                if (name, f"v{plan.version}") not in there:
                    yield plan.artifacts.found.missing(name, f"v{plan.version}", arch)
