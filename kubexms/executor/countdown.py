"""Counting down the graph: what arrives, what is skipped and because of whom, what is settled.

A node whose count of unsettled predecessors is zero *arrives*: a step is skipped (something it
depends on failed), passed over (no change), parked (its batch has not begun, its scope's hooks have
not run) or made ready on its host's lane; a wait is decided; closing hooks are queued. A node that
has ended is *settled*, well or because of an address, and its followers are counted down.

Which address a skip names does not depend on timing: when a node arrives all of its predecessors
are settled, and it takes the smallest of their causes.
"""

from __future__ import annotations

import heapq
from collections import deque

from kubexms.executor.events import StepResult, StepStatus
from kubexms.executor.job import Job
from kubexms.executor.lanes import FAILURES, HookTask
from kubexms.executor.reporting import Reporting
from kubexms.executor.schedule import DONE, QUEUED, WAITING, Lane, Schedule, TaskOnHost, enclosing
from kubexms.executor.scopes import Gate, GateState, ScopeBook
from kubexms.graph.model import HookNode, HookSide, JoinNode, Scope, StepNode, TaskKey
from kubexms.plan.model import Change
from kubexms.spec.address import CONTROLLER, Address
from kubexms.step.contract import ActionKind

HALTED = "\uffff"
"""Stands for an address when the whole run stopped: sorts after every address that really failed."""


