"""From a cluster document to its pipeline: checks, then one pass per module."""

from __future__ import annotations

from kubexms.builder.balancer import endpoint_tasks
from kubexms.builder.binary import control, nodes
from kubexms.builder.binary.certificates import authority_tasks
from kubexms.builder.binary.dns import dns_tasks
from kubexms.builder.binary.etcd import stacked
from kubexms.builder.checks import checked
from kubexms.builder.clients import clients_tasks
from kubexms.builder.configuration import configuration_tasks
from kubexms.builder.etcd import member_tasks, program_tasks, separate, trust_tasks
from kubexms.builder.images import image_tasks
from kubexms.builder.members import control_plane_tasks, network_tasks, worker_tasks
from kubexms.builder.objects import addon_tasks, network_objects, node_tasks
from kubexms.builder.plans import ClusterPlan
from kubexms.builder.preflight import preflight_tasks
from kubexms.builder.protection import secret_variables, stored_tasks
from kubexms.builder.runtime import runtime_tasks
from kubexms.builder.several import narrowed
from kubexms.builder.snapshots import backup_tasks, client_tasks, last_tasks, restore_tasks
from kubexms.builder.steps import module
from kubexms.builder.system import system_tasks
from kubexms.config.documents import Building
from kubexms.spec.pipeline import Dependency, ModuleSpec, PipelineSpec, Strategy, TaskSpec, WaitScope

STRATEGIES = {
    "control-plane": Strategy(max_parallel=1, require_all=True),
    "etcd": Strategy(max_parallel=1, require_all=True),
    "restore": Strategy(require_all=True),
}
"""Where all hosts of a phase must have succeeded before the next begins, and how many go at once."""

AFTER = {
    "pki": ("os",),
    "images": ("runtime",),
    "endpoint": ("preflight",),
    "backup": ("runtime",),
    "restore": ("runtime", "pki", "backup"),
    "etcd": ("runtime", "pki", "restore"),
    "control-plane": ("runtime", "images", "pki", "endpoint", "backup", "restore", "etcd"),
    "encryption": ("control-plane",),
    "configuration": ("control-plane", "workers"),
    "clients": ("workers", "control-plane"),
    "network": ("workers", "control-plane"),
}
"""What waits for something else than the module before it: the load balancer need not wait for containerd."""

OWN = {"images": ("runtime",), "control-plane": ("runtime", "images")}
"""Of these, what a host waits for only on itself: the first member need not wait for all images."""


def build_cluster(building: Building) -> PipelineSpec:
    """The pipeline of a cluster; what is wrong with the document goes to the problems.

    Names of modules, tasks and steps are public: addresses are made of them.
    """
    plan = checked(building)
    if plan is None:
        return PipelineSpec()
    made = modules(plan)
    if len(building.siblings) > 1:
        made = narrowed(made, plan.topology.hosts)
    return PipelineSpec(variables=secret_variables(plan), modules=made)


def modules(plan: ClusterPlan) -> tuple[ModuleSpec, ...]:
    """In the order in which they run; one that has nothing to do is left out."""
    control_planes, workers, dns = control_plane_tasks, worker_tasks, list[TaskSpec]()
    authorities, members = list[TaskSpec](), list[TaskSpec]()
    serving = "API servers" if plan.spec.etcd.external else "API servers and etcd"
    if plan.binary:
        authorities, members = authority_tasks(plan), member_tasks(plan, stacked(plan))
        control_planes, workers, dns = control.control_plane_tasks, nodes.worker_tasks, dns_tasks(plan)
    if plan.spec.etcd.external:
        members = member_tasks(plan, separate(plan))
    parts: dict[str, tuple[str, list[TaskSpec]]] = {
        "preflight": ("What hosts must have", preflight_tasks(plan)),
        "os": ("Names, kernel, packages", system_tasks(plan)),
        "runtime": (
            "containerd and the programs of Kubernetes",
            [*runtime_tasks(plan), *program_tasks(plan), *client_tasks(plan)],
        ),
        "images": ("Images from the artifacts", image_tasks(plan)),
        "pki": ("Authorities and what trusts them", [*authorities, *trust_tasks(plan)]),
        "endpoint": ("The load balancer", endpoint_tasks(plan)),
        "backup": ("Snapshots of etcd", backup_tasks(plan)),
        "restore": ("etcd goes back to a snapshot", restore_tasks(plan)),
        "etcd": ("etcd, one member at a time", members),
        "control-plane": (f"{serving}, one host at a time", control_planes(plan)),
        "workers": ("Nodes that run pods", workers(plan)),
        "clients": ("Who reaches the API by its endpoint", clients_tasks(plan)),
        "network": ("How pods reach each other", [*network_tasks(plan), *network_objects(plan)]),
        "nodes": ("Labels and taints", node_tasks(plan)),
        "addons": ("Objects in the cluster", [*dns, *addon_tasks(plan)]),
        "snapshots": ("Whether snapshots succeed", last_tasks(plan)),
        "encryption": ("What is stored, by the key that encrypts", stored_tasks(plan)),
        "configuration": ("Kubelets, kube-proxy, what kubeadm keeps", configuration_tasks(plan)),
    }
    return tuple(
        module(
            plan.module(part),
            description,
            tasks,
            after=[_wait(plan, part, name) for name in AFTER[part] if parts[name][1]]
            if part in AFTER
            else None,
            strategy=STRATEGIES.get(part),
        )
        for part, (description, tasks) in parts.items()
        if tasks
    )


def _wait(plan: ClusterPlan, part: str, other: str) -> str | Dependency:
    name = plan.module(other)
    return Dependency(module=name, scope=WaitScope.HOST) if other in OWN.get(part, ()) else name
