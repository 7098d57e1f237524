"""Who reaches the cluster: certificates, the administrator's kubeconfig."""

from __future__ import annotations

from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from kubexms.spec.base import FrozenModel
from kubexms.spec.cluster.values import renewed_in_time

YEAR, TEN_YEARS = 365, 3650
"""Days: what kubeadm gives a certificate and an authority unless it is told otherwise."""


class CertificatesSpec(FrozenModel):
    """The certificates of the control planes; with `kubernetes.type: binary`, of all nodes."""

    renew_before_days: int = Field(default=30, ge=1, le=300)
    """Renew those that end within so many days, at the next apply, one control plane at a time."""
    lifetime_days: int = Field(default=YEAR, ge=2, le=TEN_YEARS)
    """How long a new one lasts. kubeadm knows another number than 365 from Kubernetes 1.31 on. A change waits
    for the next renewal."""
    authority_days: int = Field(default=TEN_YEARS, ge=30, le=36500)
    """How long the authorities of a new cluster last. Those of a cluster that is there stay as they are."""

    @field_validator("lifetime_days")
    @classmethod
    def _lasts(cls, days: int, info: ValidationInfo) -> int:
        renewed_in_time(info.data.get("renew_before_days", 0), days)
        return days

    @field_validator("authority_days")
    @classmethod
    def _outlives(cls, days: int, info: ValidationInfo) -> int:
        lifetime = info.data.get("lifetime_days", 0)
        if days < lifetime:
            raise PydanticCustomError(
                "ends_first",
                "an authority that lasts {days} days ends before what it signs: 'lifetimeDays' is {lifetime}",
                {"days": days, "lifetime": lifetime},
            )
        return days


class KubeconfigSpec(FrozenModel):
    """The administrator's credentials, as a file that only its owner can read."""

    path: str = Field(pattern=r"^~?/[^\x00\r\n]+$")
    """The file: `~/.kube/prod`. It begins with `~/` or `/`."""
    server: str | None = Field(default=None, pattern=r"^https://[^\s\"]+$")
    """The API's URL as it is reached from there. Default: the endpoint."""
