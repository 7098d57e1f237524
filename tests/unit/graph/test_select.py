"""Targets pull in data and explicit dependencies, not mere order."""

from __future__ import annotations

import pytest

from kubexms.graph.build import build_graph
from kubexms.graph.model import StepGraph, StepNode
from kubexms.graph.select import select
from kubexms.spec.address import Address
from tests.unit.graph.test_order import module, pipeline, place, task


@pytest.fixture
def graph() -> StepGraph:
    spec = pipeline(
        module("m", task("a", "xy"), task("b"), task("c", "xy", dependsOn=["a"])),
        module("k", task("d")),
        module("j", task("e"), dependsOn=["m"]),
    )
    return place(spec, ["n1", "n2"])


def on(host: str, *paths: str) -> set[str]:
    return {f"{path}@{host}" for path in paths}


def test_no_target_is_everything(graph: StepGraph) -> None:
    assert len(select(graph)) == 14


def test_mere_order_is_not_pulled_in(graph: StepGraph) -> None:
    assert select(graph, ["m/b@n1"]) == on("n1", "m/b/s")
    assert select(graph, ["k"]) == on("n1", "k/d/s") | on("n2", "k/d/s")


def test_a_task_pulls_in_what_it_depends_on_as_a_whole(graph: StepGraph) -> None:
    assert select(graph, ["m/c/y@n1"]) == on("n1", "m/c/y", "m/a/x", "m/a/y")


def test_a_module_pulls_in_the_modules_it_names(graph: StepGraph) -> None:
    everything = ("m/a/x", "m/a/y", "m/b/s", "m/c/x", "m/c/y")
    assert select(graph, ["j@n1"]) == on("n1", "j/e/s", *everything) | on("n2", *everything)


def test_excludes_win(graph: StepGraph) -> None:
    assert select(graph, ["m/c/y@n1"], ["m/a/x"]) == on("n1", "m/c/y", "m/a/y")
    assert select(graph, (), ["m", "@n2"]) == on("n1", "k/d/s", "j/e/s")


def test_steps_pull_in_what_they_name_and_read() -> None:
    spec = pipeline(module("m", task("a", "vwxyz")))
    addresses = {name: Address("m", "a", name, "n1") for name in "vwxyz"}
    nodes = [
        StepNode(addresses["v"], 0),
        StepNode(addresses["w"], 1),
        StepNode(addresses["x"], 2, data=(addresses["v"],)),
        StepNode(addresses["y"], 3, depends_on=(addresses["x"], Address("m", "a", "gone", "n1"))),
        StepNode(addresses["z"], 4),
    ]
    assert select(build_graph(spec, nodes), ["m/a/y"]) == on("n1", "m/a/v", "m/a/x", "m/a/y")
