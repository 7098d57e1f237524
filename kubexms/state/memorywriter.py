"""Writing to a state in memory, while its lock is held."""

from __future__ import annotations

import secrets
import threading
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from pydantic import JsonValue

from kubexms.errors import StateError
from kubexms.state.model import (
    HostState,
    Intent,
    OpenScope,
    RunRecord,
    StateMeta,
    StepRecord,
    StepState,
)


class Content:
    """Everything that a state holds, in dictionaries."""

    def __init__(self, workspace: str) -> None:
        self.meta = StateMeta(lineage=str(uuid.uuid4()), serial=0, workspace=workspace)
        self.key = secrets.token_bytes(32)
        self.steps: dict[str, StepState] = {}
        self.hosts: dict[str, HostState] = {}
        self.intents: dict[str, Intent] = {}
        self.scopes: dict[str, OpenScope] = {}
        self.applied: set[str] = set()
        self.runs: dict[str, RunRecord] = {}
        self.results: dict[str, list[StepRecord]] = {}


class MemoryWriter:
    """The `StateWriter` of a `MemoryStore`."""

    def __init__(self, content: Content, guard: threading.RLock) -> None:
        self._content = content
        self._guard = guard
        self._raised = False
        self.closed = False
        """The lock has been released."""

    @contextmanager
    def _writing(self, *, content: bool = True) -> Iterator[Content]:
        with self._guard:
            if self.closed:
                raise StateError("the lock on the state has been released")
            yield self._content
            if content and not self._raised:
                meta = self._content.meta
                self._content.meta = meta.model_copy(update={"serial": meta.serial + 1})
                self._raised = True

    def begin_run(self, run: RunRecord, *, plan: Mapping[str, JsonValue] | None = None) -> None:
        """Record that a run starts; the plan is not kept."""
        with self._writing(content=False) as content:
            content.runs[run.id] = run

    def finish_run(self, run: RunRecord) -> None:
        """Record how it ended."""
        with self._writing(content=False) as content:
            content.runs[run.id] = run

    def open_intent(self, intent: Intent) -> None:
        """Before a step's first write."""
        with self._writing() as content:
            content.intents[intent.address] = intent

    def close_intent(
        self, record: StepRecord, *, run: str, entry: StepState | None = None, remove: bool = False
    ) -> None:
        """The result, and the entry with it."""
        with self._writing() as content:
            content.intents.pop(record.address, None)
            content.results.setdefault(run, []).append(record)
            if remove:
                content.steps.pop(record.address, None)
            elif entry is not None:
                content.steps[entry.address] = entry

    def open_intents(self, intents: Sequence[Intent]) -> None:
        """Before the first write of steps that are done together."""
        with self._writing() as content:
            content.intents.update({intent.address: intent for intent in intents})

    def close_intents(self, done: Sequence[tuple[StepRecord, StepState]], *, run: str) -> None:
        """The results, and the entries with them."""
        with self._writing() as content:
            for record, entry in done:
                content.intents.pop(record.address, None)
                content.results.setdefault(run, []).append(record)
                content.steps[entry.address] = entry

    def withdraw_intents(self, addresses: Sequence[str]) -> None:
        """Intents that came to nothing."""
        with self._writing() as content:
            for address in addresses:
                content.intents.pop(address, None)

    def keep_intent(self, record: StepRecord, *, run: str) -> None:
        """A result whose intent stays open."""
        self.record([record], run=run)

    def record(self, records: Sequence[StepRecord], *, run: str) -> None:
        """Results of steps that never began."""
        with self._writing(content=False) as content:
            content.results.setdefault(run, []).extend(records)

    def put_steps(self, entries: Sequence[StepState]) -> None:
        """Store entries."""
        if entries:
            with self._writing() as content:
                content.steps.update({entry.address: entry for entry in entries})

    def remove_steps(self, addresses: Sequence[str]) -> None:
        """Forget addresses, and what was begun on them."""
        if addresses:
            with self._writing() as content:
                for address in addresses:
                    content.steps.pop(address, None)
                    content.intents.pop(address, None)

    def move(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Rename addresses, all or none."""
        if not pairs:
            return
        with self._writing() as content:
            steps, intents = dict(content.steps), dict(content.intents)
            for old, new in pairs:
                if old not in steps and old not in intents:
                    raise StateError(f"{old} is not in the state")
                if new in steps or new in intents:
                    raise StateError(f"{new} is in the state already")
                if old in steps:
                    steps[new] = steps.pop(old).model_copy(update={"address": new})
                if old in intents:
                    intents[new] = intents.pop(old).model_copy(update={"address": new})
            content.steps, content.intents = steps, intents

    def put_hosts(self, hosts: Sequence[HostState]) -> None:
        """Store hosts."""
        if hosts:
            with self._writing() as content:
                content.hosts.update({host.name: host for host in hosts})

    def remove_host(self, name: str) -> None:
        """Forget a host and every address on it."""
        with self._writing() as content:
            for table in (content.steps, content.intents):
                for address in [key for key in table if key.rpartition("@")[2] == name]:
                    table.pop(address)
            content.hosts.pop(name, None)

    def open_scope(self, scope: OpenScope) -> None:
        """A hook scope begins."""
        with self._writing() as content:
            content.scopes[scope.scope] = scope

    def close_scope(self, scope: str) -> None:
        """Its `post` has run."""
        with self._writing() as content:
            content.scopes.pop(scope, None)

    def mark_applied(self, plan_digest: str) -> None:
        """A saved plan applies once."""
        with self._writing() as content:
            content.applied.add(plan_digest)
