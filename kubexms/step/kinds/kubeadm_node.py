"""The kind `kubeadmNode`: a host that is a member of a cluster that kubeadm makes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, JsonValue, model_validator
from pydantic_core import PydanticCustomError

from kubexms.runtime.protocol import Action, Outcome, Record
from kubexms.step.contract import (
    ActionKind,
    ChangeRequest,
    Prospect,
    StepArgs,
    StepContext,
)
from kubexms.step.kinds._fields import AbsolutePath
from kubexms.step.kinds._kubeadm import scripts, skew
from kubexms.step.kinds._kubeadm.documents import advertised, cri_socket, external_etcd, holds
from kubexms.step.kinds._kubeadm.joining import Joiner, enter
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
from kubexms.step.kinds._kubeadm.survey import Survey, read
from kubexms.step.kinds._kubeadm.upgrading import Upgrader, upgrade
from kubexms.step.observation import Observation, Presence
from kubexms.step.shell import quote


class KubeadmNodeSpec(NodeArgs):
    """A host that is a member of a cluster, as a control plane or a worker, by kubeadm.

    The first of `peers` begins the cluster, and only if every other one answers and is no member;
    everybody else joins through a control plane whose API server is ready. Tokens, the key of the
    certificates and the digest of the CA are made for each join and kept nowhere.

    A host on which kubeadm was cut off is reset and set up anew; the plan shows that as a replacement.
    One that belongs to another cluster is an error of the plan. Taken away, a node is drained,
    taken out of etcd, reset and deleted, each through another control plane.
    """

    role: Literal["control-plane", "worker"]
    """What the node is. Another role is a replacement."""
    version: str = Field(pattern=r"^v?1\.\d+\.\d+\S*$")
    """The version of Kubernetes, which kubeadm and the kubelet on the host must have: "1.20.2". Another one
    is an upgrade: by kubeadm, which allows one minor version at a time, then the node is drained, its kubelet
    started anew, and the node takes pods again unless a person had cordoned it."""
    endpoint: str = Field(pattern=r"^(\[[0-9A-Fa-f:]+\]|[^\s:/\[\]]+):\d{1,5}$")
    """Host and port of the API, which nodes join by: "k8s.example:6443"."""
    peers: tuple[str, ...] = Field(min_length=1)
    """The cluster's control planes, by their names in the inventory. The first one begins it."""
    config: str = ""
    """kubeadm's configuration (InitConfiguration, ClusterConfiguration, …). Control planes need it."""
    join_config: str
    """kubeadm's JoinConfiguration, without `discovery` and `certificateKey`: these are made for each join."""
    skip_phases: tuple[Annotated[str, Field(pattern=r"^[a-z][a-z/-]*$")], ...] = ()
    """Phases that beginning the cluster leaves out: `addon/kube-proxy`."""
    authority_days: int | None = Field(default=None, ge=1, le=36500)
    """How long the authorities of a new cluster last (Kubernetes, etcd, front proxy): openssl makes them
    before kubeadm begins, which takes over what it finds. Without it kubeadm makes them."""
    kubelet_package: str = Field(default="", pattern=r"^$|^[A-Za-z0-9][A-Za-z0-9+._-]*=[A-Za-z0-9.+~:^_-]+$")
    """The package that another version of the kubelet comes from, with that version: `kubelet=1.31.4`. It is
    installed by apt or dnf when the node has been drained, as packages restart the kubelet. Without it the
    kubelet on the host is that of `version` already."""
    endpoint_pod: str = ""
    """A static pod that brings the endpoint's address to this host, for a control plane: it is written to
    `/etc/kubernetes/manifests/kube-vip.yaml` before kubeadm begins, which goes by the endpoint."""
    first_endpoint_pod: str = ""
    """The same while the cluster is begun. Default: `endpointPod`."""
    before_upgrade: AbsolutePath | None = None
    """A program on the host that must succeed before the cluster gets another version: a snapshot of etcd.
    The control plane that begins the upgrade runs it."""
    before_upgrade_on: tuple[str, ...] = ()
    """Hosts that have this program instead, by their names in the inventory: one of them runs it, the first
    that can."""

    @model_validator(mode="after")
    def _configured(self) -> Self:
        if self.role == "control-plane" and not self.config:
            raise PydanticCustomError("kubeadm_config", "a control plane needs 'config'")
        if self.config:
            holds(self.config, "ClusterConfiguration")
        holds(self.join_config, "JoinConfiguration")
        return self


