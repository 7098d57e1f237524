"""Whether the directory of artifacts has what a cluster takes from it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from kubexms.builder import etcd
from kubexms.builder.artifacts import KUBERNETES_IMAGES, TAGGED, ClusterArtifacts
from kubexms.builder.binary import programs
from kubexms.builder.binary.dns import dns_image
from kubexms.builder.kubevip import IMAGE, kubevip_image
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
    if plan.kubernetes_from_artifacts and not plan.artifacts.architectures:
        yield plan.artifacts.found.missing("kubelet", f"v{plan.version}", "any architecture")
        return
    wanted = _programs(plan) if plan.kubernetes_from_artifacts else []
    if plan.runtime_from_artifacts:
        wanted += RUNTIME
    if plan.spec.etcd.external:
        wanted += etcd.PROGRAMS
    for arch in plan.artifacts.architectures:
        for name in dict.fromkeys(wanted):
            found = plan.artifacts.find(name, arch)
            if found is None:
                tag = f"v{plan.version}" if name in TAGGED else None
                yield plan.artifacts.found.missing(name, tag, arch)
            elif not plan.artifacts.found.path(found).is_file():
                yield plan.artifacts.found.error(found, f"there is no file {found.file}")
        yield from _missing_images(plan, plan.artifacts, arch)


def _programs(plan: ClusterPlan) -> list[str]:
    if plan.binary:
        return programs.wanted(plan)
    return [*PROGRAMS, *(["crictl"] if plan.version.release <= CRICTL_UNTIL else [])]


def _missing_images(plan: ClusterPlan, artifacts: ClusterArtifacts, arch: str) -> Iterator[Diagnostic]:
    """The images of Kubernetes; where its parts are units, that of CoreDNS alone."""
    if plan.binary:
        if plan.spec.dns.enabled and dns_image(plan) is None:
            yield artifacts.found.missing("coredns", None, arch)
        return
    if not plan.kubernetes_from_artifacts:
        return
    there = {(image.name, image.version) for image in artifacts.found.images(arch)}
    virtual = plan.spec.endpoint.virtual_ip
    if virtual is not None and virtual.provider == "kube-vip" and kubevip_image(plan) is None:
        yield artifacts.found.missing(IMAGE, None, arch)
    for name in KUBERNETES_IMAGES:
        if (name, f"v{plan.version}") not in there:
            yield artifacts.found.missing(name, f"v{plan.version}", arch)
