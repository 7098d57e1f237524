"""What waits for what while a cluster is made."""

from __future__ import annotations

from pathlib import Path

import networkx as nx
import pytest

from kubexms.graph.build import build_graph
from kubexms.graph.model import StepGraph, StepNode
from kubexms.spec.address import Address
from tests.unit.builder.clusters import cluster, hosts, load


@pytest.fixture
def graph(tmp_path: Path) -> StepGraph:
    loaded = load(tmp_path, cluster(hosts=hosts(3, 2, 1)))
    spec = loaded.pipeline
    nodes = [
        StepNode(Address(module.name, task.name, step.name, host.name), order)
        for module in spec.modules
        for task in module.tasks
        for host in loaded.inventory.hosts
        if not task.run_on_roles or set(task.run_on_roles) & set(host.roles)
        for order, step in enumerate(task.steps)
    ]
    return build_graph(spec, nodes)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("demo-preflight/node/memory@w2", "demo-os/packages/packages@cp1"),
        ("demo-runtime/kubernetes/kubelet-enabled@cp1", "demo-control-plane/member/node@cp1"),
        ("demo-runtime/kubernetes/kubelet-enabled@cp2", "demo-control-plane/member/node@cp2"),
        ("demo-runtime/kubernetes/kubelet-enabled@w1", "demo-workers/member/node@w1"),
        ("demo-endpoint/haproxy/service@lb1", "demo-control-plane/member/node@cp1"),
        ("demo-control-plane/member/node@cp3", "demo-workers/member/node@w1"),
        ("demo-workers/member/node@w2", "demo-network/bridge/pods@cp1"),
    ],
)
def test_what_has_to_be_there_first(graph: StepGraph, before: str, after: str) -> None:
    assert nx.has_path(graph.dag, before, after)


@pytest.mark.parametrize("other", ["cp2", "cp3", "w1", "w2"])
def test_a_slow_host_does_not_hold_up_the_first_control_plane(graph: StepGraph, other: str) -> None:
    prepared, begun = f"demo-runtime/kubernetes/kubelet-enabled@{other}", "demo-control-plane/member/node@cp1"
    assert prepared in graph.dag
    assert begun in graph.dag
    assert not nx.has_path(graph.dag, prepared, begun)