class KubeadmNodeExecutor(NodeExecutor[KubeadmNodeSpec]):
    """See `KubeadmNodeSpec`."""

    kind: ClassVar[str] = "kubeadmNode"
    spec: ClassVar[type[StepArgs]] = KubeadmNodeSpec
    feeds: ClassVar[Mapping[str, tuple[str, ...]]] = feeds(KubeadmNodeSpec)
    example: ClassVar[str] = """\
- name: node
  kind: kubeadmNode
  cluster: prod
  nodeName: w1
  role: worker
  version: "1.20.2"
  endpoint: k8s.example:6443
  peers: [cp1]
  joinConfig: |
    apiVersion: kubeadm.k8s.io/v1beta2
    kind: JoinConfiguration
    nodeRegistration: {name: w1, criSocket: /run/containerd/containerd.sock}
"""

    def observe(self, spec: KubeadmNodeSpec, record: Record) -> Observation:
        """A host without any trace of kubeadm is absent; whose member it is comes from its own files."""
        text = record.text.decode("utf-8", "replace")
        if record.status != 0:
            return Observation.unknown(text.strip() or "the host does not tell whose member it is")
        found = read(text)
        if found.status == "absent":
            return Observation.absent()
        attributes: dict[str, JsonValue] = {
            "status": "foreign" if _foreign(spec, found) else found.status,
            "role": found.found_role,
            "node": found.node or spec.node_name,
            "version": runs(spec, found),
            "registered": found.status == "member" and not found.lost,
        }
        extra: dict[str, JsonValue] = {"ca": found.ca, "server": found.server, "cluster": found.cluster}
        extra |= newer_kubelet(spec, found)
        if found.stranger:
            extra["stranger"] = True
        if found.unfinished:
            extra["notes"] = [f"kubeadm {found.unfinished} was cut off on this host"]
        return Observation.present(attributes, extra)

    def replaces(self, spec: KubeadmNodeSpec, before: Observation, changed: frozenset[str]) -> bool:
        """All but another version and a node that the API has lost: a join cannot go on from the middle."""
        return bool(changed - {"registered", "version"})

    def verdict(self, spec: KubeadmNodeSpec, observation: Observation) -> str | None:
        """Hosts that are not this cluster's are refused before anything is touched."""
        status, extra = observation.attributes.get("status"), observation.extra
        if status == "foreign":
            whose = (
                f"cluster {extra['cluster']}" if extra.get("cluster") else f"the API {extra.get('server')}"
            )
            if extra.get("stranger"):
                whose = "it trusts another CA than that of the API"
            return (
                f"this host is a member of another cluster ({whose}), not of {spec.cluster} "
                f"(https://{spec.endpoint}); if it may leave that one, run `kubeadm reset` there first"
            )
        if old := backwards(spec, observation):
            return old
        if status == "broken":
            return (
                "this host holds parts of a control plane, and files of it are missing: restore them, or run "
                "`kubeadm reset` there if its data is of no use"
            )
        if status == "leftover":
            return "/var/lib/etcd holds the data of a control plane that is no more: move it away first"
        return None

    def review(self, steps: Sequence[Prospect[KubeadmNodeSpec]]) -> Mapping[str, str]:
        """Refuses what would leave a cluster without an API server, its etcd without a quorum, or a kubelet
        newer than an API server."""
        return {**versions_refused(steps), **removals_refused(steps)}

    def action(self, spec: KubeadmNodeSpec, request: ChangeRequest) -> Action:
        """For the first control plane, and for a node that the API has lost; `run` decides about the rest."""
        if request.action is ActionKind.UPDATE and request.changed <= {"registered"}:
            return Action(_REGISTER.replace("NODE", quote(spec.node_name)))
        if request.action is ActionKind.UPDATE:
            return _upgrader(spec).configured()
        return _joiner(spec).init()

    def run(self, context: StepContext, spec: KubeadmNodeSpec, request: ChangeRequest) -> Outcome:
        """Ask the control planes, then begin the cluster or join it."""
        if request.action is ActionKind.UPDATE and request.changed <= {"registered"}:
            return context.exchange(self.action(spec, request))
        if spec.role == "worker" and request.action is not ActionKind.UPDATE:
            return self._bring_about(context, spec, request)
        # etcd takes one change of its members at a time, and the pods of a node that is drained need another
        with self.alone(context, spec):
            return self._bring_about(context, spec, request)

    @staticmethod
    def _bring_about(context: StepContext, spec: KubeadmNodeSpec, request: ChangeRequest) -> Outcome:
        if request.action is not ActionKind.UPDATE:
            return enter(context, _joiner(spec))
        return upgrade(context, _upgrader(spec))

    def undo(self, spec: KubeadmNodeSpec, prior: Observation) -> Action | None:
        """Clears the host itself; one that was a member before is left as it is."""
        if prior.presence is Presence.PRESENT and prior.attributes.get("status") == "member":
            return None
        return Action(scripts.reset(cri_socket(spec.join_config)), timeout=600.0)

    def leaver(self, spec: KubeadmNodeSpec) -> Leaver:
        return Leaver(
            spec.node_name,
            spec.role == "control-plane",
            spec.peers,
            spec.drain_timeout,
            cri_socket(spec.join_config),
            spec.neighbours,
            advertised(spec.join_config),
            stores=not external_etcd(spec.config),
        )


