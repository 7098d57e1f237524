"""Templates, checked before any host is asked: their syntax, and the variables that they name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from kubexms.config.expansion import ModuleScope
from kubexms.config.sources import SourceMap
from kubexms.config.suggest import hint
from kubexms.config.template import TemplateEngine
from kubexms.diagnostics import Diagnostic, Severity, SourceRange
from kubexms.errors import ConfigError
from kubexms.spec.base import Json
from kubexms.spec.inventory import Host
from kubexms.spec.pipeline import PipelineSpec, StepSpec

Where = tuple[str, str, str]


def templates(
    pipeline: PipelineSpec, scopes: Mapping[str, ModuleScope], hosts: Sequence[Host], sources: SourceMap
) -> Iterator[Diagnostic]:
    """Templates that are not valid, and names below `vars` that nothing declares."""
    engines: dict[Path, TemplateEngine] = {}
    inventory_vars = {name for host in hosts for name in host.vars}
    for module in pipeline.modules:
        scope = scopes[module.name]
        engine = engines.setdefault(scope.base_dir, TemplateEngine(scope.base_dir))
        check = _Check(engine, frozenset(inventory_vars | set(scope.variables)), sources)
        yield from check.expression(module.when, (module.name, "", ""), ("when",))
        for task in module.tasks:
            yield from check.expression(task.when, (module.name, task.name, ""), ("when",))
            for step in task.steps:
                yield from check.step(step, (module.name, task.name, step.name))


class _Check:
    def __init__(self, engine: TemplateEngine, known: frozenset[str], sources: SourceMap) -> None:
        self._engine = engine
        self._known = known
        self._sources = sources

    def step(self, step: StepSpec, where: Where) -> Iterator[Diagnostic]:
        """Every template of one step."""
        yield from self.expression(step.when, where, ("when",))
        each: Json = step.for_each if isinstance(step.for_each, (str, dict)) else list(step.for_each or ())
        yield from self.value(each, where, ("forEach",))
        yield from self.value(list(step.triggers), where, ("triggers",))
        for name, value in step.args.items():
            yield from self.value(value, where, (name,))

    def expression(
        self, text: str | bool | None, where: Where, path: tuple[str | int, ...]
    ) -> Iterator[Diagnostic]:
        """A condition."""
        if isinstance(text, str):
            yield from self._names(text, where, path, expression=True)

    def value(self, value: Json, where: Where, path: tuple[str | int, ...]) -> Iterator[Diagnostic]:
        """Every string in a value."""
        if isinstance(value, str):
            yield from self._names(value, where, path, expression=False)
        elif isinstance(value, list):
            for index, item in enumerate(value):
                yield from self.value(item, where, (*path, index))
        elif isinstance(value, dict):
            for key, item in value.items():
                yield from self.value(item, where, (*path, key))

    def _names(
        self, text: str, where: Where, path: tuple[str | int, ...], *, expression: bool
    ) -> Iterator[Diagnostic]:
        def locate(path_inside: tuple[str | int, ...], line: int) -> SourceRange | None:
            several = "\n" in text
            return self._sources.lookup(*where, (*path, *path_inside), line=line if several else 0)

        try:
            found = self._engine.names(text, expression=expression, locate=locate)
        except ConfigError as error:
            yield from error.diagnostics
            return
        for name, line in found.items():
            if name in self._known:
                continue
            summary = f"the template names 'vars.{name}', which nothing declares"
            detail = hint(name, self._known, "variables")
            yield Diagnostic(Severity.ERROR, summary, detail, source=locate((), line))
