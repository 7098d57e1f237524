"""What it is to be a node, whether kubeadm makes it one or units of its own do."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import ClassVar, Literal, TypeVar

from pydantic import Field, JsonValue

from kubexms.runtime.protocol import Outcome
from kubexms.spec.cluster.values import NodeName
from kubexms.step.contract import (
    ActionKind,
    ChangeRequest,
    Disruption,
    OneByOne,
    StepArgs,
    StepContext,
)
from kubexms.step.kinds._kubeadm.leaving import Leaver, leave
from kubexms.step.kinds._kubeadm.skew import number
from kubexms.step.kinds._kubeadm.survey import Survey, question
from kubexms.step.observation import Attributes, Observation

_FEEDS: Mapping[str, tuple[str, ...]] = {
    "node_name": ("node",),
    "role": ("role",),
    "version": ("version",),
}


class NodeArgs(StepArgs):
    """What every node has; kinds say more of some of it."""

    cluster: str = Field(min_length=1, max_length=253, pattern=r"^\S+$")
    """The cluster's name. A host that says that it is another one's is refused."""
    node_name: NodeName
    """The name of the node."""
    role: Literal["control-plane", "worker"]
    """What the node is."""
    version: str = Field(pattern=r"^v?1\.\d+\.\d+\S*$")
    """The version of Kubernetes: "1.20.2"."""
    peers: tuple[str, ...] = Field(min_length=1)
    """The cluster's control planes, by their names in the inventory."""
    neighbours: tuple[str, ...] = ()
    """Nodes with a `podNetwork` of ours, by their names in the inventory: when this one has left, the routes
    to its pods go there."""
    drain_timeout: int = Field(default=300, ge=1, le=86400)
    """Seconds for pods to be evicted from a node that leaves or gets another version. Disruption budgets are
    kept; where they forbid it for so long, the node stays as it is."""


N = TypeVar("N", bound=NodeArgs)


def feeds(spec: type[NodeArgs]) -> Mapping[str, tuple[str, ...]]:
    """`StepExecutor.feeds` of a kind of node: all other fields determine nothing that is compared."""
    return {name: _FEEDS.get(name, ()) for name in spec.model_fields}


class NodeExecutor(OneByOne[N]):
    """Base of the kinds whose object is a host's membership in a cluster."""

    identity: ClassVar[tuple[str, ...]] = ("node_name",)

    def ask(self, spec: N) -> str:
        return question(spec.node_name)

    def desired(self, spec: N) -> Attributes | None:
        return {
            "status": "member",
            "role": spec.role,
            "node": spec.node_name,
            "version": spec.version.removeprefix("v"),
            "registered": True,
        }

    def disruption(self, spec: N, request: ChangeRequest) -> Disruption:
        """A node that leaves or is upgraded is drained; with the last control plane the cluster is gone."""
        if request.action is ActionKind.UPDATE and "version" in request.changed:
            return Disruption.DRAIN
        if request.action not in (ActionKind.DELETE, ActionKind.REPLACE):
            return Disruption.NONE
        before = request.before.attributes
        if before.get("status") == "partial":
            return Disruption.NONE
        if before.get("role", spec.role) == "control-plane" and len(spec.peers) == 1:
            return Disruption.DATA_LOSS
        return Disruption.DRAIN

    def run_undo(self, context: StepContext, spec: N, prior: Observation) -> Outcome:
        """Leave the cluster in order, then clear the host."""
        if spec.role == "worker":
            return leave(context, self.leaver(spec))
        with self.alone(context, spec):
            return leave(context, self.leaver(spec))

    def object_id(self, spec: N) -> str:
        """A host is a member of one cluster at most."""
        return hashlib.sha256(self.kind.encode()).hexdigest()[:32]

    @abstractmethod
    def leaver(self, spec: N) -> Leaver:
        """What has to be known of it when it leaves."""

    def alone(self, context: StepContext, spec: N) -> AbstractContextManager[None]:
        """While it is entered no other node of the cluster changes its membership or its version."""
        return context.alone(f"{self.kind} {spec.cluster}")


def backwards(spec: NodeArgs, observation: Observation) -> str | None:
    """Why a member cannot become what is wanted, if that is an older version."""
    if observation.attributes.get("status") != "member":
        return None
    was, wanted = str(observation.attributes.get("version", "")), spec.version.removeprefix("v")
    if number(was) > number(wanted):
        return f"this node runs {was}, and Kubernetes does not go back to {wanted}"
    if kubelet := observation.extra.get("kubelet"):
        return (
            f"the kubelet of this node is {kubelet}, and no kubelet may be newer than its API server, which "
            f"is to be {wanted}: upgrade the cluster to {kubelet}, or put the kubelet {was} back and "
            "restart it"
        )
    return None


def runs(spec: NodeArgs, found: Survey) -> str:
    """The version that a node is of: what it was brought to, or that of a kubelet which is older, because
    somebody put it back."""
    brought = found.version or spec.version.removeprefix("v")
    older = found.kubelet and number(found.kubelet) < number(brought)
    return found.kubelet if older else brought


def newer_kubelet(spec: NodeArgs, found: Survey) -> dict[str, JsonValue]:
    """What an observation adds where a kubelet runs that is newer than what the cluster is to be."""
    newer = found.kubelet and number(found.kubelet) > number(spec.version)
    return {"kubelet": found.kubelet} if newer else {}
