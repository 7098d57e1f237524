"""The store that the API servers keep everything in."""

from __future__ import annotations

from pydantic import Field

from kubexms.spec.base import FrozenModel
from kubexms.spec.cluster.values import Arguments


class EtcdSpec(FrozenModel):
    """etcd, one member on every control plane."""

    extra_args: Arguments = Field(default_factory=dict)
    """Flags without their dashes: `{heartbeat-interval: "500", election-timeout: "5000"}` for slow disks. A
    member takes them in when it joins."""
