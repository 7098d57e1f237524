"""Compiling and running templates. Imported where the first one is met: Jinja2 takes a while."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Template, nodes
from jinja2.parser import Parser

from kubexms.config.template import limits
from kubexms.config.template.environment import TemplateEnvironment, roots
from kubexms.config.template.failure import failure
from kubexms.config.template.files import BaseDirectory
from kubexms.config.template.location import Location
from kubexms.config.template.plain import to_json_data
from kubexms.config.template.static import foresee, needed
from kubexms.config.template.tracked import Trace, UnknownAccess
from kubexms.errors import ConfigError
from kubexms.spec.base import Json

_RESULT = "kx_result"
_CACHE = 4096


@dataclass(frozen=True, slots=True)
class Compiled:
    """A template that can be run."""

    template: Template
    tree: nodes.Template
    native: bool
    """One expression and nothing else: the result keeps its type."""
    text: str


class Compiler:
    """Compiles and runs the templates of one directory. Safe to share between threads."""

    def __init__(self, base_dir: Path) -> None:
        self.base_dir = base_dir
        self._loader = BaseDirectory(base_dir)
        self._environment = TemplateEnvironment(self._loader)
        self._cache: dict[tuple[str, bool], Compiled] = {}

    def needed(self, text: str, at: Location, *, expression: bool) -> dict[str, int]:
        """The variables that it needs; see `TemplateEngine.names`."""
        return needed(self.compile(text, at, expression=expression).tree)

    def file(self, name: str, at: Location) -> Compiled:
        """A template file, by its name below the directory. Raises `TemplateError`."""
        try:
            template = self._environment.get_template(name)
            text = self._loader.get_source(self._environment, name)[0]
            tree = self._environment.parse(text, name)
        except Exception as error:  # noqa: BLE001 - constants are computed while compiling
            raise failure(error, at, self.base_dir) from None
        return Compiled(template, tree, False, text)

    def compile(self, text: str, at: Location, *, expression: bool) -> Compiled:
        """A text, or a bare expression. Raises `TemplateError`."""
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

    def _build(self, text: str, expression: bool) -> Compiled:
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
        return Compiled(Template.from_code(environment, code, dict(environment.globals)), tree, native, text)

    def run(self, compiled: Compiled, scope: Mapping[str, object], trace: Trace, at: Location) -> Json:
        """The result; what it read goes to `trace`. None where it met something unknown."""
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
            self._suppose(compiled, scope, trace)
            return None
        except ConfigError:
            raise
        except Exception as error:  # noqa: BLE001 - filters and methods of values may raise anything
            secret_of = compiled.text if trace.sensitive else None
            raise failure(error, at, self.base_dir, tuple(scope), secret_of) from None

    def _suppose(self, compiled: Compiled, scope: Mapping[str, object], trace: Trace) -> None:
        """Add to `trace` what else is unknown that the template reads, as far as running it on can tell.

        Names that are made while it runs (`outputs[step ~ '@' ~ host.name]`, in a loop) are in no text.
        """
        supposed = Trace(supposing=True)
        # what fails here may do so only because of what was supposed
        with contextlib.suppress(Exception):
            context = compiled.template.new_context(dict(roots(scope, supposed)))
            _join(compiled.template.root_render_func(context), supposed)
        trace.unknown |= supposed.unknown
        trace.reads |= supposed.unknown_at
        trace.sensitive |= supposed.sensitive


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
