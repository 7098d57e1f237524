"""Pull requests of strangers: nothing that their documents give is run."""

from __future__ import annotations

from pathlib import Path

import pytest

from kubexms.plan.model import PlanOptions
from kubexms.services.planning import plan
from kubexms.services.project import Settings, open_project

DOCUMENTS = """\
apiVersion: kubexms.io/v1alpha1
kind: Inventory
metadata: {{name: here}}
spec: {{hosts: [{{name: here, connection: {{type: local}}}}]}}
---
apiVersion: kubexms.io/v1alpha1
kind: Pipeline
metadata: {{name: strange}}
spec:
  modules:
    - name: m
      tasks:
        - name: t
          steps:
            - {{name: sly, kind: command, run: "true", guard: "{guard}", unless: "touch {trace}; false"}}
            - {{name: plain, kind: file, path: {trace}.file, content: x}}
"""


@pytest.mark.parametrize("guard", ["on", "off"])
@pytest.mark.parametrize("untrusted", [True, False])
def test_checks_of_strangers_are_not_run(tmp_path: Path, guard: str, untrusted: bool) -> None:
    trace = tmp_path / "trace"
    (tmp_path / "all.yaml").write_text(DOCUMENTS.format(guard=guard, trace=trace))
    environ = {"KUBEXMS_HOST_STATE": str(tmp_path / "host")}
    project = open_project(Settings(root=tmp_path, environ=environ, untrusted=untrusted))
    try:
        made = plan(project, PlanOptions(untrusted=untrusted), listener=lambda event: None)
    finally:
        project.close()
    sly = next(change for change in made.changes if change.address == "m/t/sly@here")
    plain = next(change for change in made.changes if change.address == "m/t/plain@here")
    assert not plain.unknown
    if untrusted:
        assert sly.unknown == "its check is not run with --untrusted"
        assert not trace.exists()
    elif guard == "off":
        assert trace.exists()
