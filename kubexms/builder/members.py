"""The modules `control-plane`, `workers` and `network`: who joins, and how pods reach each other."""

from __future__ import annotations

from kubexms.builder.certificates import authorities_made, validity_periods
from kubexms.builder.clients import own_endpoint
from kubexms.builder.configuration import config
from kubexms.builder.kubeadm import join_configuration, skipped_phases
from kubexms.builder.kubevip import kubevip_pod, kubevip_step
from kubexms.builder.plans import ClusterPlan
from kubexms.builder.protection import protection_sources, protection_tasks
from kubexms.builder.runtime import kubelet_package
from kubexms.builder.snapshots import SNAPSHOT
from kubexms.builder.steps import NAME, Template, step, task, text
from kubexms.config.yaml.writer import dump_yaml
from kubexms.spec.base import Json
from kubexms.spec.cluster import CONTROL_PLANE, WORKER
from kubexms.spec.pipeline import Dependency, StepSpec, TaskSpec, WaitScope

NODES_ARE_HIDDEN = (1, 32)
"""From here on a node's credentials do not list other nodes (AuthorizeNodeWithSelectors), as routes need."""

_NAME = "kubexms:pod-routes"
_ROLE: dict[str, Json] = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "ClusterRole",
    "metadata": {"name": _NAME},
    "rules": [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "list", "watch"]}],
}
_BINDING: dict[str, Json] = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "ClusterRoleBinding",
    "metadata": {"name": _NAME},
    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": _NAME},
    "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "system:nodes"}],
}


def control_plane_tasks(plan: ClusterPlan) -> list[TaskSpec]:
    """The members that serve the API; the module goes through them one at a time."""
    sources = protection_sources(plan.spec)
    manifests = step("manifests", "controlPlaneManifest", config=config(plan), restart_on=sources or None)
    # those that are new come in before anybody goes by them; what is no longer wanted goes when nobody does
    names = step("names", "apiServerNames", config=config(plan))
    days = plan.spec.certificates.renew_before_days
    lifetimes = config(plan) if validity_periods(plan.spec, plan.version) else None
    certificates = step("certificates", "certificate", renew_before_days=days, config=lifetimes)
    makes = authorities_made(plan.spec, plan.version) is not None
    tools = [step("openssl", "package", packages=["openssl"])] if makes else []
    tasks = [
        *lost_tasks(plan),
        *protection_tasks(plan),
        task("member", [CONTROL_PLANE], [*tools, _member(plan, CONTROL_PLANE), _running()]),
        task("components", [CONTROL_PLANE], [*kubevip_step(plan), manifests, names, certificates]),
    ]
    if plan.spec.kubeconfig is not None:
        given = plan.spec.kubeconfig
        kubeconfig = step(
            "kubeconfig",
            "kubeconfig",
            run_once=True,
            path=given.path,
            server=given.server or f"https://{plan.endpoint.text}",
            fetch_on=["components/certificates"],
        )
        tasks.append(task("access", [CONTROL_PLANE], [kubeconfig]))
    return tasks


def lost_tasks(plan: ClusterPlan) -> list[TaskSpec]:
    """Before anybody joins: a member of etcd that does not work would be in the way."""
    if not plan.spec.lost_nodes:
        return []
    name = Template("{{ each.value }}")
    lost = step("node", "node", for_each=list(plan.spec.lost_nodes), run_once=True, node=name, state="absent")
    return [task("lost", [CONTROL_PLANE], [lost])]


def worker_tasks(plan: ClusterPlan) -> list[TaskSpec]:
    """The members that only run pods."""
    if not plan.topology.workers:
        return []
    return [task("member", [WORKER], [_member(plan, WORKER), _running()])]


def network_tasks(plan: ClusterPlan) -> list[TaskSpec]:
    """The bridge of each node, and its routes to the pods of the others."""
    if plan.spec.network.plugin != "bridge":
        return []
    pods = step(
        "pods",
        "podNetwork",
        pod_cidr=plan.spec.network.pod_cidr,
        node_name=NAME,
        nodes=[host.name for host in plan.topology.nodes],
    )
    if plan.version.release < NODES_ARE_HIDDEN:
        return [task("bridge", plan.topology.node_roles, [pods], after=own_endpoint(plan))]
    access = step(
        "nodes", "manifest", run_once=True, manifest=dump_yaml(_ROLE) + "---\n" + dump_yaml(_BINDING)
    )
    after = [Dependency(task="access", scope=WaitScope.ALL), *own_endpoint(plan)]
    return [
        task("access", [CONTROL_PLANE], [access]),
        task("bridge", plan.topology.node_roles, [pods], after=after),
    ]


def _member(plan: ClusterPlan, role: str) -> StepSpec:
    control_plane = role == CONTROL_PLANE
    skipped = skipped_phases(plan.spec, plan.version) if control_plane else []
    backup = SNAPSHOT if control_plane and plan.spec.etcd.backup is not None else None
    elsewhere = [host.name for host in plan.topology.etcd] if backup and plan.spec.etcd.external else None
    return step(
        "node",
        "kubeadmNode",
        cluster=plan.name,
        node_name=NAME,
        role=role,
        endpoint=plan.endpoint.text,
        version=str(plan.version),
        kubelet_package=kubelet_package(plan),
        peers=[host.name for host in plan.topology.control_planes],
        neighbours=plan.neighbours,
        config=config(plan) if control_plane else None,
        join_config=text(join_configuration(plan.spec, plan.version, control_plane=control_plane)),
        skip_phases=skipped or None,
        authority_days=authorities_made(plan.spec, plan.version) if control_plane else None,
        endpoint_pod=kubevip_pod(plan) if control_plane else None,
        first_endpoint_pod=kubevip_pod(plan, begins=True) if control_plane else None,
        before_upgrade=backup,
        before_upgrade_on=elsewhere,
    )


def _running() -> StepSpec:
    return step("kubelet", "service", unit="kubelet", running=True)
