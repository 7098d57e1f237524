"""CoreDNS as objects of the cluster, as kubeadm would bring it.

Form: kubeadm's manifests (cmd/kubeadm/app/phases/addons/dns/manifests.go).
"""

from __future__ import annotations

from collections.abc import Sequence

from kubexms.builder.binary.nodes import dns_address
from kubexms.builder.plans import ClusterPlan
from kubexms.builder.steps import step, task
from kubexms.config.yaml.writer import dump_yaml
from kubexms.spec.base import Json
from kubexms.spec.cluster import CONTROL_PLANE
from kubexms.spec.pipeline import TaskSpec

_COREFILE = """\
.:53 {{
    errors
    health {{
       lameduck 5s
    }}
    ready
    kubernetes {domain} in-addr.arpa ip6.arpa {{
       pods insecure
       fallthrough in-addr.arpa ip6.arpa
       ttl 30
    }}
    prometheus :9153
    forward . /etc/resolv.conf {{
       max_concurrent 1000
    }}
    cache 30
    loop
    reload
    loadbalance
}}
"""
_LABELS: dict[str, Json] = {"k8s-app": "kube-dns"}


def dns_tasks(plan: ClusterPlan) -> list[TaskSpec]:
    """Nothing where `dns.enabled` is false."""
    image = dns_image(plan)
    if not plan.spec.dns.enabled or image is None:
        return []
    manifest = "---\n".join(dump_yaml(item) for item in _objects(plan, image))
    return [task("dns", [CONTROL_PLANE], [step("coredns", "manifest", run_once=True, manifest=manifest)])]


def dns_image(plan: ClusterPlan) -> str | None:
    """The image that the directory of artifacts has, by its full name."""
    if plan.artifacts is None:
        return None
    found = (images[0] for images in plan.artifacts.images(control_plane=False))
    return next((image.ref or image.name for image in found if image.name == "coredns"), None)


def _objects(plan: ClusterPlan, image: str) -> Sequence[dict[str, Json]]:
    name: dict[str, Json] = {"name": "coredns", "namespace": "kube-system"}
    role: dict[str, Json] = {
        "name": "system:coredns",
        "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"},
    }
    rbac = "rbac.authorization.k8s.io"
    seen = ["endpoints", "services", "pods", "namespaces"]
    rules: list[Json] = [
        {"apiGroups": [""], "resources": [*seen], "verbs": ["list", "watch"]},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
    ]
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": name},
        {"apiVersion": f"{rbac}/v1", "kind": "ClusterRole", "metadata": {**role}, "rules": rules},
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {**role},
            "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": "system:coredns"},
            "subjects": [{"kind": "ServiceAccount", **name}],
        },
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": name,
            "data": {"Corefile": _COREFILE.format(domain=plan.spec.network.dns_domain)},
        },
        _deployment(name, image),
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {
                "name": "kube-dns",
                "namespace": "kube-system",
                "labels": {
                    **_LABELS,
                    "kubernetes.io/cluster-service": "true",
                    "kubernetes.io/name": "CoreDNS",
                },
            },
            "spec": {
                "clusterIP": dns_address(plan.spec),
                "selector": _LABELS,
                "ports": [
                    {"name": "dns", "port": 53, "protocol": "UDP", "targetPort": 53},
                    {"name": "dns-tcp", "port": 53, "protocol": "TCP", "targetPort": 53},
                    {"name": "metrics", "port": 9153, "protocol": "TCP", "targetPort": 9153},
                ],
            },
        },
    ]


def _deployment(name: dict[str, Json], image: str) -> dict[str, Json]:
    container: dict[str, Json] = {
        "name": "coredns",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "args": ["-conf", "/etc/coredns/Corefile"],
        "resources": {"limits": {"memory": "170Mi"}, "requests": {"cpu": "100m", "memory": "70Mi"}},
        "volumeMounts": [{"name": "config", "mountPath": "/etc/coredns", "readOnly": True}],
        "ports": [
            {"containerPort": 53, "name": "dns", "protocol": "UDP"},
            {"containerPort": 53, "name": "dns-tcp", "protocol": "TCP"},
            {"containerPort": 9153, "name": "metrics", "protocol": "TCP"},
        ],
        "livenessProbe": _probe("/health", 8080, initialDelaySeconds=60, failureThreshold=5),
        "readinessProbe": _probe("/ready", 8181),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"add": ["NET_BIND_SERVICE"], "drop": ["all"]},
            "readOnlyRootFilesystem": True,
        },
    }
    masters = ("node-role.kubernetes.io/master", "node-role.kubernetes.io/control-plane")
    spec: dict[str, Json] = {
        "priorityClassName": "system-cluster-critical",
        "serviceAccountName": "coredns",
        "dnsPolicy": "Default",
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [
            {"key": "CriticalAddonsOnly", "operator": "Exists"},
            {"key": masters[0], "effect": "NoSchedule"},
            {"key": masters[1], "effect": "NoSchedule"},
        ],
        "containers": [container],
        "volumes": [
            {
                "name": "config",
                "configMap": {"name": "coredns", "items": [{"key": "Corefile", "path": "Corefile"}]},
            }
        ],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {**name, "labels": _LABELS},
        "spec": {
            "replicas": 2,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}},
            "selector": {"matchLabels": _LABELS},
            "template": {"metadata": {"labels": _LABELS}, "spec": spec},
        },
    }


def _probe(path: str, port: int, **more: int) -> dict[str, Json]:
    return {"httpGet": {"path": path, "port": port, "scheme": "HTTP"}, **more}
