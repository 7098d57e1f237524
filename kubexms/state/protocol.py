"""The StateStore protocol: one contract, tested for every implementation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from pydantic import JsonValue

from kubexms.state.history import Findings, Merged
from kubexms.state.model import (
    HostState,
    Intent,
    LockInfo,
    OpenScope,
    RunRecord,
    StateMeta,
    StateSnapshot,
    StepRecord,
    StepState,
)


class StateWriter(Protocol):
    """The right to write, held while the lock is. Thread-safe; every method is durable when it returns.

    Each call is one transaction whose cost does not grow with the size of the state.
    """

    def begin_run(self, run: RunRecord, *, plan: Mapping[str, JsonValue] | None = None) -> None:
        """Record that a run starts; `plan` is kept with it."""
        ...

    def finish_run(self, run: RunRecord) -> None:
        """Record how it ended; raises the serial if anything changed."""
        ...

    def open_intent(self, intent: Intent) -> None:
        """Before a step's first write."""
        ...

    def close_intent(
        self, record: StepRecord, *, run: str, entry: StepState | None = None, remove: bool = False
    ) -> None:
        """The result, in one transaction: it is stored, the intent closed, the entry stored (or removed).

        A failed step keeps its previous entry when `entry` is None; its intent is closed all the same.
        """
        ...

    def open_intents(self, intents: Sequence[Intent]) -> None:
        """Before the first write of several steps that are done together."""
        ...

    def close_intents(self, done: Sequence[tuple[StepRecord, StepState]], *, run: str) -> None:
        """The results and entries of steps that were done together and succeeded, their intents closed."""
        ...

    def withdraw_intents(self, addresses: Sequence[str]) -> None:
        """Nothing was done about these: their intents are forgotten, and no result is stored."""
        ...

    def keep_intent(self, record: StepRecord, *, run: str) -> None:
        """Store a result but leave the intent open: nobody knows how far the step got."""
        ...

    def record(self, records: Sequence[StepRecord], *, run: str) -> None:
        """Store results of steps that never began (skipped)."""
        ...

    def put_steps(self, entries: Sequence[StepState]) -> None:
        """Store entries (adopted steps, moves, refreshed ones) in one transaction."""
        ...

    def remove_steps(self, addresses: Sequence[str]) -> None:
        """Forget addresses."""
        ...

    def move(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Rename addresses. Raises `StateError` if a target exists."""
        ...

    def put_hosts(self, hosts: Sequence[HostState]) -> None:
        """Store hosts."""
        ...

    def remove_host(self, name: str) -> None:
        """Forget a host and every address on it."""
        ...

    def open_scope(self, scope: OpenScope) -> None:
        """A hook scope begins."""
        ...

    def close_scope(self, scope: str) -> None:
        """Its `post` has run."""
        ...

    def mark_applied(self, plan_digest: str) -> None:
        """A saved plan applies once."""
        ...


class StateStore(Protocol):
    """Where state lives. Reading takes no lock."""

    def meta(self) -> StateMeta:
        """Which state this is; creates it when there is none yet."""
        ...

    def ensure(self) -> None:
        """Make the state exist, empty, so that its lineage and key outlive this process."""
        ...

    def key(self) -> bytes:
        """The secret key for digests of sensitive values."""
        ...

    def snapshot(self) -> StateSnapshot:
        """Everything a plan needs, from one consistent reading. No lock is taken."""
        ...

    def lock(
        self,
        info: LockInfo,
        *,
        timeout: float,
        waiting: Callable[[LockInfo], None] | None = None,
    ) -> AbstractContextManager[StateWriter]:
        """Hold the lock and write. Backs the state up first.

        Waits up to `timeout` seconds, telling `waiting` once for whom; then raises
        `errors.StateLocked` with the holder. Free on the death of the holder.
        """
        ...

    def unlock(self, lock_id: str) -> None:
        """Break a lock by its id, where that is possible; raises `StateError`."""
        ...

    def holder(self) -> LockInfo | None:
        """Who holds the lock now, as far as can be told without trying for it; never waits."""
        ...

    def record_drift(self, findings: Findings) -> Merged | None:
        """Add what a drift run found to the history, without the lock and without raising the serial.

        None where nothing can be written: there is no state yet, or it is read-only.
        """
        ...

    def runs(self, *, limit: int = 50) -> Sequence[RunRecord]:
        """Runs, newest first."""
        ...

    def run(self, run_id: str) -> tuple[RunRecord, Sequence[StepRecord]]:
        """One run (an unambiguous prefix of its id will do) with its results. Raises `StateError`."""
        ...

    def pull(self) -> dict[str, JsonValue]:
        """The whole state as one versioned JSON document."""
        ...

    def push(self, document: Mapping[str, JsonValue], *, force: bool = False) -> None:
        """Replace the state, under the lock and after a backup.

        Raises `StateError` for another lineage or a lower serial unless `force`, `StateVersionError`
        for a newer version, and `StateLocked`.
        """
        ...

    def close(self) -> None:
        """Release files and threads; safe to call twice."""
        ...
