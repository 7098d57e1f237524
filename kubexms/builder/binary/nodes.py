"""What makes a host a node without kubeadm: kubelet and kube-proxy as units, and the node itself."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Any

from kubexms.builder.binary.certificates import CA, PKI, holders, node_certificates
from kubexms.builder.binary.credentials import DIRECTORY, kubeconfig_text, node_kubeconfig
from kubexms.builder.binary.units import unit
from kubexms.builder.plans import ClusterPlan
from kubexms.builder.runtime import merged
from kubexms.builder.steps import NAME, NODE_ADDRESS, NODE_NAME, step, task
from kubexms.builder.system import names_by_address
from kubexms.config.yaml.writer import dump_yaml
from kubexms.spec.cluster import CONTROL_PLANE, WORKER, ClusterSpec
from kubexms.spec.pipeline import StepSpec, TaskSpec

RUNTIME_FLAG_UNTIL = (1, 26)
"""Up to this minor version the container runtime is named by flags, from then on in the configuration."""
MASTER_UNTIL = (1, 23)
"""Up to this minor version control planes are tainted as masters."""
SOCKET = "unix:///run/containerd/containerd.sock"


def worker_tasks(plan: ClusterPlan) -> list[TaskSpec]:
    """The nodes that only run pods."""
    if not plan.topology.workers:
        return []
    return [task("member", [WORKER], member_steps(plan, WORKER))]


def member_steps(plan: ClusterPlan, role: str) -> list[StepSpec]:
    """Credentials, configuration and units; the node; then what has its units restarted."""
    spec, proxy = plan.spec, plan.spec.kube_proxy.enabled
    api = f"https://{plan.endpoint.text}"
    steps = [
        *node_certificates(plan),
        node_kubeconfig("kubelet-conf", "kubelet", plan.name, api),
        _file("kubelet-configuration", "kubelet.yaml", _kubelet_configuration(plan)),
        step("kubelet-unit", "systemdUnit", unit="kubelet", content=_kubelet(plan, role)),
    ]
    units = ["kubelet"]
    if proxy:
        units.append("kube-proxy")
        content = unit(
            "kube-proxy",
            "Services of Kubernetes",
            {"config": f"{DIRECTORY}/kube-proxy.yaml", "hostname-override": NODE_NAME},
            version=str(plan.version),
        )
        steps += [
            node_kubeconfig("kube-proxy-conf", "kube-proxy", plan.name, api),
            _file("kube-proxy-configuration", "kube-proxy.yaml", _proxy_configuration(spec)),
            step("kube-proxy-unit", "systemdUnit", unit="kube-proxy", content=content),
        ]
    steps.append(
        step(
            "node",
            "kubeletNode",
            cluster=plan.name,
            node_name=NAME,
            role=role,
            version=str(plan.version),
            peers=holders(plan),
            neighbours=plan.neighbours,
            # its member of etcd has a step of its own, here or elsewhere
            has_etcd=False if role == CONTROL_PLANE else None,
            units=units,
        )
    )
    for name in units:
        # for its kubeconfig it is restarted by who keeps that, in the module `clients`
        sources = [f"{name}-{part}" for part in ("certificate", "configuration", "unit")]
        steps.append(step(name, "service", unit=name, enabled=True, running=True, restart_on=sources))
    return steps


def endpoint_step(plan: ClusterPlan) -> StepSpec:
    """By what kubelet and kube-proxy reach the API, when every API server has a certificate for it."""
    proxy = plan.spec.kube_proxy.enabled
    files = ["kubelet", *(["kube-proxy"] if proxy else [])]
    api = f"https://{plan.endpoint.text}"
    return step(
        "endpoint",
        "nodeEndpoint",
        node_name=NAME,
        endpoint=plan.endpoint.text,
        kubeconfigs={f"{file}.conf": kubeconfig_text(file, plan.name, api, file) for file in files},
        proxy_unit="kube-proxy" if proxy else None,
        hosts_file=names_by_address(plan) or None,
    )


def dns_address(spec: ClusterSpec) -> str:
    """Where pods ask for names: the tenth address of the Services."""
    return str(IPv4Network(spec.network.service_cidr)[10])


def _file(name: str, file: str, document: dict[str, Any]) -> StepSpec:
    return step(name, "file", path=f"{DIRECTORY}/{file}", content=dump_yaml(document), mode="0644")


def _kubelet(plan: ClusterPlan, role: str) -> str:
    """Without the version: a kubelet of another one is started by the node's step, once it is drained."""
    flags = {
        "config": f"{DIRECTORY}/kubelet.yaml",
        "kubeconfig": f"{DIRECTORY}/kubelet.conf",
        "hostname-override": NODE_NAME,
        "node-ip": NODE_ADDRESS,
    }
    if plan.version.release <= RUNTIME_FLAG_UNTIL:
        flags |= {"container-runtime": "remote", "container-runtime-endpoint": SOCKET}
    if role == CONTROL_PLANE and not plan.spec.kubernetes.schedulable_control_planes:
        name = "master" if plan.version.release <= MASTER_UNTIL else "control-plane"
        flags["register-with-taints"] = f"node-role.kubernetes.io/{name}=:NoSchedule"
    return unit(
        "kubelet",
        "kubelet: The Kubernetes Node Agent",
        {**flags, **plan.spec.kubernetes.kubelet.extra_args},
        after="network-online.target containerd.service",
    )


def _kubelet_configuration(plan: ClusterPlan) -> dict[str, Any]:
    spec = plan.spec
    base: dict[str, Any] = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": f"{CA}.crt"},
        },
        "authorization": {"mode": "Webhook"},
        "cgroupDriver": "systemd",
        "clusterDomain": spec.network.dns_domain,
        "clusterDNS": [dns_address(spec)],
        "tlsCertFile": f"{PKI}/kubelet.crt",
        "tlsPrivateKeyFile": f"{PKI}/kubelet.key",
    }
    if plan.version.release > RUNTIME_FLAG_UNTIL:
        base["containerRuntimeEndpoint"] = SOCKET
    return merged(base, spec.kubernetes.kubelet.config)


def _proxy_configuration(spec: ClusterSpec) -> dict[str, Any]:
    base = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": f"{DIRECTORY}/kube-proxy.conf"},
        "clusterCIDR": spec.network.pod_cidr,
    }
    return merged(base, spec.kube_proxy.config)
