"""What is in the cluster, and who reaches it: addons, certificates, the administrator's kubeconfig."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from kubexms.spec.base import FrozenModel, Name
from kubexms.spec.cluster.values import renewed_in_time


class AddonSpec(FrozenModel):
    """Objects in the cluster, from a file."""

    name: Name
    manifest: str
    """A file of Kubernetes objects (YAML, several documents), relative to this document."""


class CertificatesSpec(FrozenModel):
    """The certificates of the control planes, which kubeadm makes for a year; without it, of all nodes."""

    renew_before_days: int = Field(default=30, ge=1, le=300)
    """Renew those that end within so many days, at the next apply, one control plane at a time."""
    lifetime_days: int = Field(default=365, ge=2, le=3650)
    """How long a new one lasts, with `kubernetes.type: binary`. Another number waits for the next one."""
    authority_days: int = Field(default=3650, ge=30, le=36500)
    """How long a new authority lasts, with `kubernetes.type: binary`."""

    @model_validator(mode="after")
    def _lasts(self) -> Self:
        renewed_in_time(self.renew_before_days, self.lifetime_days)
        return self


class KubeconfigSpec(FrozenModel):
    """The administrator's credentials, as a file that only its owner can read."""

    path: str = Field(pattern=r"^~?/[^\x00\r\n]+$")
    """The file: `~/.kube/prod`. It begins with `~/` or `/`."""
    server: str | None = Field(default=None, pattern=r"^https://[^\s\"]+$")
    """The API's URL as it is reached from there. Default: the endpoint."""
