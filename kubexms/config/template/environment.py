"""The Jinja2 environment: sandboxed, immutable, strict, bounded."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from jinja2 import BaseLoader, StrictUndefined, nodes, pass_context
from jinja2.exceptions import SecurityError, TemplateAssertionError
from jinja2.runtime import Context, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

from kubexms.config.suggest import did_you_mean
from kubexms.config.template import limits
from kubexms.config.template.filters import FILTERS, GUARDED, NEEDS_PLAIN
from kubexms.config.template.tracked import Trace, TrackedList, TrackedMap, detach

_METHODS = frozenset({"get", "items", "keys", "values"})
_WIDE = frozenset({"center", "expandtabs", "join", "ljust", "replace", "rjust", "translate", "zfill"})


@dataclass(slots=True)
class Root:
    """A name of the scope, opened only when a template names it."""

    raw: object
    name: str
    trace: Trace
    loops: list[int]


class _Context(Context):
    def resolve_or_missing(self, key: str) -> Any:
        value = super().resolve_or_missing(key)
        return value.trace.open(value.raw, value.name) if isinstance(value, Root) else value


class _Bounds(NodeTransformer):
    """Puts counters and size checks where Jinja2 has no hook for them."""

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802 - the visitor's protocol
        self.generic_visit(node)
        items = nodes.List(node.nodes, lineno=node.lineno)
        return nodes.Filter(items, "_concat", [], [], None, None, lineno=node.lineno)

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802 - the visitor's protocol
        self.generic_visit(node)
        node.iter = nodes.Filter(node.iter, "_count", [], [], None, None, lineno=node.lineno)
        return node


def text_of(value: Any) -> Any:
    """How a value appears inside of text: booleans as in JSON, lists and mappings as JSON."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        raise TypeError("null cannot be put into text; give it a value with the filter 'default(…, true)'")
    if isinstance(value, (TrackedMap, TrackedList, dict, list, tuple)):
        return json.dumps(detach(value), ensure_ascii=False)
    return value


