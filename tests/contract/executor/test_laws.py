"""Laws over random pipelines: executors agree, and the order holds whatever fails."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import given, settings
from hypothesis import strategies as st

from kubexms.executor.concurrent import ConcurrentExecutor
from kubexms.executor.debug import DebugExecutor
from kubexms.executor.events import StepStatus
from kubexms.executor.schedule import Schedule
from kubexms.graph.build import build_graph
from kubexms.graph.model import JoinNode, StepGraph, StepNode
from kubexms.spec.pipeline import PipelineSpec
from tests.contract.executor.scenario import (
    NOWHERE,
    Ran,
    Recorder,
    RunToEnd,
    ScriptedHooks,
    carry_out,
    everywhere,
    pipeline,
)

STATUSES = st.sampled_from([StepStatus.FAILED, StepStatus.UNREACHABLE, StepStatus.IGNORED])
HOSTS = ["n1", "n2", "n3", "n4"]


@st.composite
def strategies(draw: st.DrawFn) -> dict[str, object]:
    found: dict[str, object] = {}
    if draw(st.booleans()):
        found["maxParallel"] = draw(st.sampled_from([1, 2, "50%", [1, "50%"]]))
    if draw(st.booleans()):
        found["maxFailures"] = draw(st.integers(0, 2))
    if draw(st.integers(0, 3)) == 0:
        found["requireAll"] = True
    return found


@st.composite
def hooks(draw: st.DrawFn) -> dict[str, object]:
    on = draw(st.sampled_from(["controller", "hosts"]))
    phases = draw(st.sets(st.sampled_from(["pre", "post", "onFailure"])))
    return {phase: [{"name": phase, "run": "true", "on": on}] for phase in sorted(phases)}


@st.composite
def pipelines(draw: st.DrawFn) -> tuple[PipelineSpec, StepGraph]:
    modules: list[dict[str, object]] = []
    for m in range(draw(st.integers(1, 3))):
        rolls = draw(st.booleans())
        tasks: list[dict[str, object]] = []
        for t in range(draw(st.integers(1, 3))):
            steps = [{"name": f"s{s}", "kind": "x"} for s in range(draw(st.integers(1, 3)))]
            one: dict[str, object] = {"name": f"t{t}", "steps": steps, "strategy": draw(strategies())}
            if draw(st.booleans()):
                one["hooks"] = draw(hooks())
            if t and draw(st.booleans()):
                scope = "host" if rolls else draw(st.sampled_from(["host", "all"]))
                names = draw(st.sets(st.integers(0, t - 1), max_size=2))
                one["dependsOn"] = [{"task": f"t{name}", "scope": scope} for name in sorted(names)]
            tasks.append(one)
        whole: dict[str, object] = {"name": f"m{m}", "tasks": tasks}
        if rolls:
            whole["strategy"] = draw(strategies())
        if draw(st.booleans()):
            whole["hooks"] = draw(hooks())
        if m and draw(st.integers(0, 3)) == 0:
            whole["dependsOn"] = draw(st.sampled_from([[], ["m0"]]))
        modules.append(whole)
    spec = pipeline({"modules": modules, "hooks": draw(hooks())})
    only = {
        f"{m.name}/{t.name}": draw(st.lists(st.sampled_from(HOSTS), unique=True, max_size=4).map(sorted))
        for m in spec.modules
        for t in m.tasks
    }
    return spec, build_graph(spec, everywhere(spec, HOSTS, only))


def told(ran: Ran) -> dict[str, tuple[str, str]]:
    return {key: (item.status.value, item.message) for key, item in ran.results.items()}


def check_order(order: StepGraph, ran: Ran) -> None:
    """Nothing ran before what it waits for had ended, and each host did one thing at a time."""
    begun = {key: place for place, (what, key) in enumerate(ran.log) if what == "begin"}
    ended = {key: place for place, (what, key) in enumerate(ran.log) if what == "end"}
    assert len(begun) == sum(what == "begin" for what, _ in ran.log)
    latest: dict[str, int] = {}
    for number in _topological(order):
        own = begun.get(number, -1)
        before = max((latest[key] for key in order.dag.pred[number] if key in latest), default=-1)
        if own >= 0:
            assert before < own, f"{number} began too early"
        latest[number] = max(before, ended.get(number, -1))
    at_work: dict[str, str] = {}
    for what, key in ran.log:
        host = key.rpartition("@")[2]
        if what == "begin":
            assert host not in at_work
            at_work[host] = key
        elif what == "end":
            assert at_work.pop(host) == key


def _topological(order: StepGraph) -> list[str]:
    import networkx as nx

    return list(nx.topological_sort(order.dag))


def check_skips(order: StepGraph, ran: Ran) -> None:
    """Every step has a result; a skip names something that did fail."""
    for node in order.steps():
        assert ran.status(str(node.address)) in ("ok", "ignored", "failed", "unreachable", "skipped")
    for item in ran.results.values():
        if item.status is StepStatus.SKIPPED and item.message.startswith("skipped because "):
            cause = item.message.removeprefix("skipped because ").partition(" failed")[0]
            assert ran.status(cause) in ("failed", "unreachable")


@settings(max_examples=150, deadline=None)
@given(pipelines(), st.data())
def test_executors_agree(made: tuple[PipelineSpec, StepGraph], data: st.DataObject) -> None:
    _, order = made
    keys = [str(node.address) for node in order.steps()]
    outcomes: Mapping[str, StepStatus] = data.draw(
        st.dictionaries(st.sampled_from(keys), STATUSES, max_size=5) if keys else st.just({})
    )
    failing = data.draw(
        st.sets(st.sampled_from(["pre", "post", "onFailure", "pre@n1", "post@n2"]), max_size=1)
    )
    found: list[Ran] = []
    for executor in (
        DebugExecutor(RunToEnd(), NOWHERE),
        ConcurrentExecutor(1),
        ConcurrentExecutor(3),
        ConcurrentExecutor(8),
    ):
        recorder = Recorder(outcomes)
        ran = carry_out(executor, order, recorder, hooks=ScriptedHooks(recorder, fails=sorted(failing)))
        check_order(order, ran)
        check_skips(order, ran)
        found.append(ran)
    assert all(told(ran) == told(found[0]) for ran in found)


@settings(max_examples=60, deadline=None)
@given(pipelines())
def test_every_node_is_counted_once(made: tuple[PipelineSpec, StepGraph]) -> None:
    _, order = made
    schedule = Schedule(order, {})
    assert sum(map(len, schedule.followers)) == sum(schedule.remaining)
    hosts = {node.host for node in order.steps()}
    waits = [node for node in map(order.node, order.dag) if isinstance(node, JoinNode)]
    steps = [node for node in map(order.node, order.dag) if isinstance(node, StepNode)]
    assert order.dag.number_of_edges() <= 4 * (len(steps) + len(order.dag)) + len(waits) * (len(hosts) + 2)
