"""The kind `podNetwork`: a bridge on each node and routes between them, so that all pods reach each other."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from ipaddress import ip_network
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field, JsonValue
from pydantic_core import PydanticCustomError

from kubexms.runtime.protocol import Action, Payload, Record
from kubexms.spec.cluster.values import NodeName
from kubexms.step.contract import ChangeRequest, OneByOne, StepArgs
from kubexms.step.kinds._kubeadm.network import (
    ACT,
    ASK,
    BRIDGE_TEXT,
    UNDO,
    Found,
    read,
)
from kubexms.step.observation import Attributes, Observation, Presence
from kubexms.step.shell import quote


def _network(value: str) -> str:
    try:
        return str(ip_network(value))
    except ValueError as error:
        raise PydanticCustomError("pod_network", "not a network: {error}", {"error": str(error)}) from None


class PodNetworkSpec(StepArgs):
    """A pod network that needs no images: the `bridge` plugin on the node's own part of the pods'
    network, and a route to the part of every other node.

    Nodes must reach each other without a router between them. What part a node has, and which other
    nodes there are, is read from the API with the node's own credentials. When one comes or goes, every
    node has something to do, and the plan names those to which the route is missing. A route to a node that
    has gone leads nowhere and does no harm: it goes with the next change.

    API servers from 1.32 on let a node read itself alone: there the group `system:nodes` needs the
    right to list nodes (a ClusterRole and its binding, as a `manifest`).
    """

    node_name: NodeName
    """The name of this node."""
    nodes: tuple[NodeName, ...] = ()
    """The names of all nodes that there are to be. Routes go to others that the API knows as well."""
    pod_cidr: Annotated[str, AfterValidator(_network)]
    """The network of all pods, as in the cluster's configuration: "10.244.0.0/16"."""
    bridge: str = Field(default="cni0", pattern=r"^[a-z][a-z0-9_.-]{0,14}$")
    """The bridge's name."""
    mtu: int | None = Field(default=None, ge=576, le=65535)
    """The bridge's MTU. Default: the plugin's own."""
    masquerade: bool = True
    """Pods reach what is outside of the pods' network under the address of their node."""
    host_ports: bool = True
    """Pods may ask for ports of their node (the `portmap` plugin)."""


class PodNetworkExecutor(OneByOne[PodNetworkSpec]):
    """See `PodNetworkSpec`."""

    kind: ClassVar[str] = "podNetwork"
    spec: ClassVar[type[StepArgs]] = PodNetworkSpec
    identity: ClassVar[tuple[str, ...]] = ("node_name",)
    feeds: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "node_name": ("configuration",),
        "nodes": ("missing",),
        "pod_cidr": ("configuration",),
        "bridge": ("configuration",),
        "mtu": ("configuration",),
        "host_ports": ("configuration",),
    }
    example: ClassVar[str] = """\
- {name: pods, kind: podNetwork, nodeName: w1, nodes: [cp1, w1, w2], podCidr: 10.244.0.0/16}
"""

    def ask(self, spec: PodNetworkSpec) -> str:
        return self._variables(spec) + ASK

    def observe(self, spec: PodNetworkSpec, record: Record) -> Observation:
        """Absent before the node is a member; unknown while the API does not answer."""
        text = record.text.decode("utf-8", "replace")
        if record.status != 0:
            return Observation.unknown(text.strip() or "the host does not tell its routes")
        found = read(text)
        if not found.unit:
            return Observation.absent()
        if found.error:
            return Observation.unknown(f"the API does not answer: {found.error}")
        wanted = found.wanted(spec.node_name)
        # a node that is to come has no route at boot either: when it joins, nothing more differs than before
        coming = set(spec.nodes) - {spec.node_name} - wanted.keys()
        attributes: dict[str, JsonValue] = {
            "configuration": found.configuration,
            "missing": list[JsonValue](_missing(spec, found)),
            "stale": list[JsonValue](sorted((found.routes | found.boot) - frozenset(wanted.values()))),
            "masquerade": found.masquerade,
            "atBoot": not coming and found.boot >= frozenset(wanted.values()) and found.enabled,
        }
        extra: dict[str, JsonValue] = {"podCidr": found.nodes.get(spec.node_name, ("", ""))[0]}
        if coming:
            extra["coming"] = list[JsonValue](sorted(coming))
            extra["othersAtBoot"] = found.boot >= frozenset(wanted.values()) and found.enabled
        return Observation.present(attributes, extra)

    def desired(self, spec: PodNetworkSpec) -> Attributes | None:
        return {
            "configuration": "as specified",
            "missing": [],
            "stale": [],
            "masquerade": spec.masquerade,
            "atBoot": True,
        }

    def awaits(self, spec: PodNetworkSpec, observation: Observation) -> frozenset[str]:
        """A node that is no member yet, or could not become one, has no part of the pods' network."""
        if observation.attributes.get("missing") != observation.extra.get("coming"):
            return frozenset()
        return frozenset({"missing", "atBoot"} if observation.extra.get("othersAtBoot") else {"missing"})

    def action(self, spec: PodNetworkSpec, request: ChangeRequest) -> Action:
        script = self._variables(spec) + f"masquerade={'1' if spec.masquerade else ''}\n" + ACT
        return Action(script, {"template": Payload(data=_template(spec).encode())}, timeout=180.0)

    def undo(self, spec: PodNetworkSpec, prior: Observation) -> Action | None:
        """What runs on needs the network until it is gone: a member keeps it until it leaves."""
        if prior.presence is Presence.PRESENT:
            return None
        return Action(self._variables(spec) + UNDO)

    @staticmethod
    def _variables(spec: PodNetworkSpec) -> str:
        family = "-6" if ":" in spec.pod_cidr else "-4"
        return (
            f"node={quote(spec.node_name)}\npods={quote(spec.pod_cidr)}\nfamily={family}\n"
            f"bridge={quote(spec.bridge)}\nwant={hashlib.sha256(_template(spec).encode()).hexdigest()}\n"
        )

    def object_id(self, spec: PodNetworkSpec) -> str:
        """A host has one."""
        return hashlib.sha256(self.kind.encode()).hexdigest()[:32]


def _missing(spec: PodNetworkSpec, found: Found) -> list[str]:
    wanted = found.wanted(spec.node_name)
    joined = {name for name, route in wanted.items() if route in found.routes}
    return sorted((set(spec.nodes) | set(wanted)) - {spec.node_name} - joined)


def _template(spec: PodNetworkSpec) -> str:
    """The plugins' configuration with SUBNET where the node's own part stands."""
    everywhere = "::/0" if ":" in spec.pod_cidr else "0.0.0.0/0"
    bridge: dict[str, JsonValue] = {
        "type": "bridge",
        "bridge": spec.bridge,
        "isGateway": True,
        "hairpinMode": True,
        "ipam": {
            "type": "host-local",
            "ranges": [[{"subnet": "SUBNET"}]],
            "routes": [{"dst": everywhere}],
        },
    }
    if spec.mtu is not None:
        bridge["mtu"] = spec.mtu
    plugins: list[JsonValue] = [bridge]
    if spec.host_ports:
        plugins.append({"type": "portmap", "capabilities": {"portMappings": True}})
    text = {"cniVersion": "0.3.1", "name": BRIDGE_TEXT, "plugins": plugins}
    return json.dumps(text, indent=2) + "\n"


__all__ = ["PodNetworkExecutor", "PodNetworkSpec"]
