"""Writing to a locked state: each call one durable transaction."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from pydantic import JsonValue
from sqlalchemy import Connection, Engine, Integer, Text, cast, select, update

from kubexms.errors import StateError
from kubexms.state.codec import model_of, text_of
from kubexms.state.database import told
from kubexms.state.model import HostState, Intent, OpenScope, RunRecord, StepRecord, StepState
from kubexms.state.rows import drop, put
from kubexms.state.schema import APPLIED, HOSTS, INTENTS, META, RESULTS, RUNS, SCOPES, STEPS

RAISE_SERIAL = (
    update(META).where(META.c.name == "serial").values(value=cast(cast(META.c.value, Integer) + 1, Text))
)

Act = Callable[[Connection], None]


class _Request:
    """One call that waits for its transaction."""

    __slots__ = ("act", "content", "done", "error", "refusable")

    def __init__(self, act: Act, content: bool, refusable: bool) -> None:
        self.act = act
        self.content = content
        self.refusable = refusable
        self.done = False
        self.error: Exception | None = None


class SqlWriter:
    """A `StateWriter`. Thread-safe. Use as a context manager; afterwards every call raises `StateError`.

    One thread at a time writes. Whoever gets its turn carries out all calls that wait by then in one
    transaction: a disk that takes a millisecond to sync takes it once for
    all hosts that have just finished something.
    """

    def __init__(self, engine: Engine, path: Path) -> None:
        self._path = path
        with told(path):
            self._connection = engine.connect()
        self._turn = threading.Lock()
        self._waiting: deque[_Request] = deque()
        self._raised = False
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._turn:
            self._closed = True
            self._connection.close()

    def _write(self, act: Act, *, content: bool = True, refusable: bool = False) -> None:
        """Carry out `act`, durably.

        `content`: it changes more than the history of runs. `refusable`: it may raise `StateError`.
        """
        request = _Request(act, content, refusable)
        self._waiting.append(request)
        with self._turn:
            if not request.done:
                group = [self._waiting.popleft() for _ in range(len(self._waiting))]
                try:
                    self._commit(group)
                except StateError as error:
                    for other in group:
                        other.error = other.error or error
                except BaseException:
                    for other in group:
                        other.error = other.error or StateError("writing the state was interrupted")
                    raise
                finally:
                    for other in group:
                        other.done = True
        if request.error is not None:
            raise request.error

    def _commit(self, group: Sequence[_Request]) -> None:
        if self._closed:
            raise StateError(
                "the lock on the state has been released",
                detail="What ended after that is found out by the next plan.",
            )
        raising = not self._raised and any(request.content for request in group)
        with told(self._path), self._connection.begin():
            for request in group:
                if not request.refusable:
                    request.act(self._connection)
                    continue
                try:
                    with self._connection.begin_nested():
                        request.act(self._connection)
                except StateError as error:
                    request.error = error
            if raising:
                self._connection.execute(RAISE_SERIAL)
        self._raised = self._raised or raising

    def begin_run(self, run: RunRecord, *, plan: Mapping[str, JsonValue] | None = None) -> None:
        """Record that a run starts."""
        text = json.dumps(plan) if plan is not None else None
        row = {"id": run.id, "started": run.started.isoformat(), "data": text_of(run), "plan": text}
        self._write(lambda connection: put(connection, RUNS, [row]), content=False)

    def finish_run(self, run: RunRecord) -> None:
        """Record how it ended."""
        row = {"id": run.id, "started": run.started.isoformat(), "data": text_of(run)}
        self._write(lambda connection: put(connection, RUNS, [row]), content=False)

    def open_intent(self, intent: Intent) -> None:
        """Before a step's first write."""
        self.open_intents([intent])

    def open_intents(self, intents: Sequence[Intent]) -> None:
        """Before the first write of steps that are done together."""
        rows = [{"address": intent.address, "data": text_of(intent)} for intent in intents]
        if rows:
            self._write(lambda connection: put(connection, INTENTS, rows))

    def close_intents(self, done: Sequence[tuple[StepRecord, StepState]], *, run: str) -> None:
        """The results, and the entries with them."""
        rows = [{"address": entry.address, "data": text_of(entry)} for _, entry in done]

        def act(connection: Connection) -> None:
            drop(connection, INTENTS.c.address, [record.address for record, _ in done])
            _add_results(connection, [record for record, _ in done], run)
            put(connection, STEPS, rows)

        if rows:
            self._write(act)

    def withdraw_intents(self, addresses: Sequence[str]) -> None:
        """Intents that came to nothing."""
        if addresses:
            self._write(lambda connection: drop(connection, INTENTS.c.address, addresses))

    def close_intent(
        self, record: StepRecord, *, run: str, entry: StepState | None = None, remove: bool = False
    ) -> None:
        """The result, and the entry with it."""

        def act(connection: Connection) -> None:
            drop(connection, INTENTS.c.address, [record.address])
            _add_results(connection, [record], run)
            if remove:
                drop(connection, STEPS.c.address, [record.address])
            elif entry is not None:
                put(connection, STEPS, [{"address": entry.address, "data": text_of(entry)}])

        self._write(act)

    def keep_intent(self, record: StepRecord, *, run: str) -> None:
        """A result whose intent stays open."""
        self.record([record], run=run)

    def record(self, records: Sequence[StepRecord], *, run: str) -> None:
        """Results of steps that never began."""
        if records:
            self._write(lambda connection: _add_results(connection, records, run), content=False)

    def put_steps(self, entries: Sequence[StepState]) -> None:
        """Store entries."""
        if entries:
            rows = [{"address": entry.address, "data": text_of(entry)} for entry in entries]
            self._write(lambda connection: put(connection, STEPS, rows))

    def remove_steps(self, addresses: Sequence[str]) -> None:
        """Forget addresses, and what was begun on them."""

        def act(connection: Connection) -> None:
            drop(connection, STEPS.c.address, addresses)
            drop(connection, INTENTS.c.address, addresses)

        if addresses:
            self._write(act)

    def move(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Rename addresses, all or none."""

        def act(connection: Connection) -> None:
            for old, new in pairs:
                _move(connection, old, new)

        if pairs:
            self._write(act, refusable=True)

    def put_hosts(self, hosts: Sequence[HostState]) -> None:
        """Store hosts."""
        if hosts:
            rows = [{"name": host.name, "data": text_of(host)} for host in hosts]
            self._write(lambda connection: put(connection, HOSTS, rows))

    def remove_host(self, name: str) -> None:
        """Forget a host and every address on it."""

        def act(connection: Connection) -> None:
            for table in (STEPS, INTENTS):
                column = table.c.address
                own = [text for text in connection.scalars(select(column)) if text.rpartition("@")[2] == name]
                drop(connection, column, own)
            drop(connection, HOSTS.c.name, [name])

        self._write(act)

    def open_scope(self, scope: OpenScope) -> None:
        """A hook scope begins."""
        row = {"scope": scope.scope, "data": text_of(scope)}
        self._write(lambda connection: put(connection, SCOPES, [row]))

    def close_scope(self, scope: str) -> None:
        """Its `post` has run."""
        self._write(lambda connection: drop(connection, SCOPES.c.scope, [scope]))

    def mark_applied(self, plan_digest: str) -> None:
        """A saved plan applies once."""
        self._write(lambda connection: put(connection, APPLIED, [{"digest": plan_digest}]))


def _add_results(connection: Connection, records: Sequence[StepRecord], run: str) -> None:
    connection.execute(RESULTS.insert(), [{"run": run, "data": text_of(record)} for record in records])


def _move(connection: Connection, old: str, new: str) -> None:
    text = connection.scalar(select(STEPS.c.data).where(STEPS.c.address == old))
    intent = connection.scalar(select(INTENTS.c.data).where(INTENTS.c.address == old))
    if text is None and intent is None:
        raise StateError(f"{old} is not in the state", detail="`kubexms state list` shows the addresses.")
    for table in (STEPS, INTENTS):
        if connection.scalar(select(table.c.address).where(table.c.address == new)) is not None:
            raise StateError(f"{new} is in the state already", detail="Forget it first (`kubexms state rm`).")
    if text is not None:
        entry = model_of(StepState, text).model_copy(update={"address": new})
        drop(connection, STEPS.c.address, [old])
        put(connection, STEPS, [{"address": new, "data": text_of(entry)}])
    if intent is not None:
        drop(connection, INTENTS.c.address, [old])
        moved = model_of(Intent, intent).model_copy(update={"address": new})
        put(connection, INTENTS, [{"address": new, "data": text_of(moved)}])
