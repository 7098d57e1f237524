"""Several modules as one: their tasks in a row, with the phases between them kept as dependencies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kubexms.spec.pipeline import Dependency, ModuleSpec, Strategy, TaskSpec, WaitScope


@dataclass(frozen=True, slots=True)
class Part:
    """One module of a source, with its tasks."""

    module: ModuleSpec


def flatten(parts: Sequence[Part]) -> tuple[TaskSpec, ...]:
    """The tasks of all parts, in order.

    What a part says for all of its tasks (roles, condition, strategy) goes to each of them. A part
    begins when those it depends on (by default the one before it) have finished on every host.
    """
    by_name = {part.module.name: part.module for part in parts}
    found: list[TaskSpec] = []
    before: ModuleSpec | None = None
    for part in parts:
        module = part.module
        waits = _waits(module, before, by_name)
        for index, task in enumerate(module.tasks):
            found.append(_moved_in(task, module, by_name, waits, first=index == 0))
        before = module
    return tuple(found)


def _waits(
    module: ModuleSpec, before: ModuleSpec | None, by_name: Mapping[str, ModuleSpec]
) -> tuple[Dependency, ...]:
    if module.depends_on is None:
        return _all_of(before) if before is not None else ()
    found: list[Dependency] = []
    for entry in module.depends_on:
        name = entry if isinstance(entry, str) else entry.module or entry.task or ""
        if name in by_name:
            found += _all_of(by_name[name])
        else:
            found.append(Dependency(task=name.partition("/")[2] or name, scope=WaitScope.ALL))
    return tuple(found)


def _all_of(module: ModuleSpec) -> tuple[Dependency, ...]:
    return tuple(Dependency(task=task.name, scope=WaitScope.ALL) for task in module.tasks)


def _moved_in(
    task: TaskSpec,
    module: ModuleSpec,
    by_name: Mapping[str, ModuleSpec],
    waits: tuple[Dependency, ...],
    *,
    first: bool,
) -> TaskSpec:
    depends = task.depends_on
    if depends is not None:
        depends = tuple(one for entry in depends for one in _renamed(entry, by_name))
    if (first and depends is None) or depends == ():
        depends = waits
    when = _both(module.when, task.when)
    roles = task.run_on_roles or module.run_on_roles
    if task.run_on_roles and module.run_on_roles:
        # a host needs one role of each list, which one list cannot say
        when = _both(" or ".join(f"{role!r} in host.roles" for role in module.run_on_roles), when)
    strategy = module.strategy if task.strategy == Strategy() else task.strategy
    return task.model_copy(
        update={"depends_on": depends, "when": when, "run_on_roles": roles, "strategy": strategy}
    )


def _renamed(entry: Dependency, by_name: Mapping[str, ModuleSpec]) -> tuple[Dependency, ...]:
    if entry.module is not None and entry.module in by_name:
        return _all_of(by_name[entry.module])
    first, slash, rest = (entry.task or "").partition("/")
    if slash and first in by_name:
        return (entry.model_copy(update={"task": rest, "scope": entry.scope or WaitScope.ALL}),)
    return (entry,)


def _both(first: str | bool | None, second: str | bool | None) -> str | bool | None:
    if first is False or second is False:
        return False
    found = [_bare(one) for one in (first, second) if isinstance(one, str)]
    if not found:
        return first if first is not None else second
    return found[0] if len(found) == 1 else " and ".join(f"({one})" for one in found)


def _bare(expression: str) -> str:
    text = expression.strip()
    if text.startswith("{{") and text.endswith("}}") and "{{" not in text[2:]:
        return text[2:-2].strip()
    return text
