"""The kind `publishedEndpoint`: what a cluster itself says of where its API is reached."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, ClassVar

import yaml
from pydantic import JsonValue

from kubexms.runtime.protocol import Action, Outcome, Payload, Record
from kubexms.step.contract import ChangeRequest, Disruption, OneByOne, StepArgs, StepContext
from kubexms.step.kinds._kubeadm.documents import KubeadmArgs, documents
from kubexms.step.kinds._kubeadm.objects import GET_ALL
from kubexms.step.kinds._kubeadm.proxy import ROLLED
from kubexms.step.kinds._kubeadm.serving import plain
from kubexms.step.kinds._kubeadm.survey import ADMIN, PATHS
from kubexms.step.observation import Attributes, Observation
from kubexms.step.shell import quote

NO_CLUSTER = 3
PENDING = "kubexms.io/not-restarted"
"""An annotation of kube-proxy's ConfigMap while its pods may still have what it was before."""


class PublishedEndpointSpec(KubeadmArgs):
    """What a cluster says of its endpoint is what its configuration says.

    That is the configuration for those who join (`kubeadm-config`), what they are told before they have
    credentials (`cluster-info`, if it is there), and kube-proxy's kubeconfig, after a change of which its
    pods are started anew, node by node. The step runs on one control plane (`runOnce`).
    """

    config: str
    """kubeadm's configuration, as in `kubeadmNode`, with a `controlPlaneEndpoint`."""


class PublishedEndpointExecutor(OneByOne[PublishedEndpointSpec]):
    """See `PublishedEndpointSpec`."""

    kind: ClassVar[str] = "publishedEndpoint"
    spec: ClassVar[type[StepArgs]] = PublishedEndpointSpec
    identity: ClassVar[tuple[str, ...]] = ()
    feeds: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "config": ("kubeadmConfig", "certSANs", "clusterInfo", "kubeProxy")
    }
    can_undo: ClassVar[bool] = False
    example: ClassVar[str] = """\
- name: published
  kind: publishedEndpoint
  runOnce: true
  config: |
    apiVersion: kubeadm.k8s.io/v1beta2
    kind: ClusterConfiguration
    kubernetesVersion: v1.20.2
    controlPlaneEndpoint: k8s.example.com:6443
"""

    def ask(self, spec: PublishedEndpointSpec) -> str:
        return f"{PATHS}{ADMIN}{GET_ALL}{_ASK}"

    def observe(self, spec: PublishedEndpointSpec, record: Record) -> Observation:
        """Absent before the host is a control plane; unknown while its API server does not answer."""
        text = record.text.decode("utf-8", "replace")
        if record.status == NO_CLUSTER:
            return Observation.absent()
        if record.status != 0:
            return Observation.unknown(text.strip() or "the API server of this host does not answer")
        parts: dict[str, tuple[str, str]] = {}
        for part in f"\n{text}".split("\n@ ")[1:]:
            head, _, body = part.partition("\n")
            name, _, mark = head.partition(" ")
            parts[name] = mark.strip(), body
        cluster = _mapping(parts.get("kubeadm-config", ("", ""))[1])
        mark, proxy = parts.get("kube-proxy", ("", ""))
        served = _server(proxy)
        return Observation.present(
            {
                "kubeadmConfig": str(cluster.get("controlPlaneEndpoint") or ""),
                "certSANs": _names(cluster),
                "clusterInfo": _server(parts.get("cluster-info", ("", ""))[1]),
                "kubeProxy": f"{served} (not restarted)" if served and mark else served,
            }
        )

    def desired(self, spec: PublishedEndpointSpec) -> Attributes | None:
        cluster = _cluster(spec.config)
        endpoint = str(cluster.get("controlPlaneEndpoint") or "")
        url = f"https://{endpoint}"
        return {
            "kubeadmConfig": endpoint,
            "certSANs": _names(cluster),
            "clusterInfo": url,
            "kubeProxy": url,
        }

    def same(self, name: str, desired: JsonValue, observed: JsonValue) -> bool:
        """A cluster may do without `cluster-info` and kube-proxy."""
        return desired == observed or (observed is None and name in ("clusterInfo", "kubeProxy"))

    def disruption(self, spec: PublishedEndpointSpec, request: ChangeRequest) -> Disruption:
        found = request.before.attributes.get("kubeProxy")
        return Disruption.RESTART if found and "kubeProxy" in request.changed else Disruption.NONE

    def action(self, spec: PublishedEndpointSpec, request: ChangeRequest) -> Action:
        endpoint = str(_cluster(spec.config).get("controlPlaneEndpoint") or "")
        script = f"{PATHS}{ADMIN}url={quote(f'https://{endpoint}')}\n{_SERVER}"
        if request.changed & {"kubeadmConfig", "certSANs"}:
            script += _UPLOAD
        if "clusterInfo" in request.changed:
            script += "server kube-public cluster-info\n"
        if "kubeProxy" in request.changed:
            script += _PROXY
        return Action(script, {"config": Payload(data=spec.config.encode())}, timeout=900.0)

    def run(self, context: StepContext, spec: PublishedEndpointSpec, request: ChangeRequest) -> Outcome:
        """Not while another step restarts an API server."""
        with context.alone("control plane"):
            return context.exchange(self.action(spec, request))

    def summary(self, spec: PublishedEndpointSpec) -> str:
        return "the cluster's endpoint"

    def object_id(self, spec: PublishedEndpointSpec) -> str:
        """A cluster has one."""
        return hashlib.sha256(self.kind.encode()).hexdigest()[:32]


