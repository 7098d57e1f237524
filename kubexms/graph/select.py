"""`--target` and `--exclude`: which steps take part, and what they pull in."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from kubexms.graph.model import EdgeKind, StepGraph, StepNode, TaskKey
from kubexms.spec.address import Address


def select(graph: StepGraph, targets: Sequence[str] = (), excludes: Sequence[str] = ()) -> frozenset[str]:
    """The keys of the steps that take part.

    Those that match any target (none given: all), and what they depend on by data or explicitly,
    transitively; not what merely comes earlier. Then without those that match an exclude, also
    where a target or a dependency named them. Patterns are those of `Address.matches`.
    """
    nodes = {str(node.address): node for node in graph.steps()}
    chosen = set(nodes)
    if targets:
        chosen = {key for key, node in nodes.items() if _matches(node.address, targets)}
        chosen |= _pulled(graph, nodes, chosen)
    if excludes:
        chosen = {key for key in chosen if not _matches(nodes[key].address, excludes)}
    return frozenset(chosen)


def _matches(address: Address, patterns: Sequence[str]) -> bool:
    return any(address.matches(pattern) for pattern in patterns)


def _pulled(graph: StepGraph, nodes: dict[str, StepNode], chosen: set[str]) -> set[str]:
    found = set(chosen)
    queue = list(chosen)
    asked: set[tuple[TaskKey, str]] = set()

    def take(keys: Sequence[str]) -> None:
        for key in keys:
            if key not in found:
                found.add(key)
                queue.append(key)

    while queue:
        key = queue.pop()
        node = nodes[key]
        before = graph.dag.pred[key]
        take([other for other in before if other in nodes and _extra(node, other, before[other]["kind"])])
        module, task = node.task
        for scope in ((module, task), (module, "")):
            if (scope, node.host) not in asked:
                asked.add((scope, node.host))
                _required(graph, scope, node.host, take)
    return found


def _extra(node: StepNode, other: str, kind: EdgeKind) -> bool:
    """Whether a step names this other one itself; what its task names is pulled in as a whole."""
    return kind is EdgeKind.DATA or (kind is EdgeKind.EXPLICIT and other in map(str, node.depends_on))


def _required(graph: StepGraph, scope: TaskKey, host: str, take: Callable[[Sequence[str]], None]) -> None:
    for item in graph.requires.get(scope, ()):
        module, task = item.on
        keys = [item.on] if task else [key for key in graph.members if key[0] == module]
        for key in keys:
            for other, steps in graph.members[key].items():
                if not item.same_host or other == host:
                    take(steps)
