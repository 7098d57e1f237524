"""What cannot change later, as the units say it: a plan that would change it is refused."""

from __future__ import annotations

from kubexms.builder.binary.units import UNITS, VERSION_FIELD
from kubexms.builder.etcd import fixed_etcd
from kubexms.builder.fixed import moved, says
from kubexms.builder.plans import ClusterPlan
from kubexms.builder.rotation import endpoint_leads_here
from kubexms.builder.steps import step
from kubexms.spec.pipeline import StepSpec

_MORE = r"\( \\\)*"
"""A flag is not the last one of its unit, or is."""


def fixed_in_units(plan: ClusterPlan) -> list[StepSpec]:
    """The kind of cluster, the minor version and the networks; and what is to lead here."""
    minor = ".".join(map(str, plan.version.release))
    manager, network = f"{UNITS}/kube-controller-manager.service", plan.spec.network
    return [
        step(
            "type",
            "assert",
            check="test ! -e /etc/kubernetes/manifests/kube-apiserver.yaml\n",
            message="kubeadm has made this control plane: put kubernetes.type back to kubeadm",
        ),
        says(
            "version",
            f"{UNITS}/kube-apiserver.service",
            f"{VERSION_FIELD}={minor}.[0-9]*",
            f"this control plane does not run Kubernetes {minor}; clusters of this type are upgraded within "
            "a minor version only: put the version back",
        ),
        *endpoint_leads_here(plan),
        fixed_etcd(plan, "etcd-type"),
        says("pods", manager, f"--cluster-cidr={network.pod_cidr}", moved("network.podCidr"), end=_MORE),
        says(
            "services",
            manager,
            f"--service-cluster-ip-range={network.service_cidr}",
            moved("network.serviceCidr"),
            end=_MORE,
        ),
    ]
