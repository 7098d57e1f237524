"""The kind `kubeletNode`: a host that is a node of a cluster without kubeadm, by the kubelet's own unit."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field, JsonValue

from kubexms.runtime.protocol import Action, Outcome, Record
from kubexms.step.contract import (
    ActionKind,
    ChangeRequest,
    Disruption,
    OneByOne,
    StepArgs,
    StepContext,
)
from kubexms.step.kinds._kubeadm import scripts
from kubexms.step.kinds._kubeadm.aftermath import REMEMBER
from kubexms.step.kinds._kubeadm.leaving import Leaver, leave
from kubexms.step.kinds._kubeadm.survey import OWN, question, read
from kubexms.step.kinds._kubeadm.upgrading import UnitUpgrader, number, upgrade
from kubexms.step.kinds.kubeadm_node import NodeName
from kubexms.step.observation import Attributes, Observation, Presence
from kubexms.step.shell import quote, words

CONTROL_UNITS = ("kube-scheduler", "kube-controller-manager", "kube-apiserver", "etcd")


class KubeletNodeSpec(StepArgs):
    """A host that is a node of a cluster by units of its own, without kubeadm.

    Steps before this one write the units, their configuration and `/etc/kubernetes/kubelet.conf`, by which
    the kubelet registers the node. This step starts `units` and waits until the API knows the node. Another
    `version` means that the new programs are there: the node is drained through a control plane, its kubelet
    restarted, and it takes pods again unless a person had cordoned it. Taken away, a node is drained and
    deleted through a control plane, its containers, volumes, bridge and rules are removed; on a control
    plane, etcd's data too.
    """

    cluster: str = Field(min_length=1, max_length=253, pattern=r"^\S+$")
    """The cluster's name. A host that says that it is another one's is refused."""
    node_name: NodeName
    """The name of the node, which the kubelet must be told too."""
    role: Literal["control-plane", "worker"]
    """What the node is."""
    version: str = Field(pattern=r"^v?1\.\d+\.\d+\S*$")
    """The version of Kubernetes, which the kubelet on the host must have: "1.20.2"."""
    peers: tuple[str, ...] = Field(min_length=1)
    """The cluster's control planes, by their names in the inventory."""
    units: tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.@-]*$")], ...] = ("kubelet",)
    """The node's units, the kubelet's among them: `[kubelet, kube-proxy]`."""
    cri_socket: str = Field(default="unix:///run/containerd/containerd.sock", pattern=r"^\S+$")
    """Where crictl finds the container runtime, to remove pods from a host that leaves."""
    drain_timeout: int = Field(default=300, ge=1, le=86400)
    """Seconds for pods to be evicted from a node that leaves or gets another version. Disruption budgets are
    kept; where they forbid it for so long, the node stays as it is."""


