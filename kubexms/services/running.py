"""One run: the changes in their order, then the removals in the reverse of theirs."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from kubexms.errors import ConfigError
from kubexms.executor.adopt import observed_digests
from kubexms.executor.apply import StepApplier
from kubexms.executor.concurrent import ConcurrentExecutor
from kubexms.executor.coordinator import Coordinator
from kubexms.executor.debug import DebugExecutor, Prompter
from kubexms.executor.events import Listener, StepResult, StepStatus
from kubexms.executor.hooks import ScopeHooks
from kubexms.executor.hosts import RunHosts
from kubexms.executor.job import Job
from kubexms.executor.looking import HostLook
from kubexms.executor.outcome import Scrubber
from kubexms.executor.peers import Peers
from kubexms.executor.recording import Recorder
from kubexms.executor.releasing import is_let_go, let_go
from kubexms.executor.stop import StopSignal
from kubexms.executor.together import StepsTogether
from kubexms.graph.model import Scope, StepGraph
from kubexms.plan.model import Change, Plan
from kubexms.plan.questions import Seen
from kubexms.plan.working import PlannedStep
from kubexms.runtime.protocol import ReadOnlyConnection, RunIdentity
from kubexms.services.connecting import HostConnector
from kubexms.services.planning import Prepared, graph_of, tasks_of
from kubexms.services.project import Project
from kubexms.spec.pipeline import HookSpec
from kubexms.state.protocol import StateWriter
from kubexms.step.contract import Disruption


@dataclass(frozen=True)
class RunSetup:
    """What one run is made of."""

    project: Project
    plan: Plan
    prepared: Prepared
    connector: HostConnector
    writer: StateWriter
    run: str
    digest: str
    first_order: int
    actor: str
    reverting: bool = False
    """It puts back what was last applied: hooks run for what interrupts something, and for nothing else."""
    lock_timeout: float = 0.0
    """Seconds that somebody is willing to wait for another run."""
    as_recorded: bool = False
    """The documents order steps against what was recorded: they go in the order in which they were made."""


def run_changes(
    setup: RunSetup, fail_fast: bool, prompter: Prompter | None, listener: Listener, stop: StopSignal
) -> tuple[StepResult, ...]:
    """Carry out the plan; results sorted by address. Removals wait until everything else is done."""
    planned = setup.prepared.planned
    steps = planned.steps()
    lineage = planned.snapshot.meta.lineage
    identity = RunIdentity(setup.run, setup.actor, setup.digest, lineage)
    running: list[Coordinator] = []

    hosts = RunHosts(
        planned,
        setup.prepared.instances,
        setup.connector,
        identity,
        lock_wait=setup.lock_timeout,
        waiting=lambda event: running[-1].post(event),  # noqa: PLW0108 - none is there yet
    )
    changes = {change.address: change for change in setup.plan.effective if change.address in steps}
    executor = _executor(setup, prompter, steps)
    recorder = Recorder(
        setup.writer,
        planned.conceal,
        run=setup.run,
        first_order=setup.first_order,
        source_of=lambda step: _source(setup.project, step),
        reverting=setup.reverting,
    )
    applier = StepApplier(
        recorder,
        lineage=lineage,
        rerender=hosts.rerender,
        progress=lambda step, message: running[-1].say(step.change.address, message),
        stopping=lambda: stop.now,
        peers=Peers(setup.project.loaded.inventory.hosts, hosts.get, setup.connector.peer, identity),
    )
    for address, digest in observed_digests(planned):
        recorder.know(address, digest)

    def work(address: str) -> StepResult:
        step, seen = together.resume(address)
        if address in forgets:
            if is_let_go(step, planned.hosts[step.change.host].steps):
                let_go(step, hosts.get(step.change.host), lineage)
            return recorder.forget(step)
        return applier.apply(step, hosts.get(step.change.host), seen)

    def seen_of(address: str) -> Seen | None:
        answer = planned.hosts[steps[address].change.host].answer
        return answer.seen.get(address) if answer is not None else None

    together = StepsTogether(recorder, steps=steps, seen=seen_of, host=hosts.get, lineage=lineage)

    forgets = {address for address, change in changes.items() if change.action.value == "forget"}
    coming = {address: change for address, change in changes.items() if not change.leaving}
    hooks = ScopeHooks(
        {a: c for a, c in coming.items() if not setup.reverting or c.disruption is not Disruption.NONE},
        planned.snapshot.scopes,
        hosts,
        setup.writer,
        setup.run,
        lambda s, h: _render_hook(setup, s, h),
    )
    results: list[StepResult] = []
    phases: list[tuple[StepGraph, dict[str, Change]]] = []
    if not setup.as_recorded and (coming or planned.snapshot.scopes):
        phases.append((graph_of(setup.project, planned), coming))
    stray = coming if setup.as_recorded else _stray(setup.project, steps, coming)
    if stray:
        from kubexms.graph.deletes import DeleteEntry, build_delete_graph

        # the pipeline has no place for them any more: host by host, in the order in which they were made
        entries = sorted((steps[address] for address in stray), key=lambda step: _made(step, steps))
        phases.append((build_delete_graph(DeleteEntry(step.instance.address) for step in entries), stray))
    leaving = {address: change for address, change in changes.items() if change.leaving}
    if leaving:
        from kubexms.graph.deletes import DeleteEntry, build_delete_graph, in_removal_order

        graph = build_delete_graph(
            in_removal_order(
                DeleteEntry(step.instance.address, step.entry.depends_on if step.entry else (), _order(step))
                for address, step in steps.items()
                if address in leaving
            )
        )
        phases.append((graph, leaving))
    for graph, wanted in phases:
        job = Job(
            graph,
            wanted,
            work,
            together=together,
            hooks=hooks,
            fail_fast=fail_fast,
            on_event=listener,
            stop=stop,
            abort=partial(_stop_now, setup, hooks),
        )
        running.append(executor.coordinator(job))
        results += running[-1].run()
        if running[-1].fatal is not None:
            raise running[-1].fatal
        if fail_fast and any(
            result.status in (StepStatus.FAILED, StepStatus.UNREACHABLE) for result in results
        ):
            break
    return tuple(sorted(results, key=lambda result: result.address))


def _stop_now(setup: RunSetup, hooks: ScopeHooks) -> None:
    """End what is in flight, on the controller and on hosts."""
    hooks.interrupt()
    setup.connector.interrupt()


def _stray(
    project: Project, steps: Mapping[str, PlannedStep], coming: Mapping[str, Change]
) -> dict[str, Change]:
    """Changes of steps whose task the pipeline does not have, as may be in a repair."""
    tasks = tasks_of(project)
    places = {a: steps[a].instance.address for a in coming}
    return {a: change for a, change in coming.items() if (places[a].module, places[a].task) not in tasks}


def _made(step: PlannedStep, steps: Mapping[str, PlannedStep]) -> tuple[int, bool]:
    """The recorded order, but for what watches others: after the last of them."""
    watched = [_order(steps[address]) for address in step.data if address in steps]
    return max([_order(step), *watched]), bool(watched)


def _executor(
    setup: RunSetup, prompter: Prompter | None, steps: Mapping[str, PlannedStep]
) -> ConcurrentExecutor | DebugExecutor:
    if prompter is None:
        return ConcurrentExecutor(setup.project.parallelism)
    return DebugExecutor(prompter, HostLook(steps, _reader(setup)))


def _reader(setup: RunSetup) -> Callable[[str], ReadOnlyConnection | None]:
    """Connections for looking around; none for the controller, which somebody can look at himself."""
    known = setup.prepared.planned.hosts
    return lambda host: setup.connector.readonly(host) if host in known else None


def _order(step: PlannedStep) -> int:
    return step.entry.order if step.entry is not None else 0


def _source(project: Project, step: PlannedStep) -> str:
    address = step.instance.address
    where = project.loaded.sources.lookup(address.module, address.task, address.step)
    if where is None:
        return ""
    # state is shared: where a colleague keeps the project is nothing to record
    return f"{os.path.relpath(where.filename, project.loaded.root)}:{where.line}"


def _render_hook(setup: RunSetup, scope: Scope, hook: HookSpec) -> tuple[str, Scrubber]:
    """A hook's shell. On the controller, `host` is the first host of the inventory."""
    loaded = setup.project.loaded
    module = scope.module or (loaded.pipeline.modules[0].name if loaded.pipeline.modules else "")
    host = scope.host or loaded.inventory.hosts[0].name
    names = setup.prepared.instances.scopes.scope(module, host)
    result = setup.prepared.instances.engine(module).render(hook.run, names)
    if result.unknown:
        raise ConfigError(f"hook {hook.name} needs {min(result.unknown)}, which is not known")
    return str(result.value), Scrubber.for_texts(result.secrets)