class TemplateEnvironment(ImmutableSandboxedEnvironment):
    """One per base directory; safe to share between threads once built."""

    intercepted_binops = frozenset({"+", "*", "**", "%"})
    context_class = _Context

    def __init__(self, loader: BaseLoader) -> None:
        super().__init__(
            loader=loader,
            undefined=StrictUndefined,
            finalize=text_of,
            keep_trailing_newline=True,
            autoescape=False,
            cache_size=400,
        )
        self.globals.pop("lipsum")
        self.policies["json.dumps_function"] = _dumps
        self.policies["json.dumps_kwargs"] = {"sort_keys": False}
        self.filters.update(FILTERS)
        for name in NEEDS_PLAIN:
            self.filters[name] = _plain_first(self.filters[name])
        for name in GUARDED:
            self.filters[name] = _sized(name, self.filters[name])
        self.filters["_concat"] = _concat
        self.filters["_count"] = _count

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree: nodes.Template = _Bounds().visit(super()._parse(source, name, filename))
        return tree

    def bounded(self, tree: nodes.Node) -> nodes.Node:
        """An expression's tree with the bounds that whole templates get."""
        result: nodes.Node = _Bounds().visit(tree)
        return result

    def refuse_unknown(self, tree: nodes.Node) -> None:
        """Raise for a filter or test that is not there, also where Jinja2 would wait until it is reached."""
        for node in tree.find_all((nodes.Filter, nodes.Test)):
            what, known = ("filter", self.filters) if isinstance(node, nodes.Filter) else ("test", self.tests)
            if node.name not in known:
                names = [name for name in known if not name.startswith("_")]
                message = f"there is no {what} '{node.name}'{did_you_mean(node.name, names)}"
                raise TemplateAssertionError(message, node.lineno or 1)

    def getattr(self, obj: Any, attribute: str) -> Any:
        """`obj.attribute`: entries of the scope first, then the methods that read."""
        if isinstance(obj, TrackedMap):
            return self._entry(obj, attribute, methods=True)
        if isinstance(obj, TrackedList):
            return self.undefined(f"a list has no '{attribute}'", obj=obj, name=attribute)
        return super().getattr(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """`obj[argument]`."""
        if isinstance(argument, (TrackedMap, TrackedList)):
            argument = detach(argument)
        if isinstance(obj, TrackedMap):
            return self._entry(obj, argument, methods=False)
        if isinstance(obj, TrackedList):
            try:
                return obj[argument]
            except IndexError:
                return self.undefined(f"the list has no item {argument} (it has {len(obj)})", obj=obj)
            except TypeError:
                return self.undefined(f"a list has no '{argument}'", obj=obj)
        return super().getitem(obj, argument)

    def _entry(self, obj: TrackedMap, key: Any, *, methods: bool) -> Any:
        if methods and key in _METHODS and key not in obj.names():
            return getattr(obj, key)
        try:
            return obj[key]
        except KeyError:
            hint = did_you_mean(str(key), obj.names())
            return self.undefined(f"'{obj.child(key)}' is undefined{hint}", obj=obj, name=str(key))
        except TypeError:
            return self.undefined(f"{key!r} is no name", obj=obj)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """An arithmetic operator, its result bounded."""
        limits.check_operator(operator, left, right)
        return limits.check_result(super().call_binop(context, operator, left, right))

    def call(self, context: Context, obj: Any, *args: Any, **kwargs: Any) -> Any:
        """A call from within a template, arguments and result bounded."""
        owner = getattr(obj, "__self__", None)
        if isinstance(owner, (str, bytes)):
            name = getattr(obj, "__name__", "")
            if name in _WIDE:
                limits.check_product(owner, *args, *kwargs.values())
            args = tuple(detach(arg) for arg in args)
        return limits.check_result(super().call(context, obj, *args, **kwargs))

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        """The sandbox's stand-in for `str.format`, with the widths bounded."""
        if getattr(value, "__name__", "") in ("format", "format_map"):
            limits.check_format(getattr(value, "__self__", None))
        return super().wrap_str_format(value)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """As the sandbox says, and nothing of the views' own."""
        return not isinstance(obj, (TrackedMap, TrackedList)) and super().is_safe_attribute(obj, attr, value)


def _dumps(value: Any, **options: Any) -> str:
    return json.dumps(detach(value), **options)


def _plain_first(function: Callable[..., Any]) -> Callable[..., Any]:
    """A filter that insists on real dicts and lists gets them."""

    def plain(*args: Any, **kwargs: Any) -> Any:
        return function(
            *(detach(arg) for arg in args), **{name: detach(value) for name, value in kwargs.items()}
        )

    return _like(function, plain)


def _sized(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A filter whose result may be much larger than what it is given."""

    def sized(*args: Any, **kwargs: Any) -> Any:
        values = [a for a in (*args, *kwargs.values()) if isinstance(a, (str, int, list, tuple, TrackedList))]
        if name == "format":
            limits.check_format(values[0] if values else "")
        else:
            limits.check_product(*values)
        return limits.check_result(function(*args, **kwargs))

    return _like(function, sized)


def _like(function: Callable[..., Any], wrapper: Callable[..., Any]) -> Callable[..., Any]:
    mark = getattr(function, "jinja_pass_arg", None)
    if mark is not None:
        wrapper.jinja_pass_arg = mark  # type: ignore[attr-defined]  # how Jinja2 knows what to pass
    return wrapper


def _concat(parts: Iterable[Any]) -> str:
    text = "".join(str(text_of(part)) for part in parts)
    limits.check_result(text)
    return text


@pass_context
def _count(context: Context, items: Any) -> Iterator[Any]:
    loops = next((value.loops for value in context.parent.values() if isinstance(value, Root)), [0])
    if isinstance(items, Undefined):
        iter(items)
    for item in items:
        loops[0] += 1
        if loops[0] > limits.MAX_LOOPS:
            raise SecurityError(f"the template loops more than {limits.MAX_LOOPS} times")
        yield item


def roots(scope: Mapping[str, object], trace: Trace) -> dict[str, Root]:
    """The scope as a template's context holds it."""
    loops = [0]
    return {name: Root(raw, name, trace, loops) for name, raw in scope.items()}
