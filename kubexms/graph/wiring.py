"""Laying nodes and edges: the only place that writes to a graph."""

from __future__ import annotations

from collections.abc import Iterable

import networkx as nx

from kubexms.errors import GraphError
from kubexms.graph.model import Dag, EdgeKind, JoinNode, Node, Scope

SHOWN_CYCLE = 12
"""Members of a cycle that an error shows at most."""


class Wiring:
    """A graph in the making. One thread."""

    def __init__(self) -> None:
        self.dag: Dag = nx.DiGraph()

    def add(self, key: str, node: Node) -> str:
        """A node; returns its key."""
        self.dag.add_node(key, node=node)
        return key

    def link(self, before: str, after: str, kind: EdgeKind = EdgeKind.ORDER) -> None:
        """`after` waits for `before`. An edge that says more than mere order is kept."""
        if kind is EdgeKind.ORDER and self.dag.has_edge(before, after):
            return
        self.dag.add_edge(before, after, kind=kind)

    def join(self, scope: Scope, befores: Iterable[str], *, strict: bool = False) -> str:
        """A wait for all of `befores`; the same one when it exists already."""
        key = join_key(scope)
        if key not in self.dag:
            self.add(key, JoinNode(scope, strict))
        for before in befores:
            self.link(before, key)
        return key

    def check(self) -> None:
        """Raise `GraphError` with the path if something waits for itself."""
        if nx.is_directed_acyclic_graph(self.dag):
            return
        path = [before for before, *_ in nx.find_cycle(self.dag)]
        raise cycle_error(path, "step")


def join_key(scope: Scope) -> str:
    """The key of the wait for a scope."""
    return f"join:{scope}"


def cycle_error(path: list[str], what: str) -> GraphError:
    """The error for a cycle, told along its path, from its smallest member."""
    start = path.index(min(path))
    ring = [*path[start:], *path[:start]]
    shown = ring if len(ring) <= SHOWN_CYCLE else [*ring[:SHOWN_CYCLE], "..."]
    return GraphError(
        f"the dependencies of {what}s form a cycle: {' -> '.join([*shown, ring[0]])}",
        detail=f"Each {what} here must come before the next one. Take one of these dependencies out.",
    )
