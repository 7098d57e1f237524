"""Validation without hosts: everything that documents alone can get wrong."""

from __future__ import annotations

from kubexms.diagnostics import Diagnostic, Severity
from kubexms.services.project import Project


def validate(project: Project) -> tuple[Diagnostic, ...]:
    """What is worth knowing of a project that loads; errors have been raised before.

    Warns of steps that run at every apply: for them a plan is never empty.
    """
    found = list(project.loaded.warnings)
    for module in project.loaded.pipeline.modules:
        for task in module.tasks:
            for step in task.steps:
                if step.args.get("runs") == "always":
                    found.append(
                        Diagnostic(
                            Severity.WARNING,
                            f"{module.name}/{task.name}/{step.name} runs at every apply",
                            "With `runs: always` a plan is never empty; a check (`unless`, `creates`) would tell when.",
                            source=project.loaded.sources.lookup(module.name, task.name, step.name),
                        )
                    )
    return tuple(found)
