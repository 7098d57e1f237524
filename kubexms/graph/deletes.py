"""The order of removals: the reverse of the order in which things were made."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import networkx as nx

from kubexms.errors import GraphError
from kubexms.graph.model import EdgeKind, Scope, StepGraph, StepNode, TaskKey
from kubexms.graph.wiring import Wiring
from kubexms.spec.address import Address


@dataclass(frozen=True, slots=True)
class DeleteEntry:
    """One address to remove, and what state recorded of it: what it had waited for (addresses and scopes),
    and its place in the order of making."""

    address: Address
    depends_on: tuple[str, ...] = ()
    made: int = 0


def in_removal_order(entries: Iterable[DeleteEntry]) -> list[DeleteEntry]:
    """What waited for other modules goes before them, each module in the reverse of how it was made.

    What was made later in a module that others wait for still outlives them. Entries of one module may
    have been recorded at different times, when it waited for more or for fewer: together they count.
    """
    found = list(entries)
    waits: nx.DiGraph[str] = nx.DiGraph()
    for entry in found:
        module = entry.address.module
        waits.add_node(module)
        before = {name.partition("/")[0] for name in entry.depends_on if "@" not in name}
        waits.add_edges_from((name, module) for name in before - {module})
    waited = {module: len(nx.ancestors(waits, module)) for module in waits}
    return sorted(found, key=lambda entry: (-waited[entry.address.module], -entry.made))


def build_delete_graph(entries: Iterable[DeleteEntry]) -> StepGraph:
    """The order in which to remove `entries`, which come in the reverse of their recorded order.

    On each host one after the other, as given. Between hosts what depended on something goes
    before it; whole scopes too (a join, so edges grow linearly). What was recorded over several
    versions of a pipeline may contradict itself: the given order wins, so there is no cycle.
    Raises `GraphError` for an address that is there twice.
    """
    ordered = list(entries)
    wiring = Wiring()
    index: dict[str, int] = {}
    last: dict[str, str] = {}
    members: dict[TaskKey, dict[str, tuple[str, ...]]] = {}
    for position, entry in enumerate(ordered):
        key = str(entry.address)
        if key in index:
            raise GraphError(f"'{key}' is to be removed twice")
        index[key] = position
        node = StepNode(entry.address, position)
        wiring.add(key, node)
        before = last.get(node.host)
        if before is not None:
            wiring.link(before, key)
        last[node.host] = key
        hosts = members.setdefault(node.task, {})
        hosts[node.host] = (*hosts.get(node.host, ()), key)
    _dependents_first(wiring, ordered, index, members)
    return StepGraph(wiring.dag, members)


def _dependents_first(
    wiring: Wiring,
    ordered: Sequence[DeleteEntry],
    index: dict[str, int],
    members: dict[TaskKey, dict[str, tuple[str, ...]]],
) -> None:
    waiting: dict[str, list[str]] = {}
    for position, entry in enumerate(ordered):
        for name in entry.depends_on:
            if name in index:
                if position < index[name]:
                    wiring.link(str(entry.address), name, EdgeKind.EXPLICIT)
            else:
                waiting.setdefault(name, []).append(str(entry.address))
    for name, dependents in sorted(waiting.items()):
        keys = _in_scope(name, members)
        if not keys:
            continue
        begin = min(index[key] for key in keys)
        befores = [key for key in dependents if index[key] < begin]
        if befores:
            module, _, task = name.partition("@")[0].partition("/")
            scope = Scope(module, task, name.partition("@")[2])
            join = wiring.join(scope, befores, strict=True)
            for key in keys:
                wiring.link(join, key)


def _in_scope(name: str, members: dict[TaskKey, dict[str, tuple[str, ...]]]) -> list[str]:
    path, _, wanted = name.partition("@")
    module, _, task = path.partition("/")
    return [
        key
        for (own_module, own_task), hosts in members.items()
        if own_module == module and task in ("", own_task)
        for host, keys in hosts.items()
        if wanted in ("", host)
        for key in keys
    ]
