"""From the pipeline and its steps on hosts to the graph of what waits for what."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from kubexms.errors import GraphError
from kubexms.graph.model import (
    EdgeKind,
    Requirement,
    StepGraph,
    StepNode,
    TaskKey,
)
from kubexms.graph.names import requirements
from kubexms.graph.phases import Phases
from kubexms.graph.wiring import Wiring
from kubexms.spec.pipeline import Hooks, PipelineSpec, Strategy

PIPELINE: TaskKey = ("", "")


def build_graph(pipeline: PipelineSpec, placements: Iterable[StepNode]) -> StepGraph:
    """The order of every step on every host.

    `pipeline` is the merged one: modules with a `source` are resolved. `placements` are the steps
    on hosts that take part; per task and host in any order (`StepNode.order` decides), hosts in
    the order in which batches shall take them. Pure. Raises `GraphError` for cycles, names that
    do not exist, and rolling work that could never end.
    """
    required = requirements(pipeline)
    strategies = _strategies(pipeline)
    _refuse_endless(pipeline, required, strategies)
    hooks = _hooks(pipeline)
    wiring = Wiring()
    members = _chains(wiring, pipeline, placements)
    Phases(wiring, pipeline, members, required, strategies, hooks).wire()
    wiring.check()
    return StepGraph(wiring.dag, members, required, strategies, hooks)


def _chains(
    wiring: Wiring, pipeline: PipelineSpec, placements: Iterable[StepNode]
) -> dict[TaskKey, dict[str, tuple[str, ...]]]:
    """Every step, and the steps of one task on one host after each other."""
    nodes: dict[str, StepNode] = {}
    found: dict[TaskKey, dict[str, list[tuple[int, str]]]] = {
        (module.name, task.name): {} for module in pipeline.modules for task in module.tasks
    }
    for node in placements:
        key = str(node.address)
        if node.task not in found:
            raise GraphError(f"'{key}' belongs to no task of the pipeline")
        if key in nodes:
            raise GraphError(f"'{key}' is there twice", detail="Keys of forEach must differ.")
        nodes[key] = node
        wiring.add(key, node)
        found[node.task].setdefault(node.host, []).append((node.order, key))
    members: dict[TaskKey, dict[str, tuple[str, ...]]] = {}
    for task, hosts in found.items():
        members[task] = {}
        for host, steps in hosts.items():
            steps.sort(key=lambda item: item[0])
            chain = tuple(key for _, key in steps)
            members[task][host] = chain
            for before, after in itertools.pairwise(chain):
                wiring.link(before, after)
    _extra_edges(wiring, nodes)
    return members


def _extra_edges(wiring: Wiring, nodes: dict[str, StepNode]) -> None:
    for key, node in nodes.items():
        for others, kind in ((node.data, EdgeKind.DATA), (node.depends_on, EdgeKind.EXPLICIT)):
            for other in others:
                before = str(other)
                if before in nodes:
                    wiring.link(before, key, kind)


def _strategies(pipeline: PipelineSpec) -> dict[TaskKey, Strategy]:
    nothing = Strategy()
    found: dict[TaskKey, Strategy] = {}
    for module in pipeline.modules:
        own = module.strategy if module.strategy != nothing else pipeline.strategy
        if own != nothing:
            found[module.name, ""] = own
        found.update(
            {(module.name, task.name): task.strategy for task in module.tasks if task.strategy != nothing}
        )
    return found


def _hooks(pipeline: PipelineSpec) -> dict[TaskKey, Hooks]:
    nothing = Hooks()
    scopes: list[tuple[TaskKey, Hooks]] = [(PIPELINE, pipeline.hooks)]
    for module in pipeline.modules:
        scopes.append(((module.name, ""), module.hooks))
        scopes += [((module.name, task.name), task.hooks) for task in module.tasks]
    return {key: hooks for key, hooks in scopes if hooks != nothing}


def _refuse_endless(
    pipeline: PipelineSpec,
    required: dict[TaskKey, tuple[Requirement, ...]],
    strategies: dict[TaskKey, Strategy],
) -> None:
    """A module that takes its hosts in batches cannot wait for all hosts half-way through."""
    for module in pipeline.modules:
        strategy = strategies.get((module.name, ""))
        if strategy is None or strategy.max_parallel is None:
            continue
        for task in module.tasks:
            for item in required.get((module.name, task.name), ()):
                if item.on[0] == module.name and not item.same_host:
                    raise GraphError(
                        f"module '{module.name}' takes its hosts in batches, and its task '{task.name}' "
                        f"waits for '{item.on[1]}' on all hosts: it would wait for hosts not yet begun",
                        detail="Give maxParallel to the tasks instead of the module (or pipeline), "
                        "or wait with scope: host.",
                    )
