"""containerd on every node."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, JsonValue

from kubexms.spec.base import FrozenModel
from kubexms.spec.cluster.values import Source


class RegistrySpec(FrozenModel):
    """How containerd reaches one image registry."""

    mirrors: tuple[Annotated[str, Field(pattern=r"^https?://[^\s\"]+$")], ...] = Field(min_length=1)
    """URLs that are asked before the registry itself, in this order."""
    skip_verify: bool = False
    """Take any certificate of the mirrors."""


class ContainerRuntimeSpec(FrozenModel):
    """containerd."""

    source: Source | None = None
    """Where containerd, runc and the CNI plugins come from: `artifacts` or the hosts' `packages`. Default:
    `artifacts` where a directory of artifacts is given."""
    packages: tuple[str, ...] = ("containerd", "containernetworking-plugins")
    """With `source: packages`: what to install."""
    cni_bin_dir: str | None = Field(default=None, pattern=r"^/[^\s]*$")
    """Where the CNI plugins are. Default: `/usr/lib/cni` with Debian's package, else `/opt/cni/bin`."""
    sandbox_image: str | None = None
    """The pause image. Default: the one that this version of kubeadm wants."""
    registries: dict[str, RegistrySpec] = Field(default_factory=dict)
    """Mirrors, by the name of the registry as images have it: `docker.io`."""
    config: dict[str, JsonValue] = Field(default_factory=dict)
    """Merged into containerd's config.toml (version 2, which containerd 2 reads too):
    `{plugins: {"io.containerd.grpc.v1.cri": {restrict_oom_score_adj: true}}}`."""
