"""What a cluster document can get wrong as a whole: told at plan time, with file, line and column."""

from __future__ import annotations

import fnmatch
import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from kubexms.builder.artifactchecks import artifact_problems, read_artifacts
from kubexms.builder.binary.checks import binary_problems
from kubexms.builder.certificates import lifetime_problems
from kubexms.builder.endpointchecks import endpoint_problems
from kubexms.builder.etcdchecks import etcd_problems
from kubexms.builder.hostchecks import host_problems
from kubexms.builder.kustomizations import kustomized
from kubexms.builder.networkchecks import network_problems
from kubexms.builder.pinned import pinned_problems
from kubexms.builder.places import wrong
from kubexms.builder.plans import ClusterPlan
from kubexms.builder.protectionchecks import protection_problems
from kubexms.builder.several import members, sharing_problems
from kubexms.builder.topology import Topology, endpoint_of
from kubexms.builder.versions import NEWEST, OLDEST, Version
from kubexms.config.documents import Building
from kubexms.config.suggest import hint
from kubexms.diagnostics import Diagnostic
from kubexms.spec.cluster import ClusterSpec, NodeSettings


def checked(building: Building) -> ClusterPlan | None:
    """The cluster with what follows from its document, or None: then the problems say why."""
    spec = building.spec
    assert isinstance(spec, ClusterSpec)
    problems = building.problems
    before = problems.count
    topology = Topology.of(members(building))
    version = Version.parse(spec.kubernetes.version)
    problems.extend(sharing_problems(building))
    problems.extend(_version(building, version))
    problems.extend(host_problems(building, topology))
    if topology.control_planes:
        problems.extend(etcd_problems(building, spec, topology))
    problems.extend(endpoint_problems(building, spec, topology))
    problems.extend(network_problems(building, spec, topology))
    problems.extend(binary_problems(building, spec))
    problems.extend(lifetime_problems(building, spec, version))
    problems.extend(_nodes(building, spec, topology))
    problems.extend(_snapshot(building, spec))
    problems.extend(protection_problems(building, spec))
    artifacts = read_artifacts(building, spec, version)
    endpoint = endpoint_of(spec, topology)
    if problems.count > before or endpoint is None:
        return None
    plan = ClusterPlan(building.name, spec, version, topology, endpoint, artifacts, _settings(spec, topology))
    problems.extend(artifact_problems(plan))
    problems.extend(pinned_problems(building, plan))
    plan = replace(plan, kustomized=kustomized(building, plan))
    return plan if problems.count == before else None


def _version(building: Building, version: Version) -> Iterator[Diagnostic]:
    place = ("spec", "kubernetes", "version")
    if version.release < OLDEST:
        summary = f"Kubernetes {version} is too old"
        yield wrong(building, place, summary, f"The oldest that can be set up is {OLDEST[0]}.{OLDEST[1]}.")
        return
    if version.release > NEWEST:
        summary = f"Kubernetes {version} is newer than this version of kubexms knows"
        yield building.document.warning(place, summary, f"It is set up as {NEWEST[0]}.{NEWEST[1]} is.")


def _nodes(building: Building, spec: ClusterSpec, topology: Topology) -> Iterator[Diagnostic]:
    names = [host.name for host in topology.nodes]
    for pattern in spec.nodes:
        if not fnmatch.filter(names, pattern):
            known = f"The nodes are: {', '.join(names)}."
            detail = known if set(pattern) & set("*?[") else hint(pattern, names, "nodes")
            yield wrong(
                building, ("spec", "nodes", pattern), f"no node is called '{pattern}'", detail, key=True
            )
    for index, addon in enumerate(spec.addons):
        if addon.manifest is not None and not (building.directory / addon.manifest).is_file():
            place = ("spec", "addons", index, "manifest")
            yield wrong(
                building,
                place,
                f"there is no file {addon.manifest}",
                "It is looked for relative to this document.",
            )


def _snapshot(building: Building, spec: ClusterSpec) -> Iterator[Diagnostic]:
    restore = spec.etcd.restore
    if restore is None:
        return
    place = ("spec", "etcd", "restore")
    try:
        with (building.directory / Path(restore.snapshot).expanduser()).open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        summary = f"the snapshot {restore.snapshot} cannot be read: {error.strerror}"
        detail = "It is looked for relative to this document: fetch it from a host of etcd first."
        yield wrong(building, (*place, "snapshot"), summary, detail)
        return
    if found != restore.sha256.removeprefix("sha256:").lower():
        summary = f"{restore.snapshot} has another digest"
        detail = (
            f"Its SHA-256 is {found}: fetch it again, or name that one if it is the snapshot that you mean."
        )
        yield wrong(building, (*place, "sha256"), summary, detail)


def _settings(spec: ClusterSpec, topology: Topology) -> dict[str, NodeSettings]:
    found: dict[str, NodeSettings] = {}
    for host in topology.nodes:
        matching = [
            settings for pattern, settings in spec.nodes.items() if fnmatch.fnmatchcase(host.name, pattern)
        ]
        labels = {key: value for settings in matching for key, value in settings.labels.items()}
        taints = {(t.key, t.effect): t for settings in matching for t in settings.taints}
        if matching:
            found[host.name] = NodeSettings(labels=labels, taints=tuple(taints.values()))
    return found
