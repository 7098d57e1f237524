"""Rendering: documents' strings and template files, over a scope that may hold the unknown and the secret."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from kubexms.config.template.location import Locate, Location, find_below
from kubexms.config.template.tracked import Trace
from kubexms.config.template.values import RenderedValue
from kubexms.spec.base import Json

if TYPE_CHECKING:
    from kubexms.config.template.compiled import Compiler

_MARK = re.compile(r"\{\{|\{%|\{#")


def has_template(value: Json) -> bool:
    """Whether anything in `value` is a template."""
    if isinstance(value, str):
        return _MARK.search(value) is not None
    if isinstance(value, list):
        return any(has_template(item) for item in value)
    return isinstance(value, dict) and any(has_template(item) for item in value.values())


class TemplateEngine:
    """Renders templates whose files live below `base_dir`. Safe to share between threads.

    All methods raise `TemplateError` with the place, the variable and the nearest name; never for
    something unknown, which is recorded in the result instead.
    """

    def __init__(self, base_dir: Path) -> None:
        self.base_dir = base_dir

    @functools.cached_property
    def _compiler(self) -> Compiler:
        from kubexms.config.template.compiled import Compiler

        return Compiler(self.base_dir)

    def render(
        self, value: Json, scope: Mapping[str, object], *, locate: Locate | None = None
    ) -> RenderedValue:
        """`value` with every string in it rendered; mapping keys are left alone.

        A string that is exactly one `{{ expression }}` keeps the type of its result. Where a part
        is unknown, so is the whole.
        """
        trace = Trace()
        rendered = self._render(value, scope, trace, (), locate)
        return _result(rendered, trace)

    def evaluate(
        self, expression: Json, scope: Mapping[str, object], *, locate: Locate | None = None
    ) -> RenderedValue:
        """The value of an expression (`when`), with or without `{{ }}` around it; data stands for itself."""
        if not isinstance(expression, str):
            return self.render(expression, scope, locate=locate)
        trace = Trace()
        at = Location((), locate)
        inner = expression.strip()
        bare = _MARK.search(inner) is None
        compiled = self._compiler.compile(inner, at, expression=bare)
        return _result(self._compiler.run(compiled, scope, trace, at), trace)

    def render_file(self, path: str | Path, scope: Mapping[str, object]) -> RenderedValue:
        """The text of a template file below `base_dir`."""
        real = self.find(path)
        name = real.relative_to(self.base_dir.resolve()).as_posix()
        at = Location((), None, str(self.base_dir / name))
        trace = Trace()
        compiled = self._compiler.file(name, at)
        return _result(self._compiler.run(compiled, scope, trace, at), trace)

    def find(self, path: str | Path) -> Path:
        """The real path of a file below `base_dir`. Raises `ConfigError` when it is elsewhere or missing."""
        return find_below(self.base_dir, path)

    def check(self, value: Json, *, locate: Locate | None = None) -> None:
        """Raise `TemplateError` for the first string in `value` that is no valid template."""
        for path, text in _strings(value, ()):
            if has_template(text):
                self._compiler.compile(text, Location(path, locate), expression=False)

    def names(self, text: str, *, expression: bool = False, locate: Locate | None = None) -> dict[str, int]:
        """The variables (`x` of `vars.x`) that a template needs, with the line of each.

        Those that it only asks about (`is defined`, `default`) are left out. Raises `TemplateError`.
        """
        inner = text.strip() if expression else text
        bare = expression and _MARK.search(inner) is None
        if not bare and _MARK.search(inner) is None:
            return {}
        return self._compiler.needed(inner, Location((), locate), expression=bare)

    def check_expression(self, expression: str, *, locate: Locate | None = None) -> None:
        """Raise `TemplateError` if this is no valid expression."""
        inner = expression.strip()
        self._compiler.compile(inner, Location((), locate), expression=_MARK.search(inner) is None)

    def _render(
        self,
        value: Json,
        scope: Mapping[str, object],
        trace: Trace,
        path: tuple[str | int, ...],
        locate: Locate | None,
    ) -> Json:
        if isinstance(value, str):
            if _MARK.search(value) is None:
                return value
            at = Location(path, locate)
            return self._compiler.run(self._compiler.compile(value, at, expression=False), scope, trace, at)
        if isinstance(value, list):
            return [self._render(item, scope, trace, (*path, i), locate) for i, item in enumerate(value)]
        if isinstance(value, dict):
            return {k: self._render(v, scope, trace, (*path, k), locate) for k, v in value.items()}
        return value


def _result(value: Json, trace: Trace) -> RenderedValue:
    unknown, reads, secrets = frozenset(trace.unknown), frozenset(trace.reads), frozenset(trace.secrets)
    return RenderedValue(value, unknown, trace.sensitive, reads, secrets)


def _strings(value: Json, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _strings(item, (*path, index))
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _strings(item, (*path, key))
