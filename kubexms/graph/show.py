"""The order as text: DOT for graphviz, and a tree for people."""

from __future__ import annotations

import json
from collections.abc import Iterator

from kubexms.graph.model import EdgeKind, HookNode, HookSide, JoinNode, StepGraph, StepNode, TaskKey

EDGES = {
    EdgeKind.ORDER: "",
    EdgeKind.EXPLICIT: " [style=bold]",
    EdgeKind.DATA: " [color=blue]",
    EdgeKind.HOOK: " [style=dashed]",
}
SHOWN_HOSTS = 6


def to_dot(graph: StepGraph) -> str:
    """DOT, ending with a newline: solid is order, bold `dependsOn`, blue data, dashed hooks."""
    lines = ["digraph kubexms {", "  rankdir=LR;", "  node [shape=box, fontname=monospace];"]
    for key in graph.dag:
        match graph.node(key):
            case StepNode():
                lines.append(f"  {_quoted(key)};")
            case JoinNode(scope=scope):
                lines.append(f"  {_quoted(key)} [shape=point, tooltip={_quoted(f'all of {scope}')}];")
            case HookNode() as node:
                label = _quoted("\n".join(_hook_lines(node)) or key)
                lines.append(f"  {_quoted(key)} [shape=ellipse, label={label}];")
    lines += [
        f"  {_quoted(before)} -> {_quoted(after)}{EDGES[said['kind']]};"
        for before, after, said in graph.dag.edges(data=True)
    ]
    return "\n".join([*lines, "}", ""])


def to_text(graph: StepGraph) -> str:
    """A tree of modules, tasks and steps with their hosts, waits and hooks. Ends with a newline."""
    lines: list[str] = _own_hooks(graph, ("", ""), "")
    shown = ""
    for (module, task), hosts in graph.members.items():
        if module != shown:
            shown = module
            lines.append(module + _notes(graph, (module, "")))
            lines += _own_hooks(graph, (module, ""), "  ")
        lines.append(f"  {task}{_notes(graph, (module, task))}  {_hosts(list(hosts))}")
        lines += _own_hooks(graph, (module, task), "    ")
        steps: dict[str, list[str]] = {}
        for host, keys in hosts.items():
            for key in keys:
                node = graph.node(key)
                if isinstance(node, StepNode):
                    steps.setdefault(node.address.path.split("/", 2)[2], []).append(host)
        for step, where in steps.items():
            lines.append(f"    {step}{'' if len(where) == len(hosts) else '  ' + _hosts(where)}")
    return "\n".join([*lines, ""])


def _notes(graph: StepGraph, key: TaskKey) -> str:
    notes: list[str] = []
    if key in graph.requires:
        names = [
            "/".join(filter(None, item.on)) + (" (same host)" if item.same_host else "")
            for item in graph.requires[key]
        ]
        notes.append(f"after {', '.join(names)}" if names else "after nothing")
    strategy = graph.strategies.get(key)
    if strategy is not None and strategy.max_parallel is not None:
        size = strategy.max_parallel
        text = ", ".join(str(item) for item in size) if isinstance(size, tuple) else str(size)
        notes.append(f"in batches of {text}")
    if strategy is not None and strategy.require_all:
        notes.append("every host must succeed")
    return f"  ({'; '.join(notes)})" if notes else ""


def _hosts(names: list[str]) -> str:
    if len(names) <= SHOWN_HOSTS:
        return f"[{', '.join(names)}]"
    return f"[{', '.join(names[: SHOWN_HOSTS - 2])}, ... {names[-1]}: {len(names)} hosts]"


def _own_hooks(graph: StepGraph, key: TaskKey, indent: str) -> list[str]:
    hooks = graph.hooks.get(key)
    if hooks is None:
        return []
    phases = (("pre", hooks.pre), ("post", hooks.post), ("onFailure", hooks.on_failure))
    return [f"{indent}{phase} hook {spec.name} on {spec.on}" for phase, specs in phases for spec in specs]


def _hook_lines(node: HookNode) -> Iterator[str]:
    if node.side is HookSide.OPEN:
        yield from (f"pre {node.address(spec)}" for spec in node.pre)
    else:
        yield from (f"post {node.address(spec)}" for spec in node.post)
        yield from (f"onFailure {node.address(spec)}" for spec in node.on_failure)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
