"""Modules that come from another directory: `source: ./modules/baseline`, `with: {…}`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kubexms.config.discover import Discovery, display
from kubexms.config.documents import Validated
from kubexms.config.flatten import Part, flatten
from kubexms.config.merging import Written, declarations, hooks, pipelines
from kubexms.config.problems import Problems, failed
from kubexms.config.sources import SourceMap
from kubexms.config.suggest import hint
from kubexms.config.values import wrong_value
from kubexms.config.variables import GivenValue, ResolvedVariable, resolve
from kubexms.diagnostics import Diagnostic, Severity
from kubexms.errors import ConfigError
from kubexms.spec.pipeline import Hooks, ModuleSpec, TaskSpec
from kubexms.spec.variable import VariableSpec


@dataclass(frozen=True, slots=True)
class ModuleScope:
    """What belongs to one module: where its files are, and what its templates see as `vars`."""

    base_dir: Path
    variables: Mapping[str, ResolvedVariable]
    outer: ModuleScope | None = None
    """The scope in which its `with` was written; templates there see that one."""


class Expansion:
    """Replaces modules with a `source` by what that directory holds. Each directory is read once."""

    def __init__(self, discovery: Discovery, problems: Problems, sources: SourceMap) -> None:
        self._discovery = discovery
        self._problems = problems
        self._sources = sources
        self._read: dict[Path, list[Written]] = {}

    def expand(self, module: ModuleSpec, scope: ModuleScope) -> tuple[ModuleSpec, ModuleScope]:
        """The module with the tasks of its source, and the scope in which they render.

        The directory's Pipeline documents give the tasks, module after module; the phases between
        those are kept as dependencies. Addresses have the name of the module here. Whatever is wrong
        goes to the problems, and the module then comes back without tasks.
        """
        if module.source is None:
            return module, scope
        try:
            return self._expand(module, scope, module.name, (scope.base_dir,))
        except ConfigError as error:
            where = self._sources.lookup(module.name, field_path=("source",))
            for item in error.diagnostics:
                self._problems.add(
                    item
                    if item.source is not None
                    else Diagnostic(Severity.ERROR, item.summary, item.detail, source=where)
                )
            return module.model_copy(update={"source": None, "with_": {}}), scope

    def _expand(
        self, module: ModuleSpec, scope: ModuleScope, outer_name: str, trail: tuple[Path, ...]
    ) -> tuple[ModuleSpec, ModuleScope]:
        assert module.source is not None
        directory = (scope.base_dir / Path(module.source).expanduser()).resolve()
        if directory in trail:
            path = " -> ".join(display(item) for item in (*trail[trail.index(directory) :], directory))
            raise ConfigError(f"module '{module.name}' contains itself: {path}")
        written = self._directory(directory, module)
        inner = ModuleScope(directory, self._variables(module, written), scope)
        parts: list[Part] = []
        for item in written:
            for index, part in enumerate(item.spec.modules):
                parts.append(self._part(part, item, index, inner, outer_name, (*trail, directory)))
        tasks = flatten(parts)
        self._refuse_duplicates(module, tasks)
        merged = [hooks(written), *(part.module.hooks for part in parts)]
        expanded = module.model_copy(
            update={"tasks": tasks, "source": None, "with_": {}, "hooks": _joined(module.hooks, merged)}
        )
        return expanded, inner

    def _directory(self, directory: Path, module: ModuleSpec) -> list[Written]:
        if directory not in self._read:
            if not directory.is_dir():
                raise ConfigError(f"module '{module.name}': there is no directory {display(directory)}")
            before = self._problems.count
            self._read[directory] = list(pipelines(self._discovery.directory(directory), self._refuse_built))
            if self._problems.count > before:
                self._problems.raise_errors()
        if not self._read[directory]:
            raise ConfigError(f"module '{module.name}': {display(directory)} holds no Pipeline document")
        return self._read[directory]

    def _refuse_built(self, item: Validated) -> None:
        summary = f"a {item.kind.name} is no part of a module"
        detail = "It is a pipeline of its own: put it into the project's directory."
        self._problems.add(item.document.error(("kind",), summary, detail))

    def _part(
        self,
        part: ModuleSpec,
        item: Written,
        index: int,
        inner: ModuleScope,
        outer_name: str,
        trail: tuple[Path, ...],
    ) -> Part:
        path = ("spec", "modules", index)
        if part.source is None:
            self._sources.add_tasks(outer_name, item.document.document, path)
            return Part(part)
        if part.with_:
            # one module has one scope; an inner one with values of its own would need another
            raise failed(
                item.document.document.error(
                    (*path, "with"),
                    f"module '{outer_name}' holds '{part.name}', which gives values to its own source",
                    "Name that directory as a module of the outer pipeline; 'with' works one level deep.",
                    key=True,
                )
            )
        expanded, scope = self._expand(part, inner, outer_name, trail)
        if scope.base_dir != inner.base_dir and _needs_scope(expanded, scope):
            raise failed(
                item.document.document.error(
                    (*path, "source"),
                    f"module '{outer_name}' holds '{part.name}', which has variables or files of its own",
                    "Name that directory as a module of the outer pipeline.",
                )
            )
        return Part(expanded)

    def _variables(self, module: ModuleSpec, written: Sequence[Written]) -> dict[str, ResolvedVariable]:
        declared = declarations(written, self._problems)
        for name in module.with_:
            if name not in declared:
                where = self._sources.lookup(module.name, field_path=("with", name), key=True)
                summary = f"module '{module.name}' declares no variable '{name}'"
                detail = hint(name, declared, "variables of the module")
                self._problems.add(Diagnostic(Severity.ERROR, summary, detail, source=where))
            else:
                self._check(module, name, declared[name])
        given = {name: GivenValue(value, "with") for name, value in module.with_.items() if name in declared}
        missing = [name for name, spec in declared.items() if _needed(spec) and name not in given]
        if missing:
            where = self._sources.lookup(module.name)
            summary = f"module '{module.name}' needs values for {', '.join(missing)}"
            self._problems.add(Diagnostic(Severity.ERROR, summary, "Give them in 'with'.", source=where))
        ready = {name: spec for name, spec in declared.items() if name not in missing}
        places = {name: item.document.document for item in written for name in item.spec.variables}
        return resolve(ready, given, (), places, Problems())

    def _check(self, module: ModuleSpec, name: str, spec: VariableSpec) -> None:
        wrong = wrong_value(spec, module.with_[name])
        if wrong is not None:
            where = self._sources.lookup(module.name, field_path=("with", name))
            summary = f"variable '{name}' of module '{module.name}' {wrong}"
            self._problems.add(Diagnostic(Severity.ERROR, summary, source=where))

    def _refuse_duplicates(self, module: ModuleSpec, tasks: Sequence[TaskSpec]) -> None:
        seen: set[str] = set()
        for task in tasks:
            if task.name in seen:
                raise ConfigError(
                    f"module '{module.name}' would hold the task '{task.name}' twice",
                    detail="The modules of a source become one; rename a task there.",
                )
            seen.add(task.name)


def _needed(spec: VariableSpec) -> bool:
    return spec.value_from is None and (spec.required or (not spec.nullable and spec.default is None))


def _needs_scope(module: ModuleSpec, scope: ModuleScope) -> bool:
    return bool(scope.variables) or any(
        "source" in s.args or "template" in s.args for t in module.tasks for s in t.steps
    )


def _joined(first: Hooks, others: Sequence[Hooks]) -> Hooks:
    every = [first, *others]
    return Hooks(
        pre=tuple(hook for one in every for hook in one.pre),
        post=tuple(hook for one in every for hook in one.post),
        on_failure=tuple(hook for one in every for hook in one.on_failure),
    )
