"""Names that a pipeline uses of its own parts and of the inventory."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Iterator, Sequence

from kubexms.config.sources import SourceMap
from kubexms.config.suggest import hint
from kubexms.config.template import has_template
from kubexms.diagnostics import Diagnostic, Severity, SourceRange
from kubexms.spec.inventory import Host
from kubexms.spec.pipeline import Dependency, Hooks, ModuleSpec, PipelineSpec, TaskSpec

HOOK_STEP = "hook"
WATCHING = ("restartOn", "reloadOn")
"""Fields of kinds that name steps of the same module."""


def _error(summary: str, detail: str, source: SourceRange | None) -> Diagnostic:
    return Diagnostic(Severity.ERROR, summary, detail, source=source)


def dependencies(pipeline: PipelineSpec, sources: SourceMap) -> Iterator[Diagnostic]:
    """Entries of `dependsOn` of modules and tasks that name nothing."""
    modules = {module.name for module in pipeline.modules}
    tasks = {f"{module.name}/{task.name}" for module in pipeline.modules for task in module.tasks}
    for module in pipeline.modules:
        for index, entry in enumerate(module.depends_on or ()):
            where = sources.lookup(module.name, field_path=("dependsOn", index))
            yield from _dependency(entry, module, modules, tasks, f"module '{module.name}'", where)
        for task in module.tasks:
            for index, item in enumerate(task.depends_on or ()):
                where = sources.lookup(module.name, task.name, field_path=("dependsOn", index))
                yield from _dependency(
                    item, module, modules, tasks, f"task '{module.name}/{task.name}'", where
                )


def _dependency(
    entry: str | Dependency,
    module: ModuleSpec,
    modules: set[str],
    tasks: set[str],
    who: str,
    where: SourceRange | None,
) -> Iterator[Diagnostic]:
    if isinstance(entry, str):
        entry = Dependency(task=entry) if "/" in entry else Dependency(module=entry)
    if entry.module is not None:
        if entry.module not in modules:
            detail = hint(entry.module, modules, "modules")
            yield _error(f"{who} depends on module '{entry.module}', which is nowhere", detail, where)
        return
    name = entry.task or ""
    if (name if "/" in name else f"{module.name}/{name}") not in tasks:
        own = {task.name for task in module.tasks}
        yield _error(
            f"{who} depends on task '{name}', which is nowhere",
            hint(name, tasks if "/" in name else own, "tasks"),
            where,
        )


def watched(pipeline: PipelineSpec, sources: SourceMap) -> Iterator[Diagnostic]:
    """Steps that `restartOn`, `reloadOn` and a step's `dependsOn` name and that are nowhere."""
    for module in pipeline.modules:
        anywhere = {step.name for task in module.tasks for step in task.steps}
        qualified = {f"{task.name}/{step.name}" for task in module.tasks for step in task.steps}
        full = {f"{m.name}/{t.name}/{s.name}" for m in pipeline.modules for t in m.tasks for s in t.steps}
        for task in module.tasks:
            own = {step.name for step in task.steps}
            for step in task.steps:
                fields = {name: step.args.get(name) for name in WATCHING}
                for field, names in {**fields, "dependsOn": list(step.depends_on)}.items():
                    known = (own if field == "dependsOn" else anywhere) | qualified
                    known = known | full if field == "dependsOn" else known
                    for index, name in enumerate(names if isinstance(names, list) else ()):
                        if not isinstance(name, str) or has_template(name) or name in known:
                            continue
                        where = sources.lookup(module.name, task.name, step.name, (field, index))
                        who = f"{module.name}/{task.name}/{step.name}"
                        summary = f"{field} of {who} names step '{name}', which is nowhere"
                        yield _error(summary, hint(name, known, "steps"), where)


def duplicate_hooks(pipeline: PipelineSpec, sources: SourceMap) -> Iterator[Diagnostic]:
    """Hooks of one scope with the same name: addresses would be the same."""
    yield from _twice(pipeline.hooks, "the pipeline", ("", ""), sources)
    for module in pipeline.modules:
        yield from _twice(module.hooks, f"module '{module.name}'", (module.name, ""), sources)
        for task in module.tasks:
            yield from _twice(
                task.hooks, f"task '{module.name}/{task.name}'", (module.name, task.name), sources
            )


