"""The module `configuration`: what kubeadm reads once, brought to a cluster that is there."""

from __future__ import annotations

from kubexms.builder.etcd import CA, CLIENT, endpoints
from kubexms.builder.kubeadm import ExternalEtcd, init_configuration, skipped_phases
from kubexms.builder.plans import ClusterPlan
from kubexms.builder.steps import Template, step, task, text
from kubexms.spec.cluster import CONTROL_PLANE, WORKER
from kubexms.spec.pipeline import Dependency, StepSpec, Strategy, TaskSpec, WaitScope

KUBELETS: tuple[int | str, ...] = (1, "25%")
"""How many workers' kubelets at once: one that must do, then a quarter of them."""


def configuration_tasks(plan: ClusterPlan) -> list[TaskSpec]:
    """Kubelets of control planes, then what joins and upgrades read, then the workers' kubelets.

    So nobody joins with a configuration that no kubelet has run with.
    """
    if plan.binary:
        return []
    skipped = skipped_phases(plan.spec, plan.version)
    cluster = step(
        "kubeadm", "kubeadmConfig", run_once=True, config=config(plan), skip_phases=skipped or None
    )
    one = Strategy(max_parallel=1)
    tasks = [
        task("control-plane", [CONTROL_PLANE], [_kubelet(plan)], strategy=one),
        task("cluster", [CONTROL_PLANE], [cluster], after=[_all("control-plane")]),
    ]
    if plan.topology.workers:
        rolling = Strategy(max_parallel=KUBELETS)
        tasks.append(task("worker", [WORKER], [_kubelet(plan)], after=[_all("cluster")], strategy=rolling))
    return tasks


def config(plan: ClusterPlan) -> Template:
    """kubeadm's configuration for a node, whichever it is."""
    etcd = ExternalEtcd(endpoints(plan), CA, CLIENT) if plan.spec.etcd.external else None
    return text(init_configuration(plan.name, plan.spec, plan.version, plan.endpoint, etcd))


def _kubelet(plan: ClusterPlan) -> StepSpec:
    return step("kubelet", "kubeletConfig", config=config(plan))


def _all(name: str) -> Dependency:
    return Dependency(task=name, scope=WaitScope.ALL)
