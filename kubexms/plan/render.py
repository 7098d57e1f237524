"""Source steps to rendered ones: templates, controller files, types, and what is not known yet."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import JsonValue, TypeAdapter, ValidationError

from kubexms.config.template import RenderedValue, TemplateEngine
from kubexms.errors import ConfigError
from kubexms.plan.assets import Assets, cache_file
from kubexms.plan.blame import Blame, misfit
from kubexms.plan.rendered import Rendered
from kubexms.spec.pipeline import StepSpec
from kubexms.step.contract import StepArgs, StepExecutor
from kubexms.step.registry import Registry, has_template

Scope = Mapping[str, object]

_MOVING = ("facts", "outputs", "hosts")
"""What templates read that may change while a plan is made."""

_PLACEHOLDERS: tuple[JsonValue, ...] = (
    "unknown",
    "/unknown",
    "0",
    "",
    0,
    1,
    False,
    [],
    {},
    ["unknown"],
    "0644",
    "0" * 64,
)


class StepRenderer:
    """Renders the fields of steps. Steps without templates are rendered once for all hosts.

    Not thread-safe. Raises `ConfigError` (`TemplateError`); with `blame` it names the field's place.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._assets = Assets(cache_file(os.environ))
        self._engines: dict[Path, TemplateEngine] = {}
        self._constant: dict[tuple[int, Path], tuple[StepSpec, Rendered]] = {}
        self._settled: dict[tuple[object, ...], Rendered] = {}
        self._placeholders: dict[tuple[type[StepArgs], str], JsonValue] = {}

    def engine(self, base: Path) -> TemplateEngine:
        """The template engine for documents of a directory."""
        if base not in self._engines:
            self._engines[base] = TemplateEngine(base)
        return self._engines[base]

    def render(
        self,
        step: StepSpec,
        scope: Scope,
        base: Path,
        blame: Blame | None = None,
        memo: tuple[str, ...] = (),
    ) -> Rendered:
        """The rendered step of one host.

        `memo` names the host and the `forEach` key: what read nothing that moves during a plan
        (facts, outputs) is rendered once for them.
        """
        key = (id(step), base)
        if key in self._constant:
            return self._constant[key][1]
        own = (*key, *memo)
        if memo and own in self._settled:
            return self._settled[own]
        executor = self._registry.get(step.kind)
        rendered = self._render(executor, step, scope, base, blame)
        if not _depends_on_host(_fields_of(executor.spec), step):
            self._constant[key] = (step, rendered)
        elif memo and not any(name.startswith(_MOVING) for name in rendered.reads):
            self._settled[own] = rendered
        return rendered

    def _render(
        self, executor: StepExecutor[Any], step: StepSpec, scope: Scope, base: Path, blame: Blame | None
    ) -> Rendered:
        model = executor.spec
        engine = self.engine(base)
        fields = _fields_of(model)
        data: dict[str, object] = {}
        unknown: dict[str, str] = {}
        sensitive: set[str] = set()
        reads: set[str] = set()
        secrets: set[str] = set()
        for alias, value in step.args.items():
            name, marker = fields.get(alias, (alias, ""))
            try:
                result = _field(engine, value, scope, marker)
                asset = marker == "asset" and isinstance(result.value, str) and not result.unknown
                content = self._assets.get(base, str(result.value)) if asset else result.value
            except ConfigError as error:
                raise (blame.placed(error, alias) if blame is not None else error) from error
            reads |= result.reads
            secrets |= result.secrets
            if result.sensitive or step.sensitive:
                sensitive.add(name)
            if result.unknown:
                unknown[name] = min(result.unknown)
                data[name] = self._placeholder(model, name)
            else:
                data[name] = content
        try:
            spec = model.model_validate(data)
        except ValidationError as error:
            if not unknown:
                field, told = misfit(error, step)
                raise (blame.placed(told, field) if blame is not None else told) from error
            spec = model.model_construct(None, **_validated(model, data))
        return Rendered(executor, spec, unknown, frozenset(sensitive), frozenset(reads), frozenset(secrets))

    def _placeholder(self, model: type[StepArgs], name: str) -> JsonValue:
        """Any value that the field accepts; it means nothing and is never shown."""
        key = (model, name)
        if key not in self._placeholders:
            info = model.model_fields[name]
            adapter: TypeAdapter[object] = TypeAdapter(info.rebuild_annotation())
            for candidate in _PLACEHOLDERS:
                try:
                    adapter.validate_python(candidate)
                except ValidationError:
                    continue
                self._placeholders[key] = candidate
                break
            else:
                self._placeholders[key] = None
        return self._placeholders[key]


def _field(engine: TemplateEngine, value: JsonValue, scope: Scope, marker: str) -> RenderedValue:
    if marker == "templateFile" and isinstance(value, str):
        name = engine.render(value, scope)
        if name.unknown or not isinstance(name.value, str):
            return name
        return engine.render_file(Path(name.value), scope)
    return engine.render(value, scope)


@functools.cache
def _fields_of(model: type[StepArgs]) -> Mapping[str, tuple[str, str]]:
    """Alias -> (field name, marker: `asset`, `templateFile` or nothing)."""
    found: dict[str, tuple[str, str]] = {}
    for name, info in model.model_fields.items():
        extra = info.json_schema_extra
        found[info.alias or name] = (name, str(extra.get("x-kubexms", "")) if isinstance(extra, dict) else "")
    return found


def _depends_on_host(fields: Mapping[str, tuple[str, str]], step: StepSpec) -> bool:
    return any(
        has_template(value) or fields.get(alias, ("", ""))[1] == "templateFile"
        for alias, value in step.args.items()
    )


def _validated(model: type[StepArgs], data: Mapping[str, object]) -> dict[str, Any]:
    """Each field checked alone: used where placeholders cannot satisfy a rule across fields."""
    values: dict[str, Any] = {}
    for name, value in data.items():
        adapter: TypeAdapter[object] = TypeAdapter(model.model_fields[name].rebuild_annotation())
        try:
            values[name] = adapter.validate_python(value)
        except ValidationError:
            values[name] = value
    return values