def _cluster(config: str) -> Mapping[str, Any]:
    return next(document for document in documents(config) if document["kind"] == "ClusterConfiguration")


def _mapping(text: str) -> Mapping[str, Any]:
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError:
        return {}
    return found if isinstance(found, dict) else {}


def _names(cluster: Mapping[str, Any]) -> list[JsonValue]:
    server = cluster.get("apiServer")
    given = server.get("certSANs") if isinstance(server, dict) else None
    return [*sorted({plain(str(name)) for name in given})] if isinstance(given, list) else []


def _server(text: str) -> str | None:
    """The URL in a kubeconfig; None if there is none."""
    clusters = _mapping(text).get("clusters")
    if not isinstance(clusters, list) or not clusters or not isinstance(clusters[0], dict):
        return None
    cluster = clusters[0].get("cluster")
    server = cluster.get("server") if isinstance(cluster, dict) else None
    return server if isinstance(server, str) else None


_ASK = r"""
[ -e /etc/kubernetes/admin.conf ] || exit 3
[ -r /etc/kubernetes/admin.conf ] || { echo 'permission denied: /etc/kubernetes/admin.conf'; exit 1; }
t='{range .items[*]}{"\n@ "}{.metadata.name}{" "}{.metadata.annotations.kubexms\.io/not-restarted}{"\n"}'
t=$t'{.data.ClusterConfiguration}{.data.kubeconfig\.conf}{.data.kubeconfig}{end}'
said=$(get_all "jsonpath=$t" ConfigMap/kube-system/kubeadm-config ConfigMap/kube-system/kube-proxy \
  ConfigMap/kube-public/cluster-info) || { printf '%s\n' "$said"; exit 1; }
printf '%s\n' "$said"
"""

_SERVER = r"""
# server NAMESPACE NAME: the kubeconfig in a ConfigMap names $url; again if somebody has written meanwhile
server() {
  n=0
  until admin -n "$1" get configmap "$2" -o yaml | sed "s|^\( *server: \)https://.*|\1$url|" |
      admin -n "$1" replace -f - >/dev/null; do
    n=$((n + 1))
    [ "$n" -lt 10 ] || return 1
    sleep 1
  done
}
"""

# The endpoint of before may be gone already: kubeadm goes by the API server of this host.
_UPLOAD = r"""
own=$(mktemp -d)
trap 'rm -rf "$own"' EXIT
here=$(sed -n 's/.*kube-apiserver\.advertise-address\.endpoint: *//p' \
  /etc/kubernetes/manifests/kube-apiserver.yaml)
(umask 077; sed "s|^\( *server: \).*|\1https://$here|" /etc/kubernetes/admin.conf >"$own/admin.conf")
payload config | kubeadm init phase upload-config kubeadm --kubeconfig "$own/admin.conf" --config /dev/stdin
"""

# Marked before it is changed: cut off anywhere in between, the next look sees that pods have the former one.
_PROXY = (
    ROLLED
    + r"""
p() { admin -n kube-system "$@"; }
p annotate configmap kube-proxy --overwrite PENDING=true >/dev/null
server kube-system kube-proxy
if [ -n "$(p get daemonset kube-proxy --ignore-not-found -o name)" ]; then
  p rollout restart daemonset kube-proxy >/dev/null
  rolled 600
fi
p annotate configmap kube-proxy PENDING- >/dev/null
"""
).replace("PENDING", PENDING)


__all__ = ["PublishedEndpointExecutor", "PublishedEndpointSpec"]
