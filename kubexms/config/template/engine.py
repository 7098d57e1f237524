"""Rendering: documents' strings and template files, over a scope that may hold the unknown and the secret."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Template, nodes
from jinja2.parser import Parser

from kubexms.config.template import limits
from kubexms.config.template.environment import TemplateEnvironment, roots
from kubexms.config.template.failure import Locate, Location, failure
from kubexms.config.template.files import BaseDirectory
from kubexms.config.template.plain import to_json_data
from kubexms.config.template.static import foresee, needed
from kubexms.config.template.tracked import Trace, UnknownAccess
from kubexms.config.template.values import RenderedValue
from kubexms.errors import ConfigError
from kubexms.spec.base import Json

_MARK = re.compile(r"\{\{|\{%|\{#")
_RESULT = "kx_result"
_CACHE = 4096


def has_template(value: Json) -> bool:
    """Whether anything in `value` is a template."""
    if isinstance(value, str):
        return _MARK.search(value) is not None
    if isinstance(value, list):
        return any(has_template(item) for item in value)
    return isinstance(value, dict) and any(has_template(item) for item in value.values())


@dataclass(frozen=True, slots=True)
class _Compiled:
    template: Template
    tree: nodes.Template
    native: bool
    """One expression and nothing else: the result keeps its type."""
    text: str


class TemplateEngine:
    """Renders templates whose files live below `base_dir`. Safe to share between threads.

    All methods raise `TemplateError` with the place, the variable and the nearest name; never for
    something unknown, which is recorded in the result instead.
    """

    def __init__(self, base_dir: Path) -> None:
        self.base_dir = base_dir
        self._loader = BaseDirectory(base_dir)
        self._environment = TemplateEnvironment(self._loader)
        self._cache: dict[tuple[str, bool], _Compiled] = {}

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
        compiled = self._compile(inner, at, expression=bare)
        return _result(self._run(compiled, scope, trace, at), trace)

    def render_file(self, path: str | Path, scope: Mapping[str, object]) -> RenderedValue:
        """The text of a template file below `base_dir`."""
        real = self.find(path)
        name = real.relative_to(self.base_dir.resolve()).as_posix()
        at = Location((), None, str(self.base_dir / name))
        try:
            template = self._environment.get_template(name)
            text = self._loader.get_source(self._environment, name)[0]
            tree = self._environment.parse(text, name)
        except Exception as error:  # noqa: BLE001 - constants are computed while compiling
            raise failure(error, at, self.base_dir) from None
        trace = Trace()
        return _result(self._run(_Compiled(template, tree, False, text), scope, trace, at), trace)

    def find(self, path: str | Path) -> Path:
        """The real path of a file below `base_dir`. Raises `ConfigError` when it is elsewhere or missing."""
        return self._loader.find(path)

    def check(self, value: Json, *, locate: Locate | None = None) -> None:
        """Raise `TemplateError` for the first string in `value` that is no valid template."""
        for path, text in _strings(value, ()):
            if has_template(text):
                self._compile(text, Location(path, locate), expression=False)

    def names(self, text: str, *, expression: bool = False, locate: Locate | None = None) -> dict[str, int]:
        """The variables (`x` of `vars.x`) that a template needs, with the line of each.

        Those that it only asks about (`is defined`, `default`) are left out. Raises `TemplateError`.
        """
        inner = text.strip() if expression else text
        bare = expression and _MARK.search(inner) is None
        if not bare and _MARK.search(inner) is None:
            return {}
        return needed(self._compile(inner, Location((), locate), expression=bare).tree)

    def check_expression(self, expression: str, *, locate: Locate | None = None) -> None:
        """Raise `TemplateError` if this is no valid expression."""
        inner = expression.strip()
        self._compile(inner, Location((), locate), expression=_MARK.search(inner) is None)

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
            return self._run(self._compile(value, at, expression=False), scope, trace, at)
        if isinstance(value, list):
            return [self._render(item, scope, trace, (*path, i), locate) for i, item in enumerate(value)]
        if isinstance(value, dict):
            return {k: self._render(v, scope, trace, (*path, k), locate) for k, v in value.items()}
        return value

    def _compile(self, text: str, at: Location, *, expression: bool) -> _Compiled:
        cached = self._cache.get((text, expression))
        if cached is not None:
            return cached
        try:
            compiled = self._build(text, expression)
        except Exception as error:  # noqa: BLE001 - constants are computed while compiling
            raise failure(error, at, self.base_dir) from None
        if len(self._cache) >= _CACHE:
            self._cache.clear()
        self._cache[text, expression] = compiled
        return compiled

    def _build(self, text: str, expression: bool) -> _Compiled:
        environment = self._environment
        if expression:
            parser = Parser(environment, text, state="variable")
            found = environment.bounded(parser.parse_expression())
            if not parser.stream.eos:
                parser.fail("something follows the end of the expression", parser.stream.current.lineno)
            tree = nodes.Template([], lineno=1)
        else:
            tree = environment.parse(text)
            found = _only_expression(tree) or nodes.Const(None)
        native = expression or _only_expression(tree) is not None
        if native:
            assert isinstance(found, nodes.Expr)
            target = nodes.Name(_RESULT, "store", lineno=1)
            tree = nodes.Template([nodes.Assign(target, found, lineno=1)], lineno=1)
        tree.set_environment(environment)
        environment.refuse_unknown(tree)
        code = environment.compile(tree)
        return _Compiled(Template.from_code(environment, code, dict(environment.globals)), tree, native, text)

    def _run(self, compiled: _Compiled, scope: Mapping[str, object], trace: Trace, at: Location) -> Json:
        try:
            context = compiled.template.new_context(dict(roots(scope, trace)))
            output = compiled.template.root_render_func(context)
            if compiled.native:
                for _ in output:
                    pass
                return to_json_data(context.vars[_RESULT])
            return _join(output, trace)
        except UnknownAccess:
            foresee(compiled.tree, scope, trace)
            return None
        except ConfigError:
            raise
        except Exception as error:  # noqa: BLE001 - filters and methods of values may raise anything
            secret_of = compiled.text if trace.sensitive else None
            raise failure(error, at, self.base_dir, tuple(scope), secret_of) from None


def _only_expression(tree: nodes.Template) -> nodes.Expr | None:
    if len(tree.body) != 1 or not isinstance(tree.body[0], nodes.Output):
        return None
    parts = tree.body[0].nodes
    return parts[0] if len(parts) == 1 and not isinstance(parts[0], nodes.TemplateData) else None


def _join(output: Iterator[str], trace: Trace) -> str:
    parts: list[str] = []
    size = 0
    for part in _watched(output, trace):
        size += len(part)
        if size > limits.MAX_OUTPUT:
            raise limits.too_large("the text")
        parts.append(str(part))
    return "".join(parts)


def _watched(output: Iterator[str], trace: Trace) -> Iterator[str]:
    """`output`; a part for which something sensitive was read is a secret, whatever filters made of it."""
    before, trace.sensitive = trace.sensitive, False
    try:
        for part in output:
            if trace.sensitive:
                trace.secrets.add(str(part))
            before, trace.sensitive = before or trace.sensitive, False
            yield part
    finally:
        trace.sensitive = trace.sensitive or before


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
