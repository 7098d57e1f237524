"""The order that a plan tells its readers, against the graph that it is carried out by."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kubexms.plan.model import OrderedModule, PlanOptions
from kubexms.services.planning import graph_of, prepare
from kubexms.services.project import Settings, open_project

DOCUMENTS = """\
apiVersion: kubexms.io/v1alpha1
kind: Inventory
metadata: {{name: here}}
spec: {{hosts: [{{name: here, connection: {{type: local}}}}]}}
---
apiVersion: kubexms.io/v1alpha1
kind: Pipeline
metadata: {{name: ordered}}
spec:
  modules:
    - name: os
      tasks:
        - name: files
          steps:
            - {{name: late, kind: file, path: "{top}/a", content: x}}
            - {{name: each, kind: file, forEach: [b, c], path: "{top}/{{{{ each.value }}}}", content: x}}
        - name: more
          steps:
            - {{name: last, kind: file, path: "{top}/d", content: x, dependsOn: [files/each]}}
        - name: aside
          dependsOn: []
          steps:
            - {{name: alone, kind: file, path: "{top}/e", content: x}}
    - name: runtime
      tasks:
        - name: unit
          steps:
            - {{name: config, kind: file, path: "{top}/f", content: x}}
            - {{name: service, kind: service, unit: none-such, running: true, restartOn: [config]}}
    - name: cni
      dependsOn: [os, {{task: runtime/unit, scope: host}}]
      tasks:
        - name: apply
          dependsOn: [runtime/unit, {{module: os}}]
          steps:
            - {{name: file, kind: file, path: "{top}/g", content: x}}
"""


def _order(tmp_path: Path, text: str, operation: str = "apply") -> tuple[OrderedModule, ...]:
    (tmp_path / "all.yaml").write_text(text.format(top=tmp_path))
    project = open_project(Settings(root=tmp_path, environ={"KUBEXMS_HOST_STATE": str(tmp_path / "host")}))
    try:
        options = PlanOptions.model_validate({"operation": operation})
        prepared = prepare(
            project, options, project.connector(), project.store.snapshot(), listener=lambda event: None
        )
        for module in prepared.plan.order:
            for task in module.tasks:
                _agrees_with_graph(
                    f"{module.name}/{task.name}", task.after, graph_of(project, prepared.planned)
                )
        return prepared.plan.order
    finally:
        project.close()


def _agrees_with_graph(task: str, after: tuple[str, ...], graph: object) -> None:
    from kubexms.graph.model import StepGraph

    assert isinstance(graph, StepGraph)
    first = next(key for key in graph.dag if str(key).startswith(f"{task}/"))
    waits = {re.split("[/@]", name)[0] if "/" not in name else name for name in graph.waits_for(first)}
    for name in after:
        assert any(wait == name or wait.startswith(f"{name}/") for wait in waits), (task, name, waits)


@pytest.fixture
def order(tmp_path: Path) -> dict[str, OrderedModule]:
    return {module.name: module for module in _order(tmp_path, DOCUMENTS)}


def test_modules_and_tasks_follow_the_documents_and_spell_the_default_out(
    order: dict[str, OrderedModule],
) -> None:
    assert list(order) == ["os", "runtime", "cni"]
    assert {name: module.after for name, module in order.items()} == {
        "os": (),
        "runtime": ("os",),
        "cni": ("os", "runtime/unit"),
    }
    tasks = {task.name: task.after for module in order.values() for task in module.tasks}
    assert tasks == {
        "files": (),
        "more": ("os/files",),
        "aside": (),
        "unit": (),
        "apply": ("runtime/unit", "os"),
    }


def test_steps_name_what_they_watch_and_what_they_depend_on(order: dict[str, OrderedModule]) -> None:
    steps = {
        step.name: step.after for module in order.values() for task in module.tasks for step in task.steps
    }
    assert steps == {
        "late": (),
        "each": (),
        "last": ("os/files/each",),
        "alone": (),
        "config": (),
        "service": ("runtime/unit/config",),
        "file": (),
    }


def test_what_is_destroyed_has_an_order_of_its_own(tmp_path: Path) -> None:
    assert _order(tmp_path, DOCUMENTS, "destroy") == ()
