"""Writing to a locked state: each call one durable transaction."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Self

from pydantic import JsonValue
from sqlalchemy import Connection, Engine, select, update
from sqlalchemy.exc import SQLAlchemyError

from kubexms.errors import StateError
from kubexms.state.codec import model_of, text_of
from kubexms.state.model import HostState, Intent, OpenScope, RunRecord, StepRecord, StepState
from kubexms.state.rows import drop, put
from kubexms.state.schema import APPLIED, HOSTS, INTENTS, META, RESULTS, RUNS, SCOPES, STEPS


class SqlWriter:
    """A `StateWriter`. Thread-safe: calls take turns on one connection. Use as a context manager."""

    def __init__(self, engine: Engine) -> None:
        self._connection = engine.connect()
        self._lock = threading.Lock()
        self._raised = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._connection.close()

    def _write(self, act: Callable[[Connection], None]) -> None:
        with self._lock:
            try:
                with self._connection.begin():
                    if not self._raised:
                        serial = self._connection.scalar(select(META.c.value).where(META.c.name == "serial"))
                        value = str(int(serial or 0) + 1)
                        self._connection.execute(
                            update(META).where(META.c.name == "serial").values(value=value)
                        )
                    act(self._connection)
            except SQLAlchemyError as error:
                raise StateError(
                    f"cannot write the state: {getattr(error, 'orig', error)}",
                    detail="Is the disk full, or read-only?",
                ) from error
            self._raised = True

    def begin_run(self, run: RunRecord, *, plan: Mapping[str, JsonValue] | None = None) -> None:
        """Record that a run starts."""
        text = json.dumps(plan) if plan is not None else None
        row = {"id": run.id, "started": run.started.isoformat(), "data": text_of(run), "plan": text}
        self._write(lambda connection: put(connection, RUNS, [row]))

    def finish_run(self, run: RunRecord) -> None:
        """Record how it ended."""
        row = {"id": run.id, "started": run.started.isoformat(), "data": text_of(run)}
        self._write(lambda connection: put(connection, RUNS, [row]))

    def open_intent(self, intent: Intent) -> None:
        """Before a step's first write."""
        row = {"address": intent.address, "data": text_of(intent)}
        self._write(lambda connection: put(connection, INTENTS, [row]))

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
            self._write(lambda connection: _add_results(connection, records, run))

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
            self._write(act)

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
    if text is None:
        raise StateError(f"{old} is not in the state", detail="`kubexms state list` shows the addresses.")
    if connection.scalar(select(STEPS.c.address).where(STEPS.c.address == new)) is not None:
        raise StateError(f"{new} is in the state already", detail="Forget it first (`kubexms state rm`).")
    entry = model_of(StepState, text).model_copy(update={"address": new})
    drop(connection, STEPS.c.address, [old])
    put(connection, STEPS, [{"address": new, "data": text_of(entry)}])
    intent = connection.scalar(select(INTENTS.c.data).where(INTENTS.c.address == old))
    if intent is not None:
        drop(connection, INTENTS.c.address, [old])
        moved = model_of(Intent, intent).model_copy(update={"address": new})
        put(connection, INTENTS, [{"address": new, "data": text_of(moved)}])