def _twice(hooks: Hooks, who: str, scope: tuple[str, str], sources: SourceMap) -> Iterator[Diagnostic]:
    seen: set[str] = set()
    for hook in (*hooks.pre, *hooks.post, *hooks.on_failure):
        if hook.name in seen:
            yield _error(
                f"{who} has the hook '{hook.name}' twice",
                "A hook's name is its address: give each of `pre`, `post` and `onFailure` its own.",
                sources.hook(*scope, hook.name),
            )
        seen.add(hook.name)


def reserved_names(pipeline: PipelineSpec, sources: SourceMap) -> Iterator[Diagnostic]:
    """Steps that are named as addresses name hooks."""
    for module in pipeline.modules:
        for task in module.tasks:
            for step in task.steps:
                if step.name == HOOK_STEP:
                    where = sources.lookup(module.name, task.name, step.name)
                    advice = (
                        "`module/task/hook[name]` is how hooks are addressed: give the step another name."
                    )
                    yield _error(f"a step cannot be named '{HOOK_STEP}'", advice, where)


def unkept_outputs(pipeline: PipelineSpec, sources: SourceMap) -> Iterator[Diagnostic]:
    """Outputs that are sensitive, so that no state may keep them, and that the host is not asked for."""
    for module in pipeline.modules:
        for task in module.tasks:
            for step in task.steps:
                if step.sensitive and step.args.get("outputs") and "outputsFrom" not in step.args:
                    who = f"{module.name}/{task.name}/{step.name}"
                    yield _error(
                        f"the outputs of {who} are sensitive, so nothing keeps them",
                        "Give the step `outputsFrom`, which asks the host for them at every plan.",
                        sources.lookup(module.name, task.name, step.name, ("outputs",), key=True),
                    )


def moves(pipeline: PipelineSpec) -> Iterator[Diagnostic]:
    """`moved` entries that contradict each other or what is there."""
    seen: dict[str, str] = {}
    for move in pipeline.moved:
        if seen.setdefault(move.from_, move.to) != move.to:
            yield _error(
                f"'{move.from_}' moves to two places", f"To {seen[move.from_]}, and to {move.to}.", None
            )
        if move.from_ == move.to:
            yield _error(f"'{move.from_}' moves to itself", "Remove the entry.", None)


def selections(
    pipeline: PipelineSpec, hosts: Sequence[Host], roles: frozenset[str], sources: SourceMap
) -> Iterator[Diagnostic]:
    """Roles that nothing names are errors; roles without hosts, and globs without, are warnings."""
    held = {role for host in hosts for role in host.roles}
    for module in pipeline.modules:
        where = [
            sources.lookup(module.name, field_path=("runOnRoles", i)) for i in range(len(module.run_on_roles))
        ]
        yield from _roles(module.run_on_roles, where, f"module '{module.name}'", held, roles)
        for task in module.tasks:
            who = f"task '{module.name}/{task.name}'"
            fields = [
                sources.lookup(module.name, task.name, field_path=("runOnRoles", i))
                for i in range(len(task.run_on_roles))
            ]
            yield from _roles(task.run_on_roles, fields, who, held, roles)
            yield from _globs(task, module, who, hosts, sources)


def _roles(
    wanted: Sequence[str],
    where: Sequence[SourceRange | None],
    who: str,
    held: Iterable[str],
    known: frozenset[str],
) -> Iterator[Diagnostic]:
    for role, place in zip(wanted, where, strict=True):
        if role not in known:
            yield _error(
                f"{who} runs on role '{role}', which no inventory names", hint(role, known, "roles"), place
            )
        elif role not in held:
            summary = f"{who} runs on role '{role}', which no host has"
            yield Diagnostic(Severity.WARNING, summary, "It does nothing.", source=place)


def _globs(
    task: TaskSpec, module: ModuleSpec, who: str, hosts: Sequence[Host], sources: SourceMap
) -> Iterator[Diagnostic]:
    names = [host.name for host in hosts]
    for index, pattern in enumerate(task.run_on_hosts):
        if not any(fnmatch.fnmatchcase(name, pattern) for name in names):
            place = sources.lookup(module.name, task.name, field_path=("runOnHosts", index))
            summary = f"{who} runs on host '{pattern}', which matches no host"
            detail = hint(pattern, names, "hosts") if not set(pattern) & set("*?[") else "It does nothing."
            yield Diagnostic(Severity.WARNING, summary, detail, source=place)
