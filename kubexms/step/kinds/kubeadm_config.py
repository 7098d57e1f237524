"""The kind `kubeadmConfig`: what kubeadm keeps in a cluster for all of its nodes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field, JsonValue

from kubexms.runtime.protocol import Action, Payload, Record
from kubexms.step.contract import ChangeRequest, Disruption, OneByOne, StepArgs
from kubexms.step.kinds._kubeadm.documents import KubeadmArgs, documents
from kubexms.step.kinds._kubeadm.rendering import TOOLS, UPLOADS
from kubexms.step.kinds._kubeadm.survey import ADMIN, PATHS
from kubexms.step.kinds._kubeadm.uploaded import PARTS, ROLLOUT, compared
from kubexms.step.observation import Attributes, Observation, Presence
from kubexms.step.shell import quote

NO_CLUSTER = 3


class KubeadmConfigSpec(KubeadmArgs):
    """What kubeadm keeps in the cluster is as its configuration says. It runs on a control plane (`runOnce`).

    That is the ClusterConfiguration and the KubeletConfiguration, which joins and upgrades read; kube-proxy's
    configuration, whose change restarts kube-proxy node by node; and CoreDNS, which is installed where it is
    not there (its Corefile is left as it is). What it is to be is asked of kubeadm, by a dry run. Kubelets
    that run have their own file: see `kubeletConfig`.
    """

    needs: ClassVar[tuple[str, ...]] = ("InitConfiguration", "ClusterConfiguration", "KubeletConfiguration")

    config: str
    """kubeadm's configuration, as in `kubeadmNode`."""
    skip_phases: tuple[Annotated[str, Field(pattern=r"^[a-z][a-z/-]*$")], ...] = ()
    """As in `kubeadmNode`: with `addon/coredns` or `addon/kube-proxy` that part is left alone."""


class KubeadmConfigExecutor(OneByOne[KubeadmConfigSpec]):
    """See `KubeadmConfigSpec`."""

    kind: ClassVar[str] = "kubeadmConfig"
    spec: ClassVar[type[StepArgs]] = KubeadmConfigSpec
    identity: ClassVar[tuple[str, ...]] = ()
    feeds: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "config": (*PARTS, "content"),
        "skip_phases": ("kube-proxy", "coredns"),
    }
    can_undo: ClassVar[bool] = False
    example: ClassVar[str] = """\
- name: configuration
  kind: kubeadmConfig
  runOnce: true
  skipPhases: [addon/coredns]
  config: |
    apiVersion: kubeadm.k8s.io/v1beta2
    kind: InitConfiguration
    nodeRegistration: {name: cp1}
    localAPIEndpoint: {advertiseAddress: 192.0.2.11}
    ---
    apiVersion: kubeadm.k8s.io/v1beta2
    kind: ClusterConfiguration
    kubernetesVersion: v1.20.2
    ---
    apiVersion: kubelet.config.k8s.io/v1beta1
    kind: KubeletConfiguration
    maxPods: 60
    ---
    apiVersion: kubeproxy.config.k8s.io/v1alpha1
    kind: KubeProxyConfiguration
    mode: ipvs
"""

    def ask(self, spec: KubeadmConfigSpec) -> str:
        skipped = ",".join(phase for phase in spec.skip_phases if phase.startswith("addon/"))
        head = f"{PATHS}config={quote(spec.config)}\nskipped={quote(skipped)}\n"
        return head + ADMIN + _CLUSTER + TOOLS + UPLOADS + _ASK

    def observe(self, spec: KubeadmConfigSpec, record: Record) -> Observation:
        """Absent before the host is a control plane; unknown while the API does not answer."""
        text = record.text.decode("utf-8", "replace")
        if record.status == NO_CLUSTER:
            return Observation.absent()
        if record.status != 0:
            return Observation.unknown(text.strip() or "neither kubeadm nor the API says what there is")
        made, _, live = text.partition("\n===\n")
        try:
            objects: Any = json.loads(live) if live.strip() else {}
        except ValueError:
            return Observation.unknown("the API's answer cannot be read")
        attributes, before, after = compared(made, objects, _parts(spec))
        extra: dict[str, JsonValue] = {"content": before, "wanted": after} if before != after else {}
        return Observation.present(attributes, extra)

    def desired(self, spec: KubeadmConfigSpec) -> Attributes | None:
        return dict.fromkeys(_parts(spec), "as specified")

    def disruption(self, spec: KubeadmConfigSpec, request: ChangeRequest) -> Disruption:
        """kube-proxy is restarted; connections go on meanwhile."""
        there = request.before.presence is Presence.PRESENT
        return Disruption.RESTART if there and "kube-proxy" in request.changed else Disruption.NONE

    def action(self, spec: KubeadmConfigSpec, request: ChangeRequest) -> Action:
        skipped = ",".join(phase for phase in spec.skip_phases if phase.startswith("addon/"))
        script = f"{PATHS}skipped={quote(skipped)}\n{ADMIN}{TOOLS}{UPLOADS}"
        script += "".join(_PUT[part] for part in _parts(spec) if part in request.changed)
        return Action(script, {"config": Payload(data=spec.config.encode())}, timeout=1800.0)

    def summary(self, spec: KubeadmConfigSpec) -> str:
        return "of the cluster"

    def object_id(self, spec: KubeadmConfigSpec) -> str:
        """A cluster has one."""
        return hashlib.sha256(self.kind.encode()).hexdigest()[:32]


