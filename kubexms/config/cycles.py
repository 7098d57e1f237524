"""Dependencies between modules and tasks that go round in a circle."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from kubexms.config.references import WATCHING
from kubexms.config.sources import SourceMap
from kubexms.diagnostics import Diagnostic, Severity, SourceRange
from kubexms.spec.pipeline import Dependency, ModuleSpec, PipelineSpec


def cycles(pipeline: PipelineSpec, sources: SourceMap) -> Iterator[Diagnostic]:
    """One error per circle, which it shows as a path. All names must exist."""
    for path in _circles(_modules(pipeline)):
        yield _error("modules", path, sources.lookup(path[0], field_path=("dependsOn",), key=True))
    for path in _circles(_tasks(pipeline)):
        module, _, task = path[0].partition("/")
        yield _error("tasks", path, sources.lookup(module, task, field_path=("dependsOn",), key=True))


def steps_before_their_time(pipeline: PipelineSpec, sources: SourceMap) -> Iterator[Diagnostic]:
    """Steps that need one that comes after them in the same task, whose order is fixed."""
    for module in pipeline.modules:
        for task in module.tasks:
            places = {step.name: index for index, step in enumerate(task.steps)}
            for own, step in enumerate(task.steps):
                named = {"dependsOn": step.depends_on, **{name: step.args.get(name) for name in WATCHING}}
                for field, names in named.items():
                    for index, name in enumerate(names if isinstance(names, (list, tuple)) else ()):
                        other = _in_task(name, module.name, task.name)
                        if places.get(other, -1) < own:
                            continue
                        where = sources.lookup(module.name, task.name, step.name, (field, index))
                        path = (
                            f"{module.name}/{task.name}/{step.name}",
                            f"{module.name}/{task.name}/{other}",
                        )
                        yield replace(
                            _error("steps", path if other != step.name else path[:1], where),
                            detail=f"'{other}' comes after '{step.name}' in this task: move it up."
                            if other != step.name
                            else "A step cannot wait for itself.",
                        )


def _in_task(name: object, module: str, task: str) -> str:
    """The step of this task that `step`, `task/step` or `module/task/step` names; empty if of another."""
    *path, step = str(name).split("/")
    return step if path in ([], [task], [module, task]) else ""


def _error(what: str, path: Sequence[str], source: SourceRange | None) -> Diagnostic:
    shown = " -> ".join((*path, path[0]))
    detail = "Each needs the next one first. Take one of these dependencies out."
    return Diagnostic(
        Severity.ERROR, f"the dependencies of {what} form a cycle: {shown}", detail, source=source
    )


def _modules(pipeline: PipelineSpec) -> dict[str, list[str]]:
    """What each module waits for: itself (through its own entries) or the module before."""
    needs: dict[str, list[str]] = {}
    before: str | None = None
    for module in pipeline.modules:
        if module.depends_on is None:
            needs[module.name] = [before] if before is not None else []
        else:
            needs[module.name] = [_module_of(entry, module) for entry in module.depends_on]
        before = module.name
    return needs


def _module_of(entry: str | Dependency, module: ModuleSpec) -> str:
    if isinstance(entry, str):
        return entry.partition("/")[0]
    if entry.module is not None:
        return entry.module
    first, slash, _ = (entry.task or "").partition("/")
    return first if slash else module.name


def _tasks(pipeline: PipelineSpec) -> dict[str, list[str]]:
    needs: dict[str, list[str]] = {}
    for module in pipeline.modules:
        before: str | None = None
        for task in module.tasks:
            name = f"{module.name}/{task.name}"
            needs[name] = [before] if task.depends_on is None and before is not None else []
            for entry in task.depends_on or ():
                if entry.task is not None:
                    needs[name].append(entry.task if "/" in entry.task else f"{module.name}/{entry.task}")
            before = name
    return needs


def _circles(needs: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, ...]]:
    """Each circle once, found by walking depth first; nodes on finished paths are not walked again."""
    done: set[str] = set()
    for start in needs:
        trail: list[str] = []
        pending: list[tuple[str, bool]] = [(start, False)]
        while pending:
            name, leaving = pending.pop()
            if leaving:
                trail.pop()
                done.add(name)
            elif name in trail:
                yield tuple(trail[trail.index(name) :])
            elif name not in done and name in needs:
                trail.append(name)
                pending.append((name, True))
                pending += [(other, False) for other in reversed(needs[name])]
