"""What cannot change once a cluster is there: asked of its members, so that a plan refuses it."""

from __future__ import annotations

from kubexms.builder.plans import ClusterPlan
from kubexms.builder.rotation import endpoint_leads_here
from kubexms.builder.steps import step
from kubexms.builder.versions import Version
from kubexms.spec.pipeline import StepSpec

MANIFESTS = "/etc/kubernetes/manifests"


def fixed_on_control_planes(plan: ClusterPlan) -> list[StepSpec]:
    """The version and the networks, as the files say that kubeadm has written; and what is to lead here."""
    manager, network = f"{MANIFESTS}/kube-controller-manager.yaml", plan.spec.network
    return [
        step(
            "type",
            "assert",
            check="test ! -e /etc/systemd/system/kube-apiserver.service\n",
            message="this control plane was made without kubeadm: put kubernetes.type back to binary",
        ),
        _version(plan.version),
        says("pods", manager, f"--cluster-cidr={network.pod_cidr}", moved("network.podCidr")),
        says(
            "services",
            manager,
            f"--service-cluster-ip-range={network.service_cidr}",
            moved("network.serviceCidr"),
        ),
        *endpoint_leads_here(plan),
        *_domain(plan),
    ]


def _domain(plan: ClusterPlan) -> list[StepSpec]:
    """Names in certificates and in CoreDNS's Corefile have it; so has who issues tokens, in every version."""
    issuer = "service-account-issuer"
    if issuer in plan.spec.kubernetes.api_server.extra_args:
        return []
    end = f"--{issuer}=https://kubernetes.default.svc.{plan.spec.network.dns_domain}"
    return [says("domain", f"{MANIFESTS}/kube-apiserver.yaml", end, moved("network.dnsDomain"))]


def _version(wanted: Version) -> StepSpec:
    """kubeadm's rule, and that of the parts among each other: one minor version at a time, never back."""
    file = f"{MANIFESTS}/kube-apiserver.yaml"
    before = wanted.minor - 1
    check = (
        f"test -e {file} || exit 0\n"
        f"runs=$(sed -n 's/^ *image: .*:v{wanted.major}\\.\\([0-9]*\\)\\..*/\\1/p' {file} | head -n 1)\n"
        f'test "$runs" = {wanted.minor} || test "$runs" = {before}\n'
    )
    message = (
        f"this control plane runs neither Kubernetes {wanted.major}.{wanted.minor} nor "
        f"{wanted.major}.{before}: upgrade one minor version at a time, and never back"
    )
    return step("version", "assert", check=check, message=message)


def says(name: str, file: str, line_end: str, message: str, *, end: str = "") -> StepSpec:
    """Refuses a host whose `file` has no line that ends so; `end` is a basic regular expression after it."""
    pattern = line_end.replace(".", "\\.")  # nothing else in these texts means something to grep
    check = f"test ! -e {file} || grep -qe '{pattern}{end}$' {file}\n"
    return step(name, "assert", check=check, message=message)


def moved(field: str) -> str:
    """The message for what is fixed when a cluster is made."""
    return (
        f"this host's cluster was made with another value of {field}, which cannot change: put it back, or "
        "take the host out if it is another cluster's"
    )
