"""The modules `nodes` and `addons`: what is in the API once the nodes are there."""

from __future__ import annotations

import hashlib
import re

from kubexms.builder.plans import ClusterPlan
from kubexms.builder.runtime import PROGRAMS, program
from kubexms.builder.steps import Template, step, task
from kubexms.spec.cluster import CONTROL_PLANE, AddonSpec
from kubexms.spec.pipeline import StepSpec, TaskSpec

HELM = "helm"


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


def object_set(plan: ClusterPlan, addon: str | None) -> str:
    """Under which name the cluster remembers the objects of an addon, or of its network.

    It is a part of the name of an object, which is narrower than a name here.
    """
    text = f"network.{plan.name}" if addon is None else f"{plan.name}.{addon}"
    found = re.sub(r"[^a-z0-9.-]", "-", text.lower()).strip("-.")
    return found if found == text else f"{found}-{hashlib.sha256(text.encode()).hexdigest()[:6]}"


def addon_tasks(plan: ClusterPlan) -> list[TaskSpec]:
    """Objects, applied through one control plane; for charts helm besides, on all of them."""
    if not plan.spec.addons:
        return []
    tasks = []
    if plan.artifacts is not None and any(addon.helm is not None for addon in plan.spec.addons):
        tasks.append(task("helm", [CONTROL_PLANE], [program(plan.artifacts, HELM, f"{PROGRAMS}/{HELM}")]))
    return [*tasks, task("manifests", [CONTROL_PLANE], [_addon(plan, addon) for addon in plan.spec.addons])]


def _addon(plan: ClusterPlan, addon: AddonSpec) -> StepSpec:
    if addon.helm is None:
        return step(
            addon.name,
            "manifest",
            run_once=True,
            source=addon.manifest or _pinned(plan, "manifest", addon.artifact, addon.artifact_version),
            manifest=plan.kustomized.get(addon.name),
            set=object_set(plan, addon.name),
        )
    return step(
        addon.name,
        "helmRelease",
        run_once=True,
        release=addon.helm.release or addon.name,
        namespace=addon.helm.namespace,
        chart=_pinned(plan, "archive", addon.helm.chart, addon.helm.chart_version),
        values=addon.helm.values or None,
        wait_seconds=addon.helm.wait_seconds,
    )


def network_objects(plan: ClusterPlan) -> list[TaskSpec]:
    """The pod network, where a manifest of the artifacts brings it."""
    network = plan.spec.network
    if network.plugin != "manifest":
        return []
    source = _pinned(plan, "manifest", network.artifact, network.artifact_version)
    # no addon's set begins like this
    objects = step("objects", "manifest", run_once=True, source=source, set=object_set(plan, None))
    return [task("manifest", [CONTROL_PLANE], [objects])]


def _pinned(plan: ClusterPlan, kind: str, name: str | None, version: str | None) -> str | None:
    """The file of a manifest or chart; what is missing has been told by a check."""
    if plan.artifacts is None or name is None:
        return None
    return plan.artifacts.file(plan.artifacts.pinned(kind, name, version))
