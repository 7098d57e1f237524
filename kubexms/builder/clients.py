"""The module `clients`: whoever reaches the API by its endpoint does so by that of the document.

It runs when every control plane has a certificate for the endpoint, and so in this order: what the cluster
says of it to those who join and to kube-proxy, the kubeconfigs of every node, and only then the names go
that nobody needs any more.
"""

from __future__ import annotations

from kubexms.builder.configuration import config
from kubexms.builder.plans import ClusterPlan
from kubexms.builder.steps import ADDRESS, NAME, Template, step, task
from kubexms.builder.system import names_by_address
from kubexms.builder.topology import API_PORT
from kubexms.spec.cluster import CONTROL_PLANE, WORKER
from kubexms.spec.pipeline import Dependency, StepSpec, Strategy, TaskSpec, WaitScope

KUBELET_BESIDE = (1, 31)
"""From here on kubeadm may have a control plane's kubelet go by the API server beside it."""

_EVERYBODY = Strategy(require_all=True)


def clients_tasks(plan: ClusterPlan) -> list[TaskSpec]:
    """Each waits for the one before on all hosts."""
    published = step("endpoint", "publishedEndpoint", run_once=True, config=config(plan))
    names = step(
        "names",
        "apiServerNames",
        config=config(plan),
        retire=True,
        clients=[host.name for host in plan.topology.nodes],
    )
    tasks = [
        task("published", [CONTROL_PLANE], [published], strategy=_EVERYBODY),
        task(
            "planes",
            [CONTROL_PLANE],
            [_node(plan, plane=True)],
            after=[_all("published")],
            strategy=Strategy(max_parallel=1, require_all=True),
        ),
    ]
    if plan.topology.workers:
        tasks.append(
            task(
                "workers",
                [WORKER],
                [_node(plan, plane=False)],
                after=[_all("planes")],
                # a kubelet that has just started may call its node not ready: its pods leave their Services
                strategy=Strategy(max_parallel="25%", require_all=True),
            )
        )
    tasks.append(
        task(
            "retired",
            [CONTROL_PLANE],
            [names],
            after=[_all(tasks[-1].name)],
            strategy=Strategy(max_parallel=1),
        )
    )
    return tasks


def _all(name: str) -> Dependency:
    return Dependency(task=name, scope=WaitScope.ALL)


def _node(plan: ClusterPlan, *, plane: bool) -> StepSpec:
    return step(
        "endpoint",
        "nodeEndpoint",
        node_name=NAME,
        endpoint=plan.endpoint.text,
        beside=Template(f"{ADDRESS}:{API_PORT}") if plane else None,
        kubelet_beside=True if plane and plan.version.release >= KUBELET_BESIDE else None,
        hosts_file=names_by_address(plan) or None,
    )
