"""What is in the cluster, and who reaches it: addons, certificates, the administrator's kubeconfig."""

from __future__ import annotations

from pydantic import Field

from kubexms.spec.base import FrozenModel, Name


class AddonSpec(FrozenModel):
    """Objects in the cluster, from a file."""

    name: Name
    manifest: str
    """A file of Kubernetes objects (YAML, several documents), relative to this document."""


class CertificatesSpec(FrozenModel):
    """The certificates of the control planes, which kubeadm makes for a year."""

    renew_before_days: int = Field(default=30, ge=1, le=300)
    """Renew those that end within so many days, at the next apply, one control plane at a time."""


class KubeconfigSpec(FrozenModel):
    """The administrator's credentials, as a file that only its owner can read."""

    path: str = Field(pattern=r"^~?/[^\x00\r\n]+$")
    """The file: `~/.kube/prod`. It begins with `~/` or `/`."""
    server: str | None = Field(default=None, pattern=r"^https://[^\s\"]+$")
    """The API's URL as it is reached from there. Default: the endpoint."""