class Countdown:
    """The bookkeeping of one run. The coordinator's thread only; nothing here blocks."""

    def __init__(self, job: Job, reporting: Reporting) -> None:
        self._job = job
        self._reporting = reporting
        self._schedule = Schedule(job.graph, job.changes)
        self._book = ScopeBook(job.graph)
        self._arrivals: deque[int] = deque()
        self._hook_failed: dict[str, str] = {}
        """Lane -> the hook that failed there in the task that runs."""
        self.results: list[tuple[Address, StepResult]] = []
        self.listed: deque[Lane] = deque()
        """Lanes that are free and have something ready."""
        self.halted = ""
        """Why no further step begins; empty: they do."""
        self.unsettled = 0
        schedule = self._schedule
        for number, node in enumerate(schedule.nodes):
            if isinstance(node, HookNode) and node.side is HookSide.OPEN:
                schedule.state[number] = DONE
                continue
            self.unsettled += 1
            if not schedule.remaining[number]:
                self._arrivals.append(number)

    @property
    def schedule(self) -> Schedule:
        """The nodes by number."""
        return self._schedule

    def drain(self) -> None:
        """Let arrive whatever can."""
        arrivals = self._arrivals
        while arrivals:
            self._arrive(arrivals.popleft())

    def halt(self, why: str) -> None:
        """No further step begins. Those that are parked or ready arrive again, to be skipped."""
        self.halted = self.halted or why
        for rolling in self._schedule.rollings.values():
            for nodes in rolling.parked.values():
                self._arrivals.extend(nodes)
            rolling.parked.clear()
        for lane in self._schedule.lanes.values():
            self._return(lane.ready)
            lane.ready.clear()
            for task in [task for task in lane.hooks if task.node.side is HookSide.OPEN]:
                lane.hooks.remove(task)
                self._opened(self._book.gates[task.node.scope], GateState.INACTIVE)

    def _return(self, numbers: list[int]) -> None:
        """Steps that were ready or handed out and have not begun."""
        for number in numbers:
            if self._schedule.state[number] == QUEUED:
                self._schedule.state[number] = WAITING
                if not self._schedule.remaining[number]:
                    self._arrivals.append(number)

    def returned(self, keys: tuple[str, ...]) -> None:
        """A worker was given these steps and has not begun them."""
        self._return([self._schedule.index[key] for key in keys])

    def break_stall(self) -> None:
        """Nothing runs, nothing is ready, and yet not all is settled: a batch waits for a later one."""
        for scope, rolling in self._schedule.rollings.items():
            if not rolling.parked:
                continue
            numbers = [number for nodes in rolling.parked.values() for number in nodes]
            rolling.parked.clear()
            for number in numbers:
                group = self._schedule.groups[number]
                assert group is not None
                why = f"cannot begin: the batches of {Scope(*scope)} before its own wait for it to finish"
                self._skip(number, group, self._schedule.keys[number], why)
            return
        raise AssertionError(f"{self.unsettled} nodes are never reached")

    # arriving -----------------------------------------------------------------------------------
    def _arrive(self, number: int) -> None:
        schedule = self._schedule
        if schedule.state[number] == DONE:
            return
        group = schedule.groups[number]
        if group is not None:
            self._step_arrives(number, group)
            return
        blocked = schedule.blocked[number]
        match schedule.nodes[number]:
            case StepNode():
                self._settle(number, blocked)
            case JoinNode(scope=scope, strict=strict):
                if not scope.host and not strict and self._book.hosts(scope.key):
                    holds = self._book.holds(scope.key)
                    blocked = None if holds else self._cause(scope.key, blocked)
                self._settle(number, blocked)
            case HookNode() as node:
                self._closing(number, node, blocked)

    def _cause(self, key: TaskKey, blocked: str | None) -> str:
        return blocked or self._book.record(key).cause or HALTED

    def _step_arrives(self, number: int, group: TaskOnHost) -> None:
        schedule = self._schedule
        blocked = schedule.blocked[number]
        if blocked is not None:
            why = self.halted if blocked == HALTED else f"skipped because {blocked} failed"
            self._skip(number, group, blocked, why)
        elif schedule.state[number] == QUEUED:
            return  # a worker has it already
        elif self.halted:
            self._skip(number, group, HALTED, self.halted)
        elif group.info.plain or (self._admitted(number, group) and self._past_gates(number, group)):
            schedule.state[number] = QUEUED
            heapq.heappush(group.lane.ready, number)
            self.enlist(group.lane)

    def _admitted(self, number: int, group: TaskOnHost) -> bool:
        """Whether the host's batch has begun; otherwise the step is parked, or skipped."""
        for rolling in group.info.rollings:
            if rolling.stopped is not None:
                why = f"skipped because {rolling.stopped} failed in an earlier batch"
                self._skip(number, group, rolling.stopped, why)
                return False
            if not rolling.admits(group.host):
                rolling.parked.setdefault(group.host, []).append(number)
                return False
        return True

    def _past_gates(self, number: int, group: TaskOnHost) -> bool:
        """Whether all `pre` hooks around the step have run; otherwise it is parked, or skipped."""
        for scope in group.gates:
            gate = self._book.gates.get(scope) or self._open(scope)
            if gate.state is GateState.FAILED:
                self._skip(number, group, gate.cause, f"skipped because {gate.cause} failed")
                return False
            if gate.state is GateState.OPENING:
                gate.parked.append(number)
                return False
        return True

    def _open(self, scope: Scope) -> Gate:
        """The gate of a scope at its first step: closed while its `pre` hooks run."""
        gate = self._book.gates[scope] = Gate(GateState.INACTIVE)
        if self._job.hooks.active(scope):
            gate.state = GateState.OPENING
            node = self._job.graph.node(f"open:{scope}")
            assert isinstance(node, HookNode)
            self._enqueue(HookTask(scope.host or CONTROLLER, node))
        return gate

    def _closing(self, number: int, node: HookNode, blocked: str | None) -> None:
        """Everything in a scope has ended: its `post` or `onFailure` hooks, if it was ever entered."""
        gate = self._book.gates.get(node.scope)
        entered = gate is not None and gate.state in (GateState.OPEN, GateState.FAILED)
        if gate is None and blocked is None and not self.halted and self._job.hooks.active(node.scope):
            entered = True  # left open by an earlier run, and no step of this one concerns it
        if not entered or self._job.stop.requested:
            self._close(number, node, blocked)
            return
        clean = (gate is None or gate.state is GateState.OPEN) and self._book.clean(node.scope)
        clean = clean and not (self.halted and blocked is not None)
        if clean or node.on_failure:
            self._schedule.state[number] = QUEUED
            self._enqueue(HookTask(node.scope.host or CONTROLLER, node, succeeded=clean))
        else:
            self._close(number, node, self._cause(node.scope.key, blocked))

    def enlist(self, lane: Lane) -> None:
        """Put a host's lane with something ready among those to be served."""
        if lane.busy or lane.listed or lane is self._schedule.controller:
            return
        if lane.ready or lane.hooks:
            lane.listed = True
            self.listed.append(lane)

    def _enqueue(self, task: HookTask) -> None:
        lane = self._schedule.lane(task.lane)
        lane.hooks.append(task)
        self.enlist(lane)

    def begun(self, key: str) -> None:
        """A worker has begun a step (or a hook, of which no count is kept)."""
        number = self._schedule.index.get(key)
        group = self._schedule.groups[number] if number is not None else None
        if group is not None:
            group.begun = True

    def hand_out(self, numbers: list[int]) -> None:
        """A worker is given these steps."""
        for number in numbers:
            self._schedule.state[number] = QUEUED

    # ending -------------------------------------------------------------------------------------
    def finished(self, lane: str, result: StepResult, good: bool, cause: str | None = None) -> None:
        """A step or hook that had been handed out has ended; see `lanes.Finished`."""
        number = self._schedule.index.get(result.address)
        if number is not None:
            group = self._schedule.groups[number]
            assert group is not None
            self._record(number, group, result, cause or (None if good else result.address))
            return
        self.results.append((Address.parse(result.address), result))
        change = Change(address=result.address, kind=result.kind, action=ActionKind(result.action))
        self._reporting.finished(change, result)
        if not good:
            self._hook_failed.setdefault(lane, result.address)

    def hooks_done(self, task: HookTask, good: bool) -> None:
        """All hooks of one side of a scope have run, as far as they were to."""
        scope = task.node.scope
        cause = self._hook_failed.pop(task.lane, None)
        within = enclosing(scope.key)
        if cause is not None and (task.succeeded or task.node.side is HookSide.OPEN):
            if scope.host:
                self._book.fail(within, scope.host, cause)
            else:
                self._book.break_(within, cause)
            if self._job.fail_fast:
                self._fail_fast(cause)
        if task.node.side is HookSide.OPEN:
            gate = self._book.gates[scope]
            gate.cause = "" if good else cause or HALTED
            self._opened(gate, GateState.OPEN if good else GateState.FAILED)
            return
        number = self._schedule.index[f"close:{scope}"]
        blocked = self._schedule.blocked[number]
        self._close(number, task.node, blocked if good else cause or self._cause(scope.key, blocked))

    def _opened(self, gate: Gate, state: GateState) -> None:
        gate.state = state
        self._arrivals.extend(gate.parked)
        gate.parked.clear()

    def _skip(self, number: int, group: TaskOnHost, cause: str, message: str) -> None:
        """A step that does not begin, because of an address."""
        key = self._schedule.keys[number]
        change = self._job.changes[key]
        result = StepResult(key, change.kind, change.action, StepStatus.SKIPPED, message=message)
        self._record(number, group, result, cause)

    def _record(self, number: int, group: TaskOnHost, result: StepResult, cause: str | None) -> None:
        """The result of a step, once."""
        node = self._schedule.nodes[number]
        assert isinstance(node, StepNode)
        self.results.append((node.address, result))
        self._reporting.finished(self._job.changes[result.address], result)
        if result.status in FAILURES:
            group.failed += 1
            self._book.fail(group.info.scopes, group.host, result.address)
            if self._job.fail_fast:
                self._fail_fast(result.address)
        elif result.status is StepStatus.IGNORED:
            group.ignored += 1
        else:
            group.changed += result.changed  # what a failed step has written is no change that was made
            if cause is not None:
                self._book.drop(group.info.scopes, group.host)
        group.left -= 1
        if not group.left and group.begun:
            self._reporting.task_finished(group)
        self._settle(number, cause)
        if group.info.rollings:
            self._roll(group.info.scopes, group.host)

    def _fail_fast(self, address: str) -> None:
        if not self.halted:
            self.halt(f"skipped because {address} failed and the run stops at the first failure")

    def _close(self, number: int, node: HookNode, cause: str | None) -> None:
        self._settle(number, cause)
        if node.scope.host:
            self._roll(enclosing(node.scope.key), node.scope.host)

    def _settle(self, number: int, cause: str | None) -> None:
        schedule = self._schedule
        schedule.state[number] = DONE
        self.unsettled -= 1
        remaining, blocked = schedule.remaining, schedule.blocked
        for follower in schedule.followers[number]:
            if cause is not None:
                other = blocked[follower]
                blocked[follower] = cause if other is None or cause < other else other
            remaining[follower] -= 1
            if not remaining[follower]:
                self._arrivals.append(follower)

    def _roll(self, scopes: tuple[TaskKey, ...], host: str) -> None:
        """Something within these scopes has ended on a host: perhaps a batch has."""
        for scope in scopes:
            rolling = self._schedule.rollings.get(scope)
            if rolling is None or not rolling.finish(host):
                continue
            record = self._book.record(scope)
            self._arrivals.extend(rolling.advance(len(record.failed), record.cause))
            if rolling.stopped is not None:
                self._book.break_(enclosing(scope), rolling.stopped)
