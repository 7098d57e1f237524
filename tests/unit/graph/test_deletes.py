"""Removals in the reverse of the recorded order."""

from __future__ import annotations

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubexms.errors import GraphError
from kubexms.graph.deletes import DeleteEntry, build_delete_graph
from kubexms.spec.address import Address


def entry(text: str, *depends_on: str) -> DeleteEntry:
    return DeleteEntry(Address.parse(text), depends_on)


def test_each_host_in_the_given_order() -> None:
    graph = build_delete_graph([entry("m/b/s@n1"), entry("m/b/s@n2"), entry("m/a/s@n1")])
    assert sorted(graph.dag.edges) == [("m/b/s@n1", "m/a/s@n1")]


def test_dependents_go_before_what_they_depend_on() -> None:
    graph = build_delete_graph([entry("k/b/s@n1", "m/a/s@n2", "m"), entry("m/a/s@n2"), entry("m/a/s@n3")])
    assert nx.has_path(graph.dag, "k/b/s@n1", "m/a/s@n2")
    assert nx.has_path(graph.dag, "k/b/s@n1", "m/a/s@n3")


def test_what_contradicts_the_order_is_left_out() -> None:
    graph = build_delete_graph([entry("m/a/s@n1"), entry("m/b/s@n2", "m/a/s@n1", "m/a")])
    assert list(graph.dag.edges) == []


def test_twice_is_an_error() -> None:
    with pytest.raises(GraphError, match="twice"):
        build_delete_graph([entry("m/a/s@n1"), entry("m/a/s@n1")])


NAMES = [f"{module}/{task}/s@{host}" for module in "mk" for task in "ab" for host in ("n1", "n2")]
SCOPES = ["m", "k", "m/a", "k/b", "m@n1", "m/a@n2", "gone"]


@given(st.permutations(NAMES), st.data())
def test_there_is_never_a_cycle(names: list[str], data: st.DataObject) -> None:
    wanted = st.lists(st.sampled_from(NAMES + SCOPES), max_size=4)
    graph = build_delete_graph([entry(name, *data.draw(wanted)) for name in names])
    assert nx.is_directed_acyclic_graph(graph.dag)
