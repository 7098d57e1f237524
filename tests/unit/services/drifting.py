"""A project on this machine, applied and asked for drift through the services."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kubexms.executor.stop import StopSignal
from kubexms.plan.driftreport import DriftReport
from kubexms.plan.model import Plan, PlanOptions
from kubexms.services.applying import ApplyOptions, ApplyOutcome, apply
from kubexms.services.drift import drift
from kubexms.services.planning import plan
from kubexms.services.project import Project, Settings, open_project

API = "kubexms.io/v1alpha1"
GONE = {"type": "ssh", "address": "127.0.0.1", "port": 1, "connectTimeout": 2, "sshConfig": "/dev/null"}
"""A connection on which nobody answers."""


class Drifting:
    """Hosts are this machine, under as many names as the inventory gives it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.environ = {"KUBEXMS_HOST_STATE": str(root / "on-the-host"), "PASSWORD": "hunter2"}
        self.target = root / "target"
        self.target.mkdir()
        self.inventory("here")

    def inventory(self, *names: str, **odd: Mapping[str, Any]) -> None:
        """Hosts by name; `odd` says what is different about one."""
        self.names = names
        local = {"connection": {"type": "local", "become": {"method": "none"}}}
        hosts = [{"name": name, **local, **odd.get(name, {})} for name in names]
        self._write("Inventory", {"hosts": hosts})

    def steps(self, *steps: Mapping[str, Any], module: str = "m", **spec: Any) -> None:
        """A pipeline of one task."""
        modules = [{"name": module, "tasks": [{"name": "t", "steps": list(steps)}]}]
        self._write("Pipeline", {"modules": modules, **spec})

    def file(self, name: str, content: str, **more: Any) -> dict[str, Any]:
        """A file step below the target."""
        return {"name": name, "kind": "file", "path": str(self.target / name), "content": content, **more}

    def _write(self, kind: str, spec: Mapping[str, Any]) -> None:
        document = {"apiVersion": API, "kind": kind, "metadata": {"name": "p"}, "spec": spec}
        (self.root / f"{kind.lower()}.yaml").write_text(json.dumps(document))

    @contextmanager
    def project(self) -> Iterator[Project]:
        """The project, opened."""
        project = open_project(Settings(root=self.root, environ=self.environ))
        try:
            yield project
        finally:
            project.close()

    def apply(self, *, fine: bool = True) -> list[ApplyOutcome]:
        """Apply everything, host after host, since all are one machine; it must work if it is `fine`."""
        outcomes = []
        for name in self.names:
            with self.project() as project:
                outcome = apply(
                    project,
                    PlanOptions(limit=(name,)),
                    ApplyOptions(),
                    saved=None,
                    approve=lambda made: True,
                    listener=lambda event: None,
                    stop=StopSignal(),
                )
            assert not fine or outcome.result is None or not outcome.result.failed, outcome.result
            outcomes.append(outcome)
        return outcomes

    def plan(self) -> Plan:
        """What an apply would do."""
        with self.project() as project:
            return plan(project, PlanOptions(), listener=lambda event: None)

    def drift(self, **options: Any) -> DriftReport:
        """Ask for drift."""
        with self.project() as project:
            return drift(project, PlanOptions(operation="drift", **options), listener=lambda event: None)


def addresses(report: DriftReport) -> list[str]:
    """What drifted."""
    return [change.address for change in report.drifted]
