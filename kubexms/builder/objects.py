"""The modules `nodes` and `addons`: what is in the API once the nodes are there."""

from __future__ import annotations

from kubexms.builder.plans import ClusterPlan
from kubexms.builder.steps import Template, step, task
from kubexms.spec.cluster import CONTROL_PLANE
from kubexms.spec.pipeline import TaskSpec


def node_tasks(plan: ClusterPlan) -> list[TaskSpec]:
    """Labels and taints; asked of one control plane for all nodes."""
    if not plan.settings:
        return []
    nodes = {name: settings.to_json() for name, settings in plan.settings.items()}
    settings = {
        name: {"labels": found.get("labels", {}), "taints": found.get("taints", [])}
        for name, found in nodes.items()
    }
    node = step(
        "node",
        "node",
        for_each=settings,
        run_once=True,
        node=Template("{{ each.key }}"),
        labels=Template("{{ each.value.labels }}"),
        taints=Template("{{ each.value.taints }}"),
    )
    return [task("settings", [CONTROL_PLANE], [node])]


def addon_tasks(plan: ClusterPlan) -> list[TaskSpec]:
    """Objects from files, applied through one control plane."""
    if not plan.spec.addons:
        return []
    steps = [step(addon.name, "manifest", run_once=True, source=addon.manifest) for addon in plan.spec.addons]
    return [task("manifests", [CONTROL_PLANE], steps)]
