"""What cannot change once a cluster is there: asked of its members, so that a plan refuses it."""

from __future__ import annotations

from kubexms.builder.plans import ClusterPlan
from kubexms.builder.steps import step
from kubexms.spec.pipeline import StepSpec

MANIFESTS = "/etc/kubernetes/manifests"


def fixed_on_control_planes(plan: ClusterPlan) -> list[StepSpec]:
    """The version, the networks and the endpoint, as the files say that kubeadm has written."""
    minor = ".".join(map(str, plan.version.release))
    manager, network = f"{MANIFESTS}/kube-controller-manager.yaml", plan.spec.network
    return [
        _says(
            "version",
            f"{MANIFESTS}/kube-apiserver.yaml",
            f"kube-apiserver:v{minor}.[0-9]*",
            f"this control plane does not run Kubernetes {minor}; kubexms upgrades within a minor version "
            "only: put the version back",
        ),
        _says("pods", manager, f"--cluster-cidr={network.pod_cidr}", _moved("network.podCidr")),
        _says(
            "services",
            manager,
            f"--service-cluster-ip-range={network.service_cidr}",
            _moved("network.serviceCidr"),
        ),
        _says(
            "endpoint",
            "/etc/kubernetes/admin.conf",
            f"server: https://{plan.endpoint.text}",
            _moved("the endpoint"),
        ),
    ]


def fixed_on_workers(plan: ClusterPlan) -> list[StepSpec]:
    """The endpoint; a control plane's kubelet may use the API server beside it instead."""
    server = f"server: https://{plan.endpoint.text}"
    return [_says("endpoint", "/etc/kubernetes/kubelet.conf", server, _moved("the endpoint"))]


def _says(name: str, file: str, line_end: str, message: str) -> StepSpec:
    pattern = line_end.replace(".", "\\.")  # nothing else in these texts means something to grep
    check = f"test ! -e {file} || grep -qe '{pattern}$' {file}\n"
    return step(name, "assert", check=check, message=message)


def _moved(field: str) -> str:
    return f"this host's cluster was made with another value of {field}, which cannot change: put it back"
