"""What became of each scope: who failed in it, whether waits for it hold, and its hooks' gates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from kubexms.graph.model import Scope, StepGraph, TaskKey


@dataclass(slots=True)
class ScopeRecord:
    """The bad news of one scope; good news needs no bookkeeping."""

    failed: set[str] = field(default_factory=set)
    """Hosts on which something of this scope failed."""
    dropped: set[str] = field(default_factory=set)
    """Hosts on which something of this scope was not begun."""
    cause: str = ""
    """The smallest address that failed."""
    broken: bool = False
    """A hook on the controller failed, or a rolling scope within was stopped."""


class GateState(StrEnum):
    """How far the opening of a hook scope is."""

    OPENING = "opening"
    OPEN = "open"
    INACTIVE = "inactive"
    """It has nothing to do: no hooks, nothing to close."""
    FAILED = "failed"


@dataclass(slots=True)
class Gate:
    """The entrance of a hook scope."""

    state: GateState
    cause: str = ""
    """The hook that failed."""
    parked: list[int] = field(default_factory=list)
    """Nodes that wait for the opening."""


class ScopeBook:
    """Records of all scopes. The coordinator's thread only."""

    def __init__(self, graph: StepGraph) -> None:
        self._graph = graph
        self._records: dict[TaskKey, ScopeRecord] = {}
        self._hosts: dict[TaskKey, frozenset[str]] = {}
        self.gates: dict[Scope, Gate] = {}

    def record(self, key: TaskKey) -> ScopeRecord:
        """The record of a task, a module or the pipeline."""
        record = self._records.get(key)
        if record is None:
            record = self._records[key] = ScopeRecord()
        return record

    def fail(self, scopes: tuple[TaskKey, ...], host: str, address: str) -> None:
        """Something on `host` failed within `scopes`."""
        for key in scopes:
            record = self.record(key)
            record.failed.add(host)
            record.cause = min(record.cause, address) if record.cause else address

    def drop(self, scopes: tuple[TaskKey, ...], host: str) -> None:
        """Something on `host` was not begun."""
        for key in scopes:
            self.record(key).dropped.add(host)

    def break_(self, scopes: tuple[TaskKey, ...], cause: str) -> None:
        """The scopes failed as wholes."""
        for key in scopes:
            record = self.record(key)
            record.broken = True
            record.cause = min(record.cause, cause) if record.cause else cause

    def clean(self, scope: Scope) -> bool:
        """Whether a scope's `post` hooks may run: nothing failed beyond what its strategy tolerates."""
        record = self._records.get(scope.key)
        if record is None:
            return True
        if scope.host:
            return scope.host not in record.failed and scope.host not in record.dropped
        return not record.broken and len(record.failed) <= self._tolerated(scope.key, 0)

    def holds(self, key: TaskKey) -> bool:
        """Whether a wait for all hosts of a task or module is over for those that succeeded.

        It is not when a hook of the scope failed, a batch stopped the others, more failed than
        `maxFailures`, with `requireAll` when anyone did not succeed, and when nobody did. A module
        also needs every one of its tasks that says `requireAll` or `maxFailures`.
        """
        record = self._records.get(key)
        if record is None:
            return True
        if record.broken or not self._enough(key, record):
            return False
        if key[1]:
            return True
        inner = [task for task in self._graph.strategies if task[0] == key[0] and task[1]]
        return all(task not in self._records or self._enough(task, self._records[task]) for task in inner)

    def _enough(self, key: TaskKey, record: ScopeRecord) -> bool:
        strategy = self._graph.strategies.get(key)
        bad = record.failed | record.dropped
        if strategy is not None and strategy.require_all and bad:
            return False
        hosts = self.hosts(key)
        if len(record.failed) > self._tolerated(key, len(hosts)):
            return False
        return not hosts or not hosts <= bad

    def _tolerated(self, key: TaskKey, default: int) -> int:
        strategy = self._graph.strategies.get(key)
        if strategy is None:
            return default
        if strategy.max_failures is not None:
            return strategy.max_failures
        return 0 if strategy.max_parallel is not None else default

    def hosts(self, key: TaskKey) -> frozenset[str]:
        """Who has steps in a task or module."""
        if key not in self._hosts:
            members: Mapping[TaskKey, Mapping[str, tuple[str, ...]]] = self._graph.members
            self._hosts[key] = frozenset(
                host
                for task, hosts in members.items()
                if key in (task, (task[0], ""), ("", ""))
                for host in hosts
            )
        return self._hosts[key]
