"""Names that documents use of each other: roles, steps, tasks, modules."""

from __future__ import annotations

from collections.abc import Iterator

from kubexms.config.sources import SourceMap
from kubexms.config.suggest import hint
from kubexms.diagnostics import Diagnostic, Severity
from kubexms.spec.inventory import Inventory, InventorySpec
from kubexms.spec.pipeline import ModuleSpec, PipelineSpec, StepSpec, TaskSpec

WATCHING = ("restartOn", "reloadOn")


def dangling(
    pipeline: PipelineSpec, inventory: Inventory, declared: InventorySpec, sources: SourceMap
) -> Iterator[Diagnostic]:
    """Errors for names that are nowhere; warnings for roles that are declared and have no host."""
    roles = {role for host in inventory.hosts for role in host.roles}
    known = roles | set(declared.roles)
    for module in pipeline.modules:
        yield from _roles(module.run_on_roles, roles, known, sources, (module.name, "", ""))
        for task in module.tasks:
            place = (module.name, task.name, "")
            yield from _roles(task.run_on_roles, roles, known, sources, place)
            for step in task.steps:
                yield from _steps(module, task, step, sources)


def _roles(
    wanted: tuple[str, ...], roles: set[str], known: set[str], sources: SourceMap, place: tuple[str, str, str]
) -> Iterator[Diagnostic]:
    for index, role in enumerate(wanted):
        where = sources.lookup(*place, ("runOnRoles", index))
        path = "/".join(part for part in place if part)
        if role not in known:
            yield Diagnostic(
                Severity.ERROR,
                f"{path} runs on role '{role}', which is nowhere",
                hint(role, known, "roles"),
                source=where,
            )
        elif role not in roles:
            yield Diagnostic(
                Severity.WARNING,
                f"{path} runs on role '{role}', which no host has",
                "Nothing of it runs.",
                source=where,
            )


def _steps(module: ModuleSpec, task: TaskSpec, step: StepSpec, sources: SourceMap) -> Iterator[Diagnostic]:
    own = {other.name for other in task.steps}
    anywhere = {other.name for t in module.tasks for other in t.steps}
    qualified = {f"{t.name}/{other.name}" for t in module.tasks for other in t.steps}
    for field in (*WATCHING, "dependsOn"):
        names = step.depends_on if field == "dependsOn" else step.args.get(field)
        if not isinstance(names, (list, tuple)):
            continue
        for index, name in enumerate(names):
            if not isinstance(name, str) or "{{" in name or name.count("/") > 1:
                continue
            allowed = own if field == "dependsOn" else anywhere
            if name not in allowed and name not in qualified:
                where = sources.lookup(module.name, task.name, step.name, (field, index))
                yield Diagnostic(
                    Severity.ERROR,
                    f"{module.name}/{task.name}/{step.name}: {field} names step '{name}', which is nowhere",
                    hint(name, allowed | qualified, "steps"),
                    source=where,
                )
