"""`dependsOn` between tasks and modules: from names to requirements, checked before any host is looked at."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

import networkx as nx

from kubexms.errors import GraphError
from kubexms.graph.model import Dag, Requirement, TaskKey
from kubexms.graph.wiring import cycle_error
from kubexms.spec.pipeline import Dependency, ModuleSpec, PipelineSpec, WaitScope


def requirements(pipeline: PipelineSpec) -> dict[TaskKey, tuple[Requirement, ...]]:
    """What every task and module that has a `dependsOn` names; those without one have no entry.

    Raises `GraphError` for names that do not exist, and for cycles.
    """
    tasks = [(module.name, task.name) for module in pipeline.modules for task in module.tasks]
    known = {(module.name, ""): None for module in pipeline.modules} | dict.fromkeys(tasks)
    found: dict[TaskKey, tuple[Requirement, ...]] = {}
    for module in pipeline.modules:
        if module.depends_on is not None:
            entries = tuple(_of_module(entry) for entry in module.depends_on)
            found[module.name, ""] = tuple(_resolve(entry, module, "", known) for entry in entries)
        for task in module.tasks:
            if task.depends_on is not None:
                found[module.name, task.name] = tuple(
                    _resolve(entry, module, task.name, known) for entry in task.depends_on
                )
    _refuse_cycles(pipeline, found)
    return found


def _of_module(entry: str | Dependency) -> Dependency:
    if isinstance(entry, Dependency):
        return entry
    return Dependency(task=entry) if "/" in entry else Dependency(module=entry)


def _resolve(entry: Dependency, module: ModuleSpec, task: str, known: Mapping[TaskKey, None]) -> Requirement:
    who = f"{module.name}/{task}" if task else module.name
    if entry.task is not None and entry.module is None:
        first, slash, rest = entry.task.partition("/")
        key = (first, rest) if slash else (module.name, first)
    elif entry.module is not None:
        key = (entry.module, entry.task or "")
    else:
        raise GraphError(f"an entry of dependsOn of '{who}' names neither a task nor a module")
    if key not in known:
        raise _unknown(key, who, entry, known)
    inside = key[0] == module.name and bool(task) and bool(key[1])
    scope = entry.scope or (WaitScope.HOST if inside else WaitScope.ALL)
    return Requirement(on=key, same_host=scope is WaitScope.HOST)


def _unknown(key: TaskKey, who: str, entry: Dependency, known: Mapping[TaskKey, None]) -> GraphError:
    named = entry.task or entry.module or ""
    what = "task" if key[1] else "module"
    choices = ["/".join(filter(None, name)) for name in known if bool(name[1]) == bool(key[1])]
    close = difflib.get_close_matches("/".join(filter(None, key)), choices, n=1, cutoff=0.4)
    hint = f"Did you mean '{close[0]}'?" if close else f"There is: {', '.join(choices[:10]) or 'none'}."
    return GraphError(f"'{who}' depends on '{named}', and there is no such {what}", detail=hint)


def _refuse_cycles(pipeline: PipelineSpec, found: Mapping[TaskKey, tuple[Requirement, ...]]) -> None:
    """Names may form a cycle that no host closes, and a cycle of names reads better than one of steps."""
    names: Dag = nx.DiGraph()
    earlier: ModuleSpec | None = None
    for module in pipeline.modules:
        begin, end = f"{module.name} (begin)", module.name
        names.add_edge(begin, end)
        for requirement in found.get((module.name, ""), ()):
            names.add_edge("/".join(filter(None, requirement.on)), begin)
        if (module.name, "") not in found and earlier is not None:
            names.add_edge(earlier.name, begin)
        earlier = module
        _task_names(names, module, begin, found)
    if nx.is_directed_acyclic_graph(names):
        return
    path = [before for before, *_ in nx.find_cycle(names)]
    shown = [name for name in path if not name.endswith(" (begin)")]
    raise cycle_error(shown, "task" if any("/" in name for name in shown) else "module")


def _task_names(
    names: Dag, module: ModuleSpec, begin: str, found: Mapping[TaskKey, tuple[Requirement, ...]]
) -> None:
    previous: Sequence[str] = ()
    for task in module.tasks:
        name = f"{module.name}/{task.name}"
        names.add_edge(begin, name)
        names.add_edge(name, module.name)
        wanted = found.get((module.name, task.name))
        befores = previous if wanted is None else ["/".join(filter(None, item.on)) for item in wanted]
        for before in befores:
            names.add_edge(before, name)
        previous = (name,)
