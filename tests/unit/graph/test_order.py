"""What waits for what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import networkx as nx
import pytest

from kubexms.errors import GraphError
from kubexms.graph.build import build_graph
from kubexms.graph.model import EdgeKind, StepGraph, StepNode
from kubexms.graph.show import to_dot, to_text
from kubexms.spec.address import Address
from kubexms.spec.pipeline import PipelineSpec


def pipeline(*modules: Mapping[str, object], **more: object) -> PipelineSpec:
    return PipelineSpec.from_json({"modules": list(modules), **more})


def module(name: str, *tasks: Mapping[str, object], **more: object) -> dict[str, object]:
    return {"name": name, "tasks": list(tasks), **more}


def task(name: str, steps: str = "s", **more: object) -> dict[str, object]:
    return {"name": name, "steps": [{"name": step, "kind": "x"} for step in steps], **more}


def place(
    spec: PipelineSpec, hosts: Sequence[str], only: Mapping[str, Sequence[str]] | None = None
) -> StepGraph:
    nodes = [
        StepNode(Address(m.name, t.name, s.name, host), order)
        for m in spec.modules
        for t in m.tasks
        for host in (only or {}).get(f"{m.name}/{t.name}", hosts)
        for order, s in enumerate(t.steps)
    ]
    return build_graph(spec, nodes)


def waits(graph: StepGraph, before: str, after: str) -> bool:
    return nx.has_path(graph.dag, before, after)


def test_by_default_one_task_after_the_other_on_each_host() -> None:
    graph = place(pipeline(module("m", task("a", "xy"), task("b"), task("c"))), ["n1", "n2"], {"m/b": ["n1"]})
    assert waits(graph, "m/a/x@n1", "m/a/y@n1")
    assert waits(graph, "m/b/s@n1", "m/c/s@n1")
    assert waits(graph, "m/a/y@n2", "m/c/s@n2"), "a host that skips a task follows its own last one"
    assert not waits(graph, "m/a/x@n1", "m/c/s@n2")


def test_modules_are_phases() -> None:
    graph = place(pipeline(module("m", task("a")), module("k", task("b"))), ["n1", "n2"])
    assert all(
        waits(graph, f"m/a/s@{one}", f"k/b/s@{other}") for one in ("n1", "n2") for other in ("n1", "n2")
    )


def test_depends_on_replaces_the_default() -> None:
    spec = pipeline(module("m", task("a"), task("b", dependsOn=[]), task("c", dependsOn=["a"])))
    graph = place(spec, ["n1", "n2"])
    assert not waits(graph, "m/a/s@n1", "m/b/s@n1")
    assert waits(graph, "m/a/s@n1", "m/c/s@n1")
    assert not waits(graph, "m/b/s@n1", "m/c/s@n1")
    assert not waits(graph, "m/a/s@n2", "m/c/s@n1")
    assert graph.dag.edges["m/a/s@n1", "m/c/s@n1"]["kind"] is EdgeKind.EXPLICIT


def test_depends_on_passes_through_tasks_without_the_host() -> None:
    spec = pipeline(module("m", task("a"), task("b", dependsOn=["a"]), task("c", dependsOn=["b"])))
    graph = place(spec, ["n1"], {"m/b": ["n2"]})
    assert waits(graph, "m/a/s@n1", "m/c/s@n1")


def test_a_task_may_wait_for_all_hosts_and_for_other_modules() -> None:
    spec = pipeline(
        module("m", task("a"), task("b", dependsOn=[{"task": "a", "scope": "all"}])),
        module("k", task("c", dependsOn=["m/a"]), dependsOn=[]),
        module("j", task("d", dependsOn=[{"module": "m", "scope": "host"}]), dependsOn=[]),
    )
    graph = place(spec, ["n1", "n2"])
    assert waits(graph, "m/a/s@n2", "m/b/s@n1")
    assert waits(graph, "m/a/s@n2", "k/c/s@n1")
    assert not waits(graph, "m/b/s@n1", "k/c/s@n1")
    assert waits(graph, "m/b/s@n1", "j/d/s@n1")
    assert waits(graph, "m/a/s@n2", "j/d/s@n1") is True, "through m/b, which waits for all"


def test_modules_may_depend_on_other_modules() -> None:
    modules = (
        module("a", task("t")),
        module("b", task("t"), dependsOn=[]),
        module("c", task("t"), dependsOn=["a"]),
    )
    graph = place(pipeline(*modules), ["n1"])
    assert not waits(graph, "a/t/s@n1", "b/t/s@n1")
    assert waits(graph, "a/t/s@n1", "c/t/s@n1")
    assert not waits(graph, "b/t/s@n1", "c/t/s@n1")


def test_an_empty_module_keeps_the_order_around_it() -> None:
    graph = place(
        pipeline(module("a", task("t")), module("e", task("t")), module("c", task("t"))),
        ["n1", "n2"],
        {"e/t": []},
    )
    assert waits(graph, "a/t/s@n1", "c/t/s@n2")


def test_edges_grow_by_hosts() -> None:
    hosts = [f"n{number}" for number in range(200)]
    graph = place(pipeline(module("a", task("t")), module("b", task("t"))), hosts)
    assert graph.dag.number_of_edges() == 4 * len(hosts)


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        (pipeline(module("m", task("a", dependsOn=["b"]), task("b"))), "m/a -> m/b -> m/a"),
        (pipeline(module("a", task("t"), dependsOn=["b"]), module("b", task("t"))), "a -> b -> a"),
        (pipeline(module("m", task("a", dependsOn=["a"]))), "m/a -> m/a"),
    ],
)
def test_cycles_of_names_show_their_path(spec: PipelineSpec, path: str) -> None:
    with pytest.raises(GraphError, match="cycle") as caught:
        place(spec, ["n1"])
    assert path in str(caught.value)


def test_cycles_of_steps_show_their_path() -> None:
    spec = pipeline(module("m", task("a", "xy")))
    first, second = Address("m", "a", "x", "n1"), Address("m", "a", "y", "n1")
    with pytest.raises(GraphError, match="m/a/x@n1 -> m/a/y@n1 -> m/a/x@n1"):
        build_graph(spec, [StepNode(first, 0, depends_on=(second,)), StepNode(second, 1)])


@pytest.mark.parametrize(
    ("spec", "message", "detail"),
    [
        (pipeline(module("m", task("kernel"), task("b", dependsOn=["kernal"]))), "no such task", "m/kernel"),
        (pipeline(module("os", task("a"), dependsOn=["oss"])), "no such module", "'os'"),
    ],
)
def test_names_that_do_not_exist(spec: PipelineSpec, message: str, detail: str) -> None:
    with pytest.raises(GraphError, match=message) as caught:
        place(spec, ["n1"])
    assert detail in caught.value.detail


def test_rolling_work_cannot_wait_for_all_hosts_inside() -> None:
    tasks = (task("a"), task("b", dependsOn=[{"task": "a", "scope": "all"}]))
    with pytest.raises(GraphError, match="in batches"):
        place(pipeline(module("m", *tasks, strategy={"maxParallel": 1})), ["n1"])


def test_steps_must_belong_and_differ() -> None:
    spec = pipeline(module("m", task("a")))
    node = StepNode(Address("m", "a", "s", "n1"), 0)
    with pytest.raises(GraphError, match="twice"):
        build_graph(spec, [node, node])
    with pytest.raises(GraphError, match="no task"):
        build_graph(spec, [StepNode(Address("m", "z", "s", "n1"), 0)])


def test_waits_for_names_addresses_and_scopes() -> None:
    graph = place(pipeline(module("m", task("a", "xy")), module("k", task("b"))), ["n1", "n2"])
    assert graph.waits_for("m/a/y@n1") == ("m/a/x@n1",)
    assert graph.waits_for("k/b/s@n1") == ("m", "m/a/y@n1")


def test_text_and_dot() -> None:
    hook = {"post": [{"name": "back", "run": "true"}]}
    spec = pipeline(
        module("m", task("a", "xy", strategy={"maxParallel": (1, "25%"), "requireAll": True}, hooks=hook)),
        module("k", task("b", dependsOn=["m/a"])),
    )
    graph = place(spec, ["n1", "n2"])
    text = to_text(graph)
    assert "  a  (in batches of 1, 25%; every host must succeed)  [n1, n2]\n" in text
    assert "    post hook back on controller\n    x\n    y\n" in text
    assert "  b  (after m/a)  [n1, n2]\n" in text
    dot = to_dot(graph)
    assert dot.startswith("digraph kubexms {\n")
    assert dot.endswith("}\n")
    assert '  "m/a/x@n1" -> "m/a/y@n1";\n' in dot
    assert 'label="post m/a/hook[back]@controller"' in dot
    assert dot.count("{") == dot.count("}") == 1


def test_many_hosts_are_folded_in_text() -> None:
    graph = place(pipeline(module("m", task("a"))), [f"n{number:02}" for number in range(30)])
    assert "[n00, n01, n02, n03, ... n29: 30 hosts]" in to_text(graph)
