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
        step(
            "type",
            "assert",
            check="test ! -e /etc/systemd/system/kube-apiserver.service\n",
            message="this control plane was made without kubeadm: put kubernetes.type back to binary",
        ),
        says(
            "version",
            f"{MANIFESTS}/kube-apiserver.yaml",
            f"kube-apiserver:v{minor}.[0-9]*",
            f"this control plane does not run Kubernetes {minor}; kubexms upgrades within a minor version "
            "only: put the version back",
        ),
        says("pods", manager, f"--cluster-cidr={network.pod_cidr}", moved("network.podCidr")),
        says(
            "services",
            manager,
            f"--service-cluster-ip-range={network.service_cidr}",
            moved("network.serviceCidr"),
        ),
        says(
            "endpoint",
            "/etc/kubernetes/admin.conf",
            f"server: https://{plan.endpoint.text}",
            moved("the endpoint"),
        ),
    ]


def fixed_on_workers(plan: ClusterPlan) -> list[StepSpec]:
    """The endpoint; a control plane's kubelet may use the API server beside it instead."""
    server = f"server: https://{plan.endpoint.text}"
    return [says("endpoint", "/etc/kubernetes/kubelet.conf", server, moved("the endpoint"))]


def says(name: str, file: str, line_end: str, message: str, *, end: str = "") -> StepSpec:
    """Refuses a host whose `file` has no line that ends so; `end` is a basic regular expression after it."""
    pattern = line_end.replace(".", "\\.")  # nothing else in these texts means something to grep
    check = f"test ! -e {file} || grep -qe '{pattern}{end}$' {file}\n"
    return step(name, "assert", check=check, message=message)


def moved(field: str) -> str:
    """The message for what is fixed when a cluster is made."""
    return f"this host's cluster was made with another value of {field}, which cannot change: put it back"
