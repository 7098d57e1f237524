"""The module `clients`: whoever reaches the API by its endpoint does so by that of the document.

It runs when every control plane has a certificate for the endpoint, and so in this order: the kubeconfigs of
every node; kube-proxy, and what the cluster tells to those who join; and only then the names go that nobody
needs any more. Kubelets come first because who starts kube-proxy anew must be reached: so it goes on where
nothing answers at the former endpoint any more.
"""

from __future__ import annotations

from kubexms.builder.binary.certificates import retired_names
from kubexms.builder.binary.nodes import endpoint_step
from kubexms.builder.configuration import config
from kubexms.builder.plans import ClusterPlan
from kubexms.builder.steps import ADDRESS, NAME, Template, step, task
from kubexms.builder.system import names_by_address
from kubexms.builder.topology import API_PORT
from kubexms.spec.cluster import CONTROL_PLANE, WORKER
from kubexms.spec.pipeline import Dependency, StepSpec, Strategy, TaskSpec, WaitScope

KUBELET_BESIDE = (1, 31)
"""From here on kubeadm may have a control plane's kubelet go by the API server beside it."""


def clients_tasks(plan: ClusterPlan) -> list[TaskSpec]:
    """Each waits for the one before on all hosts."""
    one = Strategy(max_parallel=1, require_all=True)
    # a kubelet that has just started may call its node not ready: its pods leave their Services. One that
    # could not join holds nobody up; whether it still needs a name is asked before that goes.
    some = Strategy(max_parallel="25%", max_failures=len(plan.topology.workers))
    tasks = [task("planes", [CONTROL_PLANE], [_node(plan, plane=True)], strategy=one)]
    if plan.topology.workers:
        nodes = _node(plan, plane=False)
        tasks.append(task("workers", [WORKER], [nodes], after=[_all("planes")], strategy=some))
    # without kubeadm nothing in the cluster tells of it
    if not plan.binary:
        published = step("endpoint", "publishedEndpoint", run_once=True, config=config(plan))
        everybody, after = Strategy(require_all=True), [_all(tasks[-1].name)]
        tasks.append(task("published", [CONTROL_PLANE], [published], after=after, strategy=everybody))
    retiring, after = Strategy(max_parallel=1), [_all(tasks[-1].name)]
    tasks.append(task("retired", [CONTROL_PLANE], [_retired(plan)], after=after, strategy=retiring))
    return tasks


def own_endpoint(plan: ClusterPlan) -> list[Dependency]:
    """For what a node does through its kubeconfig: its own one leads to the API by then."""
    tasks = ["planes", *(["workers"] if plan.topology.workers else [])]
    return [Dependency(task=f"{plan.module('clients')}/{name}", scope=WaitScope.HOST) for name in tasks]


def _all(name: str) -> Dependency:
    return Dependency(task=name, scope=WaitScope.ALL)


def _retired(plan: ClusterPlan) -> StepSpec:
    if plan.binary:
        return retired_names(plan)
    clients = [host.name for host in plan.topology.nodes]
    return step("names", "apiServerNames", config=config(plan), retire=True, clients=clients)


def _node(plan: ClusterPlan, *, plane: bool) -> StepSpec:
    if plan.binary:
        return endpoint_step(plan)
    return step(
        "endpoint",
        "nodeEndpoint",
        node_name=NAME,
        endpoint=plan.endpoint.text,
        beside=Template(f"{ADDRESS}:{API_PORT}") if plane else None,
        kubelet_beside=True if plane and plan.version.release >= KUBELET_BESIDE else None,
        hosts_file=names_by_address(plan) or None,
    )
