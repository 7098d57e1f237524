"""The kind `kubeadmConfig`: what kubeadm keeps in a cluster for all of its nodes."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field, JsonValue

from kubexms.runtime.protocol import Action, Payload, Record
from kubexms.step.contract import ChangeRequest, Disruption, StepArgs
from kubexms.step.kinds._kubeadm.basis import BASIS, AsksKubeadm
from kubexms.step.kinds._kubeadm.documents import KubeadmArgs, documents
from kubexms.step.kinds._kubeadm.objects import GET_ALL, SETTLED
from kubexms.step.kinds._kubeadm.rendering import TOOLS, UPLOADS
from kubexms.step.kinds._kubeadm.survey import ADMIN, PATHS
from kubexms.step.kinds._kubeadm.uploaded import PARTS, ROLLOUT, compared, late
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


class KubeadmConfigExecutor(AsksKubeadm[KubeadmConfigSpec]):
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
        head = f"{PATHS}config={quote(spec.config)}\nknown={quote(spec._basis)}\nskipped={quote(skipped)}\n"
        kubelets = f"kubelets={quote(' '.join(_kubelet_maps(spec)))}\n"
        return head + kubelets + ADMIN + GET_ALL + SETTLED + _CLUSTER + TOOLS + UPLOADS + BASIS + _ASK

    def observe(self, spec: KubeadmConfigSpec, record: Record) -> Observation:
        """Absent before the host is a control plane; unknown while the API does not answer."""
        text = record.text.decode("utf-8", "replace")
        if record.status == NO_CLUSTER:
            return Observation.absent()
        if record.status != 0:
            return Observation.unknown(text.strip() or "neither kubeadm nor the API says what there is")
        basis, _, rest = text.partition("\n")
        if not basis.startswith("basis "):
            basis, rest = "", text
        told: dict[str, JsonValue] = {"basis": basis.removeprefix("basis ")} if basis else {}
        if basis and not rest.strip():
            return Observation.present(dict.fromkeys(_parts(spec), "as specified"), told)
        made, _, live = rest.partition("\n===\n")
        try:
            objects: Any = json.loads(live) if live.strip() else {}
        except ValueError:
            return Observation.unknown("the API's answer cannot be read")
        attributes, before, after = compared(made, objects, _parts(spec))
        if attributes != self.desired(spec):
            told = {"content": before, "wanted": after} if before != after else {}
        if "kube-proxy" in attributes and (said := late(objects)):
            told["notes"] = [said]
        return Observation.present(attributes, told)

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


def _kubelet_maps(spec: KubeadmConfigSpec) -> tuple[str, ...]:
    """The names that the kubelet's ConfigMap may have; older ones had the version in them. Empty: unknown."""
    version = re.match(r"v(\d+\.\d+)\.", _cluster(spec).get("kubernetesVersion") or "")
    return ("kubelet-config", f"kubelet-config-{version[1]}") if version else ()


def _cluster(spec: KubeadmConfigSpec) -> dict[str, Any]:
    return next(one for one in documents(spec.config) if one["kind"] == "ClusterConfiguration")


def _parts(spec: KubeadmConfigSpec) -> tuple[str, ...]:
    """What of it this configuration is about."""
    found = documents(spec.config)
    kinds = {document["kind"] for document in found}
    cluster = _cluster(spec)
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
made=
uploaded() { made=$(printf %s "$config" | uploads) || { printf '%s\n' "$made"; exit 1; }; }
if [ -z "$kubelets" ]; then
  uploaded
  kubelets=$(printf '%s\n' "$made" | sed -n 's/^  name: \(kubelet-config.*\)/\1/p')
fi
set -- ConfigMap/kube-system/kubeadm-config ConfigMap/kube-system/kube-proxy \
  DaemonSet/kube-system/kube-proxy Deployment/kube-system/coredns
for n in $kubelets; do set -- "$@" "ConfigMap/kube-system/$n"; done
live=$(get_all json "$@") || { printf 'the API does not say: %s\n' "$live"; exit 1; }
# nodes that are to get another kube-proxy yet are told of in every plan
if printf '%s\n' "$live" | awk '/"currentNumberScheduled":/ { there = $2 + 0 }
    /"updatedNumberScheduled":/ { new = $2 + 0 } END { exit there == new }'; then late=1; else late=; fi
live=$(printf '%s\n' "$live" | settled)
now=$(basis)
[ -z "$late" ] || now=
[ -z "$now" ] || echo "basis $now"
[ -z "$now" ] || [ "$now" != "$known" ] || exit 0
[ -n "$made" ] || uploaded
printf '%s\n===\n%s\n' "$made" "$live"
"""

_PUT: Mapping[str, str] = {
    "cluster": "payload config | kubeadm init phase upload-config kubeadm --config /dev/stdin\n",
    "kubelet": "payload config | kubeadm init phase upload-config kubelet --config /dev/stdin\n",
    "kube-proxy": ROLLOUT,
    "coredns": "payload config | kubeadm init phase addon coredns --config /dev/stdin\n",
}


__all__ = ["KubeadmConfigExecutor", "KubeadmConfigSpec"]
