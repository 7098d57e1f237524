"""Objects in the cluster that come with it."""

from __future__ import annotations

import re
from typing import Annotated, Self

from pydantic import Field, JsonValue, model_validator
from pydantic_core import PydanticCustomError

from kubexms.spec.base import FrozenModel, Name

LABEL = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"


class HelmSpec(FrozenModel):
    """A release of helm 3. The artifacts have the chart, and helm itself for the control planes."""

    chart: str
    """The name of a packaged chart in the directory of artifacts, of the kind `archive`."""
    chart_version: str | None = None
    """Which, where the artifacts have several versions of it."""
    release: Annotated[str, Field(pattern=LABEL, max_length=53)] | None = None
    """Its name. Default: the addon's."""
    namespace: str = Field(default="default", pattern=LABEL, max_length=63)
    """Where it is; made if it is not there."""
    values: dict[str, JsonValue] = Field(default_factory=dict)
    """What is given in place of the chart's own values. No secrets: they would be in state."""
    wait_seconds: int = Field(default=300, ge=0, le=3600)
    """How long the objects may take until they are ready, else the release has failed. 0: nobody waits."""


class AddonSpec(FrozenModel):
    """Objects in the cluster: of a file, of a manifest or chart from the artifacts, or from kustomize."""

    name: Name
    manifest: str | None = None
    """A file of Kubernetes objects (YAML, several documents), relative to this document."""
    artifact: str | None = None
    """The name of a manifest in the directory of artifacts, instead."""
    artifact_version: str | None = None
    """Which, where the artifacts have several versions of it."""
    kustomize: str | None = None
    """A directory with a `kustomization.yaml` instead, relative to this document. It is rendered where
    kubexms runs, by the kubectl of the artifacts, or else by the `kubectl` or `kustomize` that is there."""

    helm: HelmSpec | None = None
    """A release of a chart instead."""

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if [self.manifest, self.artifact, self.kustomize, self.helm].count(None) != 3:
            raise PydanticCustomError(
                "addon_origin", "give one of 'manifest', 'artifact', 'kustomize', 'helm'"
            )
        if self.helm is not None and self.helm.release is None and re.fullmatch(LABEL, self.name) is None:
            raise PydanticCustomError(
                "addon_release",
                "'{name}' cannot be the name of a release: give 'helm.release'",
                {"name": self.name},
            )
        if self.artifact_version is not None and self.artifact is None:
            raise PydanticCustomError("addon_version", "'artifactVersion' goes with 'artifact'")
        return self