_REGISTER = """\
systemctl restart kubelet
n=0
until kubectl --cache-dir /dev/null/no --kubeconfig /etc/kubernetes/kubelet.conf --request-timeout=5s \
    get node NODE >/dev/null 2>&1; do
    n=$((n + 1))
    [ "$n" -lt 60 ] || break
    sleep 1
done
"""


def removals_refused(steps: Sequence[Prospect[KubeadmNodeSpec]]) -> dict[str, str]:
    """Cluster by cluster; see `quorum.refusals`."""
    found: dict[str, str] = {}
    for cluster in dict.fromkeys(step.spec.cluster for step in steps):
        standing = [
            Standing(
                step.address,
                step.host,
                plane=_plane(step),
                leaves=step.action is ActionKind.DELETE,
                joins=step.action is ActionKind.CREATE,
                peers=step.spec.peers,
                stores=not external_etcd(step.spec.config),
                endpoint=advertised(step.spec.join_config)
                == step.spec.endpoint.rpartition(":")[0].strip("[]"),
            )
            for step in steps
            if step.spec.cluster == cluster
        ]
        found |= refusals(cluster, standing)
    return found


def versions_refused(steps: Sequence[Prospect[KubeadmNodeSpec]]) -> dict[str, str]:
    """Cluster by cluster; see `skew.refusals`."""
    found: dict[str, str] = {}
    for cluster in dict.fromkeys(step.spec.cluster for step in steps):
        nodes = [
            skew.Course(
                step.address,
                step.host,
                plane=_plane(step),
                joins=step.before.presence is Presence.ABSENT
                or step.before.attributes.get("status") == "partial",
                before=str(step.before.attributes.get("version", "")),
                after=step.spec.version.removeprefix("v"),
                peers=step.spec.peers,
            )
            for step in steps
            if step.spec.cluster == cluster and step.action is not ActionKind.DELETE
        ]
        found |= skew.refusals(cluster, nodes)
    return found


def _plane(step: Prospect[KubeadmNodeSpec]) -> bool:
    """What the host is, or what it becomes."""
    if step.before.presence is Presence.PRESENT and step.before.attributes.get("status") == "member":
        return step.before.attributes.get("role") == "control-plane"
    return step.spec.role == "control-plane"


def _foreign(spec: KubeadmNodeSpec, found: Survey) -> bool:
    """Whether the host says that it is another cluster's: by the CA, its own record, or its kubelet's API."""
    if found.stranger:
        return True
    if found.cluster:
        return found.cluster != spec.cluster
    return found.status == "member" and found.server != f"https://{spec.endpoint}"


def _upgrader(spec: KubeadmNodeSpec) -> Upgrader:
    version, drain = spec.version.removeprefix("v"), spec.drain_timeout
    before = (spec.before_upgrade, spec.before_upgrade_on)
    who = (spec.cluster, spec.node_name, spec.role)
    return Upgrader(*who, version, spec.peers, drain, *before, spec.kubelet_package)


def _joiner(spec: KubeadmNodeSpec) -> Joiner:
    return Joiner(
        spec.cluster,
        spec.node_name,
        spec.role,
        spec.version,
        spec.endpoint,
        spec.peers,
        spec.config,
        spec.join_config,
        spec.skip_phases,
        spec.authority_days,
        spec.endpoint_pod,
        spec.first_endpoint_pod,
        spec.kubelet_package,
    )


__all__ = ["KubeadmNodeExecutor", "KubeadmNodeSpec"]
