"""Modules that come from another directory: `source: ./modules/baseline`, `with: {…}`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kubexms.config.documents import Validated
from kubexms.config.sources import SourceMap
from kubexms.config.variables import GivenValue, ResolvedVariable, resolve
from kubexms.diagnostics import Diagnostic, Severity
from kubexms.errors import ConfigError
from kubexms.spec.pipeline import ModuleSpec, PipelineSpec, TaskSpec


@dataclass(frozen=True, slots=True)
class ModuleScope:
    """What belongs to one module: where its files are, and what its templates see as `vars`."""

    base_dir: Path
    variables: Mapping[str, ResolvedVariable]
    outer: ModuleScope | None = None
    """The scope in which its `with` was written; templates there see that one."""


ReadDirectory = Callable[[Path], Sequence[Validated]]


def expand_module(
    module: ModuleSpec,
    scope: ModuleScope,
    read: ReadDirectory,
    sources: SourceMap,
    trail: tuple[Path, ...] = (),
) -> tuple[ModuleSpec, ModuleScope]:
    """The module with the tasks of its source, and the scope in which they render.

    The source directory's Pipeline documents give the tasks, all of their modules' one after the other;
    addresses have the name of the module here. Raises `ConfigError`: no pipeline, a task name twice,
    modules that contain themselves, values in `with` that nothing declares.
    """
    if module.source is None:
        return module, scope
    directory = (scope.base_dir / module.source).resolve()
    where = sources.lookup(module.name, field_path=("source",))
    if directory in trail:
        path = " -> ".join(str(item) for item in (*trail, directory))
        raise _error(f"module '{module.name}' contains itself: {path}", "", where)
    if not directory.is_dir():
        raise _error(f"module '{module.name}': {directory} is not a directory", "", where)
    pipelines = [item for item in read(directory) if isinstance(item.spec, PipelineSpec)]
    if not pipelines:
        raise _error(f"module '{module.name}': {directory} holds no Pipeline document", "", where)
    declared = {name: spec for item in pipelines for name, spec in item.spec.variables.items()}  # type: ignore[attr-defined]
    unknown = sorted(set(module.with_) - set(declared))
    if unknown:
        names = ", ".join(sorted(declared)) or "nothing"
        raise _error(
            f"module '{module.name}' declares no variable '{unknown[0]}'", f"It declares {names}.", where
        )
    given = {name: GivenValue(value, "with") for name, value in module.with_.items()}
    variables, missing = resolve(declared, given)
    if missing:
        raise _error(f"module '{module.name}' needs {', '.join(missing)}", "Give them in 'with'.", where)
    inner = ModuleScope(directory, variables, scope)
    tasks: list[TaskSpec] = []
    for item in pipelines:
        assert isinstance(item.spec, PipelineSpec)
        for index, part in enumerate(item.spec.modules):
            if part.source is not None:
                raise _error(
                    f"module '{module.name}': its source takes a module from elsewhere itself",
                    "Name that directory as a module of the pipeline.",
                    where,
                )
            sources.add_tasks(module.name, item.document, ("spec", "modules", index))
            narrowed = [
                task.model_copy(update={"run_on_roles": task.run_on_roles or part.run_on_roles})
                for task in part.tasks
            ]
            tasks += narrowed
    names_seen: set[str] = set()
    for task in tasks:
        if task.name in names_seen:
            raise _error(
                f"module '{module.name}' would hold task '{task.name}' twice",
                "Rename one in its source.",
                where,
            )
        names_seen.add(task.name)
    return module.model_copy(update={"tasks": tuple(tasks), "source": None, "with_": {}}), inner


def _error(summary: str, detail: str, where: object) -> ConfigError:
    from kubexms.diagnostics import SourceRange

    place = where if isinstance(where, SourceRange) else None
    return ConfigError(
        summary, detail=detail, diagnostics=[Diagnostic(Severity.ERROR, summary, detail, source=place)]
    )
