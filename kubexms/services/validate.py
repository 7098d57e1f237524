"""Validation without hosts: everything that documents alone can get wrong."""

from __future__ import annotations

from kubexms.diagnostics import Diagnostic, Severity
from kubexms.services.project import Project


def validate(project: Project) -> tuple[Diagnostic, ...]:
    """What is worth knowing of a project that loads; errors have been raised before.

    Warns of steps that run at every apply: for them a plan is never empty.
    """
    always = [
        (module.name, task.name, step.name)
        for module in project.loaded.pipeline.modules
        for task in module.tasks
        for step in task.steps
        if step.args.get("runs") == "always"
    ]
    advice = (
        "With `runs: always` a plan is never empty; a check (`unless`, `creates`) would tell when to run."
    )
    return project.loaded.warnings + tuple(
        Diagnostic(
            Severity.WARNING,
            f"{'/'.join(place)} runs at every apply",
            advice,
            source=project.loaded.sources.lookup(*place),
        )
        for place in always
    )
