"""Removals in the reverse of the recorded order."""

from __future__ import annotations

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubexms.errors import GraphError
from kubexms.graph.deletes import DeleteEntry, build_delete_graph, in_removal_order
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


def test_a_module_stays_together_when_it_has_come_to_wait_for_more() -> None:
    """An API server that was restarted later, when there was a load balancer, is no end of its module."""
    recorded = [
        ("control/api/service@n1", ("os", "endpoint")),
        ("control/access/kubelets@n1", ("os",)),
        ("clients/nodes/endpoint@n1", ("os", "control")),
        ("endpoint/haproxy/service@n2", ("os",)),
        ("os/names/entry@n1", ()),
    ]
    entries = [DeleteEntry(Address.parse(a), names, made) for made, (a, names) in enumerate(recorded)]
    assert [str(entry.address) for entry in in_removal_order(entries)] == [
        "clients/nodes/endpoint@n1",
        "control/access/kubelets@n1",
        "control/api/service@n1",
        "endpoint/haproxy/service@n2",
        "os/names/entry@n1",
    ]


def test_modules_that_once_waited_for_each_other_have_an_order() -> None:
    entries = [
        DeleteEntry(Address.parse("a/t/s@n1"), ("b",), 1),
        DeleteEntry(Address.parse("b/t/s@n1"), ("a",), 2),
    ]
    assert [entry.made for entry in in_removal_order(entries)] == [2, 1]


NAMES = [f"{module}/{task}/s@{host}" for module in "mk" for task in "ab" for host in ("n1", "n2")]
SCOPES = ["m", "k", "m/a", "k/b", "m@n1", "m/a@n2", "gone"]


@given(st.permutations(NAMES), st.data())
def test_there_is_never_a_cycle(names: list[str], data: st.DataObject) -> None:
    wanted = st.lists(st.sampled_from(NAMES + SCOPES), max_size=4)
    graph = build_delete_graph([entry(name, *data.draw(wanted)) for name in names])
    assert nx.is_directed_acyclic_graph(graph.dag)
