"""Two clusters in one project: whose a host is, and where tasks run."""

from __future__ import annotations

from pathlib import Path

from kubexms.config.project import LoadedProject
from kubexms.spec.base import Json
from tests.unit.builder.clusters import cluster, host, hosts, load

INVENTORY: dict[str, Json] = {
    "apiVersion": "kubexms.io/v1alpha1",
    "kind": "Inventory",
    "metadata": {"name": "all"},
    "spec": {
        "roles": {"other": {"hosts": ["x*"]}},
        "hosts": [
            host("x1", "control-plane", "10.0.0.51"),
            host("x2", "worker", "10.0.0.52"),
            host("db1", "database", "10.0.0.61"),
        ],
    },
}


def named(name: str, **spec: Json) -> dict[str, Json]:
    return {**cluster(**spec), "metadata": {"name": name}}


def places(loaded: LoadedProject) -> dict[str, set[tuple[str, ...]]]:
    """The hosts to which the tasks of each cluster are narrowed."""
    found: dict[str, set[tuple[str, ...]]] = {}
    for module in loaded.pipeline.modules:
        for task in module.tasks:
            found.setdefault(module.name.partition("-")[0], set()).add(task.run_on_hosts)
    return found


def test_each_has_the_hosts_that_it_lists_or_that_have_its_name_as_a_role(tmp_path: Path) -> None:
    loaded = load(tmp_path, INVENTORY, named("demo", hosts=hosts(3, 1, 1)), named("other", hosts=[]))
    assert places(loaded) == {"demo": {("cp1", "cp2", "cp3", "w1", "lb1")}, "other": {("x1", "x2")}}
    peers = {
        module.name: step.args["peers"]
        for module in loaded.pipeline.modules
        for task in module.tasks
        for step in task.steps
        if step.kind == "kubeadmNode"
    }
    assert peers == {
        "demo-control-plane": ["cp1", "cp2", "cp3"],
        "demo-workers": ["cp1", "cp2", "cp3"],
        "other-control-plane": ["x1"],
        "other-workers": ["x1"],
    }


def test_what_a_host_lists_counts_before_a_role_of_that_name(tmp_path: Path) -> None:
    """`worker` is a name of a cluster, too."""
    loaded = load(tmp_path, named("worker", hosts=hosts(1, 0)), named("w", hosts=[
        host("a1", "control-plane", "10.0.0.71"), host("a2", "worker", "10.0.0.72"),
    ]))  # fmt: skip
    assert places(loaded) == {"worker": {("cp1",)}, "w": {("a1", "a2")}}


def test_a_cluster_alone_has_all_hosts_and_its_tasks_name_none(tmp_path: Path) -> None:
    loaded = load(tmp_path, INVENTORY, named("demo", hosts=[]))
    assert places(loaded) == {"demo": {()}}
