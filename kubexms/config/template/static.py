"""What a template names, without running it: completes the record of one that met something unknown."""

from __future__ import annotations

from collections.abc import Mapping

from jinja2 import nodes

from kubexms.config.template.tracked import Trace
from kubexms.config.template.values import Deferred, Sensitive, Unknown


def foresee(tree: nodes.Node, scope: Mapping[str, object], trace: Trace) -> None:
    """Add to `trace` every unknown or sensitive value that the template names.

    Rendering stops at the first unknown value; what else would have been read is taken from the
    text, so that a reader learns of everything that a value waits for. It errs towards too much.
    """
    for chain in _chains(tree):
        _follow(chain, scope, trace)


def _chains(tree: nodes.Node) -> list[list[object]]:
    found: list[list[object]] = []
    pending = [tree]
    while pending:
        node = pending.pop()
        chain = _chain(node)
        if chain is not None:
            found.append(chain)
        pending.extend(node.iter_child_nodes())
    return found


def _chain(node: nodes.Node) -> list[object] | None:
    names: list[object] = []
    while True:
        if isinstance(node, nodes.Name):
            return [node.name, *reversed(names)] if node.ctx == "load" else None
        if isinstance(node, nodes.Getattr):
            names.append(node.attr)
        elif isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const):
            names.append(node.arg.value)
        else:
            return None
        node = node.node


def _follow(chain: list[object], scope: Mapping[str, object], trace: Trace) -> None:
    value: object = scope
    path = ""
    sensitive = False
    for name in chain:
        if isinstance(value, Sensitive):
            sensitive, value = True, value.value
        if isinstance(value, Mapping) and isinstance(name, str) and name in value:
            path = f"{path}.{name}" if path else name
            value = value[name]
        elif isinstance(value, (list, tuple)) and isinstance(name, int) and -len(value) <= name < len(value):
            path = f"{path}[{name % len(value)}]"
            value = value[name]
        else:
            break
    if isinstance(value, (Sensitive, Deferred)):
        sensitive = True
    if isinstance(value, Unknown):
        trace.unknown.add(value.name or path)
        trace.reads.add(path)
    trace.sensitive |= sensitive


def needed(tree: nodes.Node) -> dict[str, int]:
    """Names below `vars` that rendering cannot do without, each with its first line.

    What stands under `is defined` and `default` is optional, and so is all of it where the template
    asks for the same name in this way anywhere, or makes a `vars` of its own.
    """
    stored = {node.name for node in tree.find_all(nodes.Name) if node.ctx != "load"}
    if "vars" in stored:
        return {}
    optional = {
        name
        for node in tree.find_all((nodes.Test, nodes.Filter))
        if node.name in ("defined", "undefined", "default", "d") and node.node is not None
        for name, _ in _variables(node.node)
    }
    found: dict[str, int] = {}
    for name, line in _variables(tree):
        if name not in optional:
            found[name] = min(line, found.get(name, line))
    return found


def _variables(tree: nodes.Node) -> list[tuple[str, int]]:
    pending, found = [tree], []
    while pending:
        node = pending.pop()
        name = _variable(node)
        if name is not None:
            found.append((name, node.lineno or 1))
        pending.extend(node.iter_child_nodes())
    return found


def _variable(node: nodes.Node) -> str | None:
    if isinstance(node, nodes.Call):
        return None
    if not isinstance(node, (nodes.Getattr, nodes.Getitem)):
        return None
    if not isinstance(node.node, nodes.Name) or node.node.name != "vars":
        return None
    if isinstance(node, nodes.Getattr):
        return None if node.attr in ("get", "items", "keys", "values") else node.attr
    return node.arg.value if isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, str) else None
