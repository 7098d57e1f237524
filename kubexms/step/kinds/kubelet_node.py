"""The kind `kubeletNode`: a host that is a node of a cluster without kubeadm, by the kubelet's own unit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar

from pydantic import Field, JsonValue

from kubexms.runtime.protocol import Action, Outcome, Record
from kubexms.spec.cluster.values import NodeName
from kubexms.step.contract import (
    ActionKind,
    ChangeRequest,
    Prospect,
    StepArgs,
    StepContext,
)
from kubexms.step.kinds._kubeadm import scripts
from kubexms.step.kinds._kubeadm.aftermath import REMEMBER
from kubexms.step.kinds._kubeadm.leaving import Leaver
from kubexms.step.kinds._kubeadm.membership import (
    NodeArgs,
    NodeExecutor,
    backwards,
    feeds,
    newer_kubelet,
    runs,
)
from kubexms.step.kinds._kubeadm.quorum import Standing, refusals
from kubexms.step.kinds._kubeadm.survey import OWN, read
from kubexms.step.kinds._kubeadm.upgrading import UnitUpgrader, upgrade
from kubexms.step.observation import Observation, Presence
from kubexms.step.shell import quote, words

CONTROL_UNITS = ("kube-scheduler", "kube-controller-manager", "kube-apiserver")


class KubeletNodeSpec(NodeArgs):
    """A host that is a node of a cluster by units of its own, without kubeadm.

    Steps before this one write the units, their configuration and `/etc/kubernetes/kubelet.conf`, by which
    the kubelet registers the node. This step starts `units` and waits until the API knows the node. Another
    `version` means that the new programs are there: the node is drained through a control plane, its kubelet
    restarted, and it takes pods again unless a person had cordoned it. Taken away, a node is drained and
    deleted through a control plane, its containers, volumes, bridge and rules are removed; on a control
    plane, etcd's data too.
    """

    node_name: NodeName
    """The name of the node, which the kubelet must be told too."""
    version: str = Field(pattern=r"^v?1\.\d+\.\d+\S*$")
    """The version of Kubernetes, which the kubelet on the host must have: "1.20.2"."""
    units: tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.@-]*$")], ...] = ("kubelet",)
    """The node's units, the kubelet's among them: `[kubelet, kube-proxy]`."""
    has_etcd: bool = True
    """Its member of etcd goes with a control plane; not where that has a step of its own, or is elsewhere."""
    cri_socket: str = Field(default="unix:///run/containerd/containerd.sock", pattern=r"^\S+$")
    """Where crictl finds the container runtime, to remove pods from a host that leaves."""


class KubeletNodeExecutor(NodeExecutor[KubeletNodeSpec]):
    """See `KubeletNodeSpec`."""

    kind: ClassVar[str] = "kubeletNode"
    spec: ClassVar[type[StepArgs]] = KubeletNodeSpec
    feeds: ClassVar[Mapping[str, tuple[str, ...]]] = feeds(KubeletNodeSpec)
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
            "version": runs(spec, found),
            "registered": not found.lost,
        }
        return Observation.present(attributes, {"cluster": found.cluster, **newer_kubelet(spec, found)})

    def verdict(self, spec: KubeletNodeSpec, observation: Observation) -> str | None:
        """Hosts that are something else are refused before anything is touched."""
        status = observation.attributes.get("status")
        if status == "kubeadm's":
            return "kubeadm has made this host a member of a cluster: run `kubeadm reset` there first"
        if status == "foreign":
            return f"this host is a node of another cluster ({observation.extra.get('cluster') or 'unnamed'})"
        return backwards(spec, observation)

    def review(self, steps: Sequence[Prospect[KubeletNodeSpec]]) -> Mapping[str, str]:
        """Refuses what would leave a cluster without an API server, or its etcd without a quorum."""
        found: dict[str, str] = {}
        for cluster in dict.fromkeys(step.spec.cluster for step in steps):
            standing = [
                Standing(
                    step.address,
                    step.host,
                    plane=step.spec.role == "control-plane",
                    leaves=step.action is ActionKind.DELETE,
                    joins=step.action is ActionKind.CREATE,
                    peers=step.spec.peers,
                    stores=step.spec.has_etcd,
                )
                for step in steps
                if step.spec.cluster == cluster
            ]
            found |= refusals(cluster, standing)
        return found

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
            with self.alone(context, spec):
                return upgrade(context, _upgrader(spec))
        return context.exchange(self.action(spec, request))

    def undo(self, spec: KubeletNodeSpec, prior: Observation) -> Action | None:
        """Clears the host itself; one that was a node before is left as it is."""
        if prior.presence is Presence.PRESENT:
            return None
        return Action(_reset(spec), timeout=600.0)

    def leaver(self, spec: KubeletNodeSpec) -> Leaver:
        plane = spec.role == "control-plane"
        return Leaver(
            spec.node_name,
            plane,
            spec.peers,
            spec.drain_timeout,
            None,
            spec.neighbours,
            None,
            stores=spec.has_etcd,
            reset=_reset(spec),
        )


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
    units, data = (*spec.units, *CONTROL_UNITS) if plane else spec.units, ""
    if plane and spec.has_etcd:
        units, data = (*units, "etcd"), "/var/lib/etcd/member"
    ending = _END.replace("UNITS", words(units)).replace("DATA", data)
    return scripts.cleared(f"socket={quote(spec.cri_socket)}\n{ending}")


def _upgrader(spec: KubeletNodeSpec) -> UnitUpgrader:
    version, drain = spec.version.removeprefix("v"), spec.drain_timeout
    return UnitUpgrader(spec.cluster, spec.node_name, spec.role, version, spec.peers, drain)


__all__ = ["KubeletNodeExecutor", "KubeletNodeSpec"]