def _parts(spec: KubeadmConfigSpec) -> tuple[str, ...]:
    """What of it this configuration is about."""
    found = documents(spec.config)
    kinds = {document["kind"] for document in found}
    cluster = next(document for document in found if document["kind"] == "ClusterConfiguration")
    off = set(spec.skip_phases)
    if (cluster.get("dns") or {}).get("disabled"):
        off.add("addon/coredns")
    if "KubeProxyConfiguration" not in kinds or (cluster.get("proxy") or {}).get("disabled"):
        off.add("addon/kube-proxy")
    return tuple(part for part in PARTS if f"addon/{part}" not in off)


_CLUSTER = r"""
if [ -d /etc/kubernetes ] && [ ! -r /etc/kubernetes ]; then
  echo 'permission denied: /etc/kubernetes cannot be read'
  exit 1
fi
[ -r /etc/kubernetes/admin.conf ] || exit 3
"""

_ASK = r"""
made=$(printf %s "$config" | uploads) || { printf '%s\n' "$made"; exit 1; }
kubelet=$(printf '%s\n' "$made" | sed -n 's/^  name: \(kubelet-config.*\)/\1/p')
live=
# by their paths: to find out what a kind is called takes kubectl thirty questions
for path in api/v1/%/configmaps/kubeadm-config "api/v1/%/configmaps/$kubelet" api/v1/%/configmaps/kube-proxy \
    apis/apps/v1/%/daemonsets/kube-proxy apis/apps/v1/%/deployments/coredns; do
  if one=$(admin --request-timeout=10s get --raw "/${path%%/%*}/namespaces/kube-system${path#*%}" 2>&1); then
    live="$live${live:+,}$one"
    continue
  fi
  case $one in
  *NotFound*) ;;
  *) printf 'the API does not say: %s\n' "$(printf '%s\n' "$one" | tail -n 1)"; exit 1 ;;
  esac
done
printf '%s\n===\n{"items": [%s]}\n' "$made" "$live"
"""

_PUT: Mapping[str, str] = {
    "cluster": "payload config | kubeadm init phase upload-config kubeadm --config /dev/stdin\n",
    "kubelet": "payload config | kubeadm init phase upload-config kubelet --config /dev/stdin\n",
    "kube-proxy": ROLLOUT,
    "coredns": "payload config | kubeadm init phase addon coredns --config /dev/stdin\n",
}


__all__ = ["KubeadmConfigExecutor", "KubeadmConfigSpec"]
