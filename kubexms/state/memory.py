"""A state in memory: for tests, and for looking at a pulled document without a file."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeVar

from pydantic import JsonValue

from kubexms.errors import StateError, StateLocked
from kubexms.state.history import KEPT, Findings, Merged, merge
from kubexms.state.memorywriter import Content, MemoryWriter
from kubexms.state.model import (
    LockInfo,
    RunRecord,
    StateMeta,
    StateSnapshot,
    StepRecord,
)
from kubexms.state.protocol import StateWriter

T = TypeVar("T")


class MemoryStore:
    """A `StateStore` that ends with the process. Thread-safe; its lock is among threads only."""

    def __init__(
        self,
        workspace: str = "default",
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._content = Content(workspace)
        self._guard = threading.RLock()
        self._holder: LockInfo | None = None
        self._sleep = sleep
        self._clock = clock

    def meta(self) -> StateMeta:
        """Which state this is."""
        with self._guard:
            return self._content.meta

    def ensure(self) -> None:
        """It is there."""

    def key(self) -> bytes:
        """The secret key for digests of sensitive values."""
        return self._content.key

    def snapshot(self) -> StateSnapshot:
        """Everything a plan needs, from one consistent reading."""
        with self._guard:
            content = self._content
            return StateSnapshot.model_construct(
                meta=content.meta,
                steps=_sorted(content.steps),
                hosts=_sorted(content.hosts),
                intents=_sorted(content.intents),
                scopes=_sorted(content.scopes),
                applied_plans=tuple(sorted(content.applied)),
            )

    @contextmanager
    def lock(
        self, info: LockInfo, *, timeout: float, waiting: Callable[[LockInfo], None] | None = None
    ) -> Iterator[StateWriter]:
        """Hold the lock and write; there is nothing to back up."""
        self._acquire(info, timeout, waiting)
        writer = MemoryWriter(self._content, self._guard)
        try:
            yield writer
        finally:
            writer.closed = True
            with self._guard:
                self._holder = None

    def _acquire(self, info: LockInfo, timeout: float, waiting: Callable[[LockInfo], None] | None) -> None:
        deadline = self._clock() + timeout
        told = False
        while True:
            with self._guard:
                holder = self._holder
                if holder is None:
                    self._holder = info
                    return
            if self._clock() >= deadline:
                raise StateLocked(f"the state is locked by {holder.who} for {holder.operation}")
            if not told and waiting is not None:
                waiting(holder)
                told = True
            self._sleep(0.05)

    def unlock(self, lock_id: str) -> None:
        """Refuse: the holder is a thread of this process."""
        holder = self._holder
        if holder is None or holder.id != lock_id:
            raise StateError(f"there is no lock {lock_id}", detail="Nothing holds the state under that id.")
        raise StateError(f"lock {lock_id} is held by this process")

    def holder(self) -> LockInfo | None:
        """Who holds the lock now."""
        return self._holder

    def record_drift(self, findings: Findings) -> Merged | None:
        """Add what a drift run found to the history."""
        with self._guard:
            runs, results = self._content.runs, self._content.results
            newest = sorted(runs.values(), key=lambda run: (run.started, run.id), reverse=True)
            latest = next((run for run in newest if run.operation == "drift"), None)
            before = (latest, results.get(latest.id, [])) if latest is not None else None
            merged = merge(findings, before, newest=bool(newest) and newest[0] is latest)
            runs[merged.run.id] = merged.run
            results[merged.run.id] = list(merged.results)
            drifts = [run.id for run in newest if run.operation == "drift" and run.id != merged.run.id]
            for old in [merged.run.id, *drifts][KEPT:]:
                runs.pop(old)
                results.pop(old, None)
            return merged

    def runs(self, *, limit: int = 50) -> Sequence[RunRecord]:
        """Runs, newest first."""
        with self._guard:
            newest = sorted(self._content.runs.values(), key=lambda run: (run.started, run.id), reverse=True)
        return tuple(newest[:limit])

    def run(self, run_id: str) -> tuple[RunRecord, Sequence[StepRecord]]:
        """One run, named by an unambiguous prefix of its id, with its results."""
        with self._guard:
            runs = self._content.runs
            found = [run_id] if run_id in runs else [key for key in runs if key.startswith(run_id)]
            if not found:
                raise StateError(f"there is no run {run_id}", detail="`kubexms runs list` shows the runs.")
            if len(found) > 1:
                raise StateError(f"there are {len(found)} runs with ids that begin with {run_id}")
            return runs[found[0]], tuple(self._content.results.get(found[0], ()))

    def pull(self) -> dict[str, JsonValue]:
        """The whole state as one versioned JSON document."""
        from kubexms.state.document import write_document

        with self._guard:
            runs = sorted(self._content.runs.values(), key=lambda run: (run.started, run.id))
            return write_document(self.snapshot(), runs, self._content.key)

    def push(self, document: Mapping[str, JsonValue], *, force: bool = False) -> None:
        """Replace the state by a document that `pull` gave."""
        from kubexms.state.document import check_push, read_document

        read = read_document(document)
        with self._guard:
            if self._holder is not None:
                raise StateLocked(f"the state is locked by {self._holder.who} for {self._holder.operation}")
            content = self._content
            if content.steps and not force:
                check_push(content.meta, read.snapshot.meta)
            content.meta = read.snapshot.meta.model_copy(update={"workspace": content.meta.workspace})
            content.key = read.key
            content.steps = dict(read.snapshot.steps)
            content.hosts = dict(read.snapshot.hosts)
            content.intents = dict(read.snapshot.intents)
            content.scopes = dict(read.snapshot.scopes)
            content.applied = set(read.snapshot.applied_plans)
            content.runs = {run.id: run for run in read.runs}
            content.results = {key: found for key, found in content.results.items() if key in content.runs}

    def close(self) -> None:
        """Nothing to release."""


def _sorted(table: Mapping[str, T]) -> dict[str, T]:
    return dict(sorted(table.items()))
