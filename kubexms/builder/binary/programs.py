"""Which programs of Kubernetes are on which hosts, without kubeadm."""

from __future__ import annotations

from kubexms.builder.plans import ClusterPlan
from kubexms.builder.steps import step, task
from kubexms.spec.cluster import CONTROL_PLANE
from kubexms.spec.pipeline import StepSpec, TaskSpec

PROGRAMS = "/usr/local/bin"
NODE = ("kubelet", "kubectl", "crictl")
PROXY = "kube-proxy"
CONTROL = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
ETCD = ("etcd", "etcdctl")


def wanted(plan: ClusterPlan) -> list[str]:
    """What the directory of artifacts must have."""
    proxy = [PROXY] if plan.spec.kube_proxy.enabled else []
    return [*NODE, *proxy, *CONTROL, *([] if plan.spec.etcd.external else ETCD)]


def program_tasks(plan: ClusterPlan) -> list[TaskSpec]:
    """Nothing is restarted here: units are, when it is their turn."""
    proxy = (PROXY,) if plan.spec.kube_proxy.enabled else ()
    etcd = () if plan.spec.etcd.external else ETCD
    return [
        task("kubernetes", plan.topology.node_roles, _downloads(plan, (*NODE, *proxy))),
        task("control-plane", [CONTROL_PLANE], _downloads(plan, (*CONTROL, *etcd))),
    ]


def _downloads(plan: ClusterPlan, names: tuple[str, ...]) -> list[StepSpec]:
    assert plan.artifacts is not None  # a check has told
    steps = []
    for name in names:
        if found := plan.artifacts.program(name):
            file, digest = plan.artifacts.file(found), plan.artifacts.digest(found)
            path = f"{PROGRAMS}/{name}"
            steps.append(step(name, "download", path=path, source=file, sha256=digest, mode="0755"))
    return steps