class KubeletNodeExecutor(OneByOne[KubeletNodeSpec]):
    """See `KubeletNodeSpec`."""

    kind: ClassVar[str] = "kubeletNode"
    spec: ClassVar[type[StepArgs]] = KubeletNodeSpec
    identity: ClassVar[tuple[str, ...]] = ("node_name",)
    feeds: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "cluster": ("status",),
        "node_name": ("node",),
        "peers": (),
        "units": (),
        "cri_socket": (),
        "drain_timeout": (),
    }
    example: ClassVar[str] = """\
- name: node
  kind: kubeletNode
  cluster: prod
  nodeName: w1
  role: worker
  version: "1.20.2"
  peers: [cp1]
  units: [kubelet, kube-proxy]
"""

    def ask(self, spec: KubeletNodeSpec) -> str:
        return question(spec.node_name)

    def observe(self, spec: KubeletNodeSpec, record: Record) -> Observation:
        """Absent until this step has made the host a node: files alone make none."""
        text = record.text.decode("utf-8", "replace")
        if record.status != 0:
            return Observation.unknown(text.strip() or "the host does not tell whose node it is")
        found = read(text)
        made_by_kubeadm = any(name.startswith("manifests/") for name in found.files) or bool(found.unfinished)
        if not found.node and not made_by_kubeadm:
            return Observation.absent()
        foreign = found.stranger or bool(found.cluster and found.cluster != spec.cluster)
        attributes: dict[str, JsonValue] = {
            "status": "kubeadm's" if made_by_kubeadm else "foreign" if foreign else "member",
            "role": found.found_role,
            "node": found.node,
            "version": found.version,
            "registered": not found.lost,
        }
        return Observation.present(attributes, {"cluster": found.cluster})

    def desired(self, spec: KubeletNodeSpec) -> Attributes | None:
        return {
            "status": "member",
            "role": spec.role,
            "node": spec.node_name,
            "version": spec.version.removeprefix("v"),
            "registered": True,
        }

    def disruption(self, spec: KubeletNodeSpec, request: ChangeRequest) -> Disruption:
        """A node that leaves or is upgraded is drained; with the last control plane the cluster is gone."""
        if request.action is ActionKind.UPDATE and "version" in request.changed:
            return Disruption.DRAIN
        if request.action is not ActionKind.DELETE:
            return Disruption.NONE
        last = spec.role == "control-plane" and len(spec.peers) == 1
        return Disruption.DATA_LOSS if last else Disruption.DRAIN

    def verdict(self, spec: KubeletNodeSpec, observation: Observation) -> str | None:
        """Hosts that are something else are refused before anything is touched."""
        status = observation.attributes.get("status")
        if status == "kubeadm's":
            return "kubeadm has made this host a member of a cluster: run `kubeadm reset` there first"
        if status == "foreign":
            return f"this host is a node of another cluster ({observation.extra.get('cluster') or 'unnamed'})"
        was = str(observation.attributes.get("version", ""))
        if status == "member" and number(was) > number(spec.version):
            return f"this node runs {was}, and Kubernetes does not go back to {spec.version}"
        return None

    def action(self, spec: KubeletNodeSpec, request: ChangeRequest) -> Action:
        """Start the units, wait for the API to know the node, and keep whose it is."""
        upgrader = _upgrader(spec)
        head = f"{upgrader.check()}own={quote(OWN)}\nnode={quote(spec.node_name)}\n"
        script = head + REMEMBER + _START.replace("UNITS", words(spec.units))
        end = scripts.member(spec.cluster, spec.node_name, spec.role, spec.version)
        return Action(script + end, timeout=600.0)

    def run(self, context: StepContext, spec: KubeletNodeSpec, request: ChangeRequest) -> Outcome:
        """Start it; one of another version is drained before, one node after the other."""
        if request.action is ActionKind.UPDATE and "version" in request.changed:
            with context.alone(f"{self.kind} {spec.cluster}"):
                return upgrade(context, _upgrader(spec))
        return context.exchange(self.action(spec, request))

    def undo(self, spec: KubeletNodeSpec, prior: Observation) -> Action | None:
        """Clears the host itself; one that was a node before is left as it is."""
        if prior.presence is Presence.PRESENT:
            return None
        return Action(_reset(spec), timeout=600.0)

    def run_undo(self, context: StepContext, spec: KubeletNodeSpec, prior: Observation) -> Outcome:
        """Leave the cluster in order, then clear the host."""
        plane = spec.role == "control-plane"
        leaver = Leaver(spec.node_name, plane, spec.peers, spec.drain_timeout, None, (), None, _reset(spec))
        if not plane:
            return leave(context, leaver)
        with context.alone(f"{self.kind} {spec.cluster}"):
            return leave(context, leaver)

    def object_id(self, spec: KubeletNodeSpec) -> str:
        """A host is a node of one cluster at most."""
        return hashlib.sha256(self.kind.encode()).hexdigest()[:32]


_START = r"""
systemctl daemon-reload
for unit in UNITS; do
  systemctl enable --quiet "$unit"
  systemctl restart "$unit"
done
n=0
until said=$(kubectl --cache-dir /dev/null/no --kubeconfig /etc/kubernetes/kubelet.conf --request-timeout=5s \
    get node "$node" -o name 2>&1); do
  n=$((n + 1))
  if [ "$n" -gt 120 ]; then
    echo "the API does not know $node within 120 tries: $said" >&2
    journalctl -u kubelet -n 20 --no-pager -o cat >&2 || :
    exit 1
  fi
  sleep 1
done
"""

_END = r"""
own=OWN
mkdir -p -m 0700 "$own"
for unit in UNITS; do
  systemctl disable --quiet --now "$unit" 2>/dev/null || :
done
if command -v crictl >/dev/null && [ -S "${socket#unix://}" ]; then
  for pod in $(crictl -r "$socket" pods -q); do
    crictl -r "$socket" stopp "$pod" >/dev/null || :
    crictl -r "$socket" rmp "$pod" >/dev/null || crictl -r "$socket" rmp "$pod" >/dev/null
  done
fi
awk '$2 ~ "^/var/lib/kubelet/" { print $2 }' /proc/mounts | sort -r | while read -r place; do
  umount "$place" || umount -l "$place"
done
rm -rf /var/lib/kubelet DATA
"""


def _reset(spec: KubeletNodeSpec) -> str:
    plane = spec.role == "control-plane"
    units = (*spec.units, *CONTROL_UNITS) if plane else spec.units
    data = "/var/lib/etcd/member" if plane else ""
    ending = _END.replace("UNITS", words(units)).replace("DATA", data)
    return scripts.cleared(f"socket={quote(spec.cri_socket)}\n{ending}")


def _upgrader(spec: KubeletNodeSpec) -> UnitUpgrader:
    version, drain = spec.version.removeprefix("v"), spec.drain_timeout
    return UnitUpgrader(spec.cluster, spec.node_name, spec.role, version, spec.peers, drain)


__all__ = ["KubeletNodeExecutor", "KubeletNodeSpec"]
