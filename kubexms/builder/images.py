"""The module `images`: what is imported from the directory of artifacts, so that no node pulls anything."""

from __future__ import annotations

from kubexms.builder.artifacts import KUBERNETES_IMAGES
from kubexms.builder.plans import ClusterPlan
from kubexms.builder.steps import Template, step, task
from kubexms.spec.cluster import CONTROL_PLANE, WORKER
from kubexms.spec.pipeline import Strategy, TaskSpec


def image_tasks(plan: ClusterPlan) -> list[TaskSpec]:
    """Control planes get all images, workers what runs there. None without artifacts for Kubernetes.

    What is a unit needs no image.
    """
    if not plan.kubernetes_from_artifacts or plan.artifacts is None:
        return []
    tasks = [_import("control-plane", CONTROL_PLANE, plan, control_plane=not plan.binary)]
    if plan.topology.workers:
        tasks.append(_import("worker", WORKER, plan, control_plane=False))
    return [task for task in tasks if task is not None]


def _import(name: str, role: str, plan: ClusterPlan, *, control_plane: bool) -> TaskSpec | None:
    assert plan.artifacts is not None
    unused = {*(KUBERNETES_IMAGES if plan.binary else ()), *(["etcd"] if plan.spec.etcd.external else ())}
    found = {
        images[0].ref or images[0].name: {
            "digest": plan.artifacts.choose({image.arch: image.digest or "" for image in images}),
            "archive": plan.artifacts.file(images),
            "sha256": plan.artifacts.digest(images),
        }
        for images in plan.artifacts.images(control_plane=control_plane)
        if images[0].name not in unused
    }
    if not found:
        return None
    fields = {field: Template(f"{{{{ each.value.{field} }}}}") for field in ("digest", "archive", "sha256")}
    # the host that begins the cluster gets its images first, while the others wait anyway
    first = (
        Strategy(max_parallel=(1, "100%"))
        if control_plane and len(plan.topology.control_planes) > 1
        else None
    )
    return task(
        name,
        [role],
        [step("image", "containerdImage", for_each=found, ref=Template("{{ each.key }}"), **fields)],
        strategy=first,
    )
