"""The order of things by names, for those who read a plan: small, and made without a graph.

What runs by is the graph of `kubexms.graph`, which has every host in it; this says the same of
modules, tasks and steps alone.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable

from kubexms.plan.model import OrderedModule, OrderedStep, OrderedTask
from kubexms.plan.working import PlannedStep
from kubexms.spec.pipeline import Dependency, ModuleSpec, PipelineSpec, StepSpec

_PATH = re.compile(r"[^/@\[\]]*/[^/@\[\]]*/[^/@\[\]]+")
"""`module/task/step` at the start of an address."""


def order_of(pipeline: PipelineSpec, steps: Iterable[PlannedStep]) -> tuple[OrderedModule, ...]:
    """Every module, task and step of the merged pipeline in the order of the documents, with its waits."""
    waits: dict[str, set[str]] = defaultdict(set)
    for step in steps:
        others = (*step.depends_on, *step.data)
        if others:
            own = _path(str(step.instance.address))
            waits[own].update(path for path in map(_path, others) if path != own)
    return tuple(
        OrderedModule(
            name=module.name,
            after=_after_of_module(module, before),
            tasks=_tasks(module, waits),
        )
        for before, module in zip((None, *pipeline.modules), pipeline.modules, strict=False)
    )


def phases_before(pipeline: PipelineSpec) -> dict[str, tuple[str, ...]]:
    """For each module those that are done before it begins, directly or not, in the documents' order."""
    pairs = zip((None, *pipeline.modules), pipeline.modules, strict=False)
    direct = {
        module.name: {name.partition("/")[0] for name in _after_of_module(module, previous)} - {module.name}
        for previous, module in pairs
    }
    found: dict[str, tuple[str, ...]] = {}
    for name in direct:
        reached, waiting = set[str](), [name]
        while waiting:
            further = direct.get(waiting.pop(), set()) - reached
            reached |= further
            waiting += further
        found[name] = tuple(module.name for module in pipeline.modules if module.name in reached)
    return found


def _path(address: str) -> str:
    match = _PATH.match(address)
    return match[0] if match else address


def _after_of_module(module: ModuleSpec, before: ModuleSpec | None) -> tuple[str, ...]:
    if module.depends_on is None:
        return () if before is None else (before.name,)
    return tuple(
        entry if isinstance(entry, str) else _named(entry, module.name) for entry in module.depends_on
    )


def _tasks(module: ModuleSpec, waits: dict[str, set[str]]) -> tuple[OrderedTask, ...]:
    found: list[OrderedTask] = []
    for task in module.tasks:
        path = f"{module.name}/{task.name}"
        if task.depends_on is not None:
            after = tuple(_named(entry, module.name) for entry in task.depends_on)
        else:
            after = (f"{module.name}/{found[-1].name}",) if found else ()
        steps = tuple(_step(step, waits.get(f"{path}/{step.name}", set())) for step in task.steps)
        found.append(OrderedTask(name=task.name, after=after, steps=steps))
    return tuple(found)


def _step(step: StepSpec, waits: set[str]) -> OrderedStep:
    return OrderedStep(name=step.name, after=tuple(sorted(waits)))


def _named(entry: Dependency, module: str) -> str:
    """`module/task` or `module`, as `kubexms.graph.names` reads an entry."""
    if entry.module is not None:
        return f"{entry.module}/{entry.task}" if entry.task else entry.module
    task = entry.task or ""
    return task if "/" in task else f"{module}/{task}"
