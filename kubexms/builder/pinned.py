"""Manifests from the directory of artifacts: which they are, and whether this cluster can have them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from kubexms.builder.artifacts import ClusterArtifacts
from kubexms.builder.imagenames import Used, full_name, registry_of, used_images
from kubexms.builder.places import wrong
from kubexms.builder.plans import ClusterPlan
from kubexms.builder.podranges import directory_problems, range_problems
from kubexms.config.discover import display
from kubexms.config.documents import Building
from kubexms.config.yaml import Document, Path, read_documents
from kubexms.diagnostics import Diagnostic
from kubexms.errors import ConfigError
from kubexms.spec.artifacts import Artifact
from kubexms.spec.cluster import ClusterSpec


@dataclass(frozen=True)
class Wanted:
    """A manifest or chart that the document names."""

    place: Path
    name: str
    version: str | None
    network: bool = False
    chart: bool = False

    @property
    def kind(self) -> str:
        """The artifact's."""
        return "archive" if self.chart else "manifest"

    @property
    def what(self) -> str:
        """For a person."""
        return "chart" if self.chart else "manifest"


def wanted_manifests(spec: ClusterSpec) -> Iterator[Wanted]:
    """Those of the network and of addons, with the fields that name them."""
    if spec.network.artifact is not None:
        place = ("spec", "network", "artifact")
        yield Wanted(place, spec.network.artifact, spec.network.artifact_version, network=True)
    for index, addon in enumerate(spec.addons):
        if addon.artifact is not None:
            yield Wanted(("spec", "addons", index, "artifact"), addon.artifact, addon.artifact_version)
        if addon.helm is not None:
            chart = ("spec", "addons", index, "helm", "chart")
            yield Wanted(chart, addon.helm.chart, addon.helm.chart_version, chart=True)


def pinned_problems(building: Building, plan: ClusterPlan) -> Iterator[Diagnostic]:
    """What is wrong with them; told at their own lines where these are to be changed."""
    for wanted in wanted_manifests(plan.spec):
        if plan.artifacts is None:
            summary = "there is no directory of artifacts"
            yield wrong(building, wanted.place, summary, "Name it in spec.artifacts.")
            continue
        found = plan.artifacts.pinned(wanted.kind, wanted.name, wanted.version)
        if len(found) != 1:
            yield _not_one(building, wanted, plan.artifacts)
            continue
        try:
            data = _content(plan.artifacts, found[0])
            if wanted.chart:
                yield from _helm_problems(building, wanted, plan.artifacts)
                continue
            # whatever its name: as JSON it would be YAML too
            name = display(plan.artifacts.found.path(found[0])).removesuffix(".json")
            documents = read_documents(data, name)
        except ConfigError as error:
            yield from error.diagnostics
            continue
        if wanted.network:
            yield from range_problems(documents, plan)
            yield from directory_problems(documents, plan)
        yield from _image_problems(documents, plan, plan.artifacts)


def _not_one(building: Building, wanted: Wanted, artifacts: ClusterArtifacts) -> Diagnostic:
    versions = [entry.version for entry in artifacts.pinned(wanted.kind, wanted.name, None)]
    known = sorted({entry.name for entry in artifacts.found.entries if entry.kind == wanted.kind})
    if wanted.version is None and versions:
        summary = f"there are several {wanted.what}s called {wanted.name}: {', '.join(versions)}"
        field = "chartVersion" if wanted.chart else "artifactVersion"
        return wrong(building, wanted.place, summary, f"Say which in {field}.")
    which = f"{wanted.name} {wanted.version}" if wanted.version else wanted.name
    if versions:
        detail = f"There is {', '.join(versions)}."
    else:
        detail = f"There are: {', '.join(known)}." if known else "There is none of any name."
    detail += " `kubexms artifacts add` puts a file into the directory."
    return wrong(building, wanted.place, f"there is no {wanted.what} {which} in the artifacts", detail)


def _helm_problems(building: Building, wanted: Wanted, artifacts: ClusterArtifacts) -> Iterator[Diagnostic]:
    for arch in artifacts.architectures:
        if artifacts.find("helm", arch) is None:
            detail = "`kubexms artifacts add` puts the program into the directory, as it does kubectl."
            yield wrong(building, wanted.place, f"there is no helm for {arch} in the artifacts", detail)


def _content(artifacts: ClusterArtifacts, artifact: Artifact) -> bytes:
    """The bytes that are pinned. Raises `ConfigError` for a file that is missing or replaced."""
    path = artifacts.found.path(artifact)
    try:
        data = path.read_bytes()
    except OSError as error:
        problem = artifacts.found.error(artifact, f"{artifact.file} cannot be read: {error.strerror}")
        raise ConfigError(problem.summary, diagnostics=[problem]) from None
    digest = hashlib.sha256(data).hexdigest()
    if digest != artifact.sha256:
        problem = artifacts.found.error(
            artifact,
            f"{artifact.file} has another digest",
            f"Its SHA-256 is {digest}: put the right file there, or add this one anew if it is meant.",
            field="sha256",
        )
        raise ConfigError(problem.summary, diagnostics=[problem])
    return data


def _image_problems(
    documents: tuple[Document, ...], plan: ClusterPlan, artifacts: ClusterArtifacts
) -> Iterator[Diagnostic]:
    """Images that no node has, where nodes have what the artifacts hold and ask nobody."""
    if not plan.kubernetes_from_artifacts:
        return
    there = {arch: {image.ref for image in artifacts.found.images(arch)} for arch in artifacts.architectures}
    for document in documents:
        for used in used_images(document):
            if registry_of(used.name) not in plan.spec.container_runtime.registries:
                yield from _image_problem(document, used, there)


def _image_problem(document: Document, used: Used, there: dict[str, set[str | None]]) -> Iterator[Diagnostic]:
    if "@" in used.name:
        detail = (
            "Imported images are known by name and tag: write it as NAME:TAG, with the artifacts holding it."
        )
        yield document.error(used.path, f"the image {used.name} is named by its digest", detail)
        return
    name = full_name(used.name)
    lacking = [arch for arch, refs in there.items() if name not in refs]
    if lacking:
        detail = (
            "`kubexms artifacts add` puts it there. Or name a mirror for "
            f"{registry_of(name)} in containerRuntime.registries."
        )
        yield document.error(
            used.path, f"the image {name} is not in the artifacts for {', '.join(lacking)}", detail
        )
    elif used.always:
        detail = "Set imagePullPolicy: IfNotPresent; without it, so is what has the tag `latest` or none."
        yield document.error(used.path, f"the image {name} is pulled at every start", detail)
