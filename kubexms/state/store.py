"""State in SQLite: one file per workspace.

WAL, `synchronous=FULL`, every write in `BEGIN IMMEDIATE`: what returned has reached the disk. Nothing is
created before the first lock: a plan in a fresh project writes nothing, and shows the lineage that
the first write will have only if that happens in the same process.
"""

from __future__ import annotations

import os
import secrets
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import JsonValue

from kubexms.errors import StateError
from kubexms.state.backup import back_up
from kubexms.state.filelock import hold, holder_of, living_holder
from kubexms.state.history import Findings, Merged, record
from kubexms.state.model import (
    STATE_VERSION,
    LockInfo,
    RunRecord,
    StateMeta,
    StateSnapshot,
    StepRecord,
)
from kubexms.state.protocol import StateStore, StateWriter
from kubexms.state.reading import Reading, reading

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from kubexms.state.schema import Migration


def open_store(directory: Path, workspace: str) -> StateStore:
    """The state of a workspace: `<directory>/<workspace>.db`. Touches nothing until it is used."""
    return SqlStore(directory, workspace)


class SqlStore:
    """A `StateStore` over one SQLite file. Thread-safe.

    `migrations` (layout -> what makes the next of it) are those of `schema` unless given.
    """

    def __init__(
        self, directory: Path, workspace: str, *, migrations: Mapping[int, Migration] | None = None
    ) -> None:
        self._path = directory / f"{workspace}.db"
        self._lock_path = directory / f"{workspace}.lock"
        self._workspace = workspace
        self._migrations = migrations
        self._engine: Engine | None = None
        self._guard = threading.Lock()
        self._fresh = StateMeta(lineage=str(uuid.uuid4()), serial=0, workspace=workspace)
        self._fresh_key = secrets.token_bytes(32)

    # reading ------------------------------------------------------------------------------
    def meta(self) -> StateMeta:
        """Which state this is; before the first write, the one that it will be."""
        if not self._path.exists():
            return self._fresh
        with self._reading() as view:
            return view.meta()

    def ensure(self) -> None:
        """Make the file, if there is none."""
        if not self._path.exists():
            self._create()

    def key(self) -> bytes:
        """The secret key for digests of sensitive values."""
        if not self._path.exists():
            return self._fresh_key
        with self._reading() as view:
            return view.key()

    def snapshot(self) -> StateSnapshot:
        """Everything a plan needs, from one consistent reading."""
        if not self._path.exists():
            return StateSnapshot(meta=self._fresh)
        with self._reading() as view:
            return view.snapshot()

    def runs(self, *, limit: int = 50) -> Sequence[RunRecord]:
        """Runs, newest first."""
        if not self._path.exists():
            return ()
        with self._reading() as view:
            return view.runs(limit)

    def run(self, run_id: str) -> tuple[RunRecord, Sequence[StepRecord]]:
        """One run, named by an unambiguous prefix of its id, with its results."""
        if not self._path.exists():
            raise StateError(f"there is no run {run_id}", detail="`kubexms runs list` shows the runs.")
        with self._reading() as view:
            return view.run(run_id)

    def holder(self) -> LockInfo | None:
        """Who holds the lock now, as far as can be told without trying for it."""
        return living_holder(self._lock_path)

    # writing ------------------------------------------------------------------------------
    def record_drift(self, findings: Findings) -> Merged | None:
        """Add what a drift run found to the history; takes no lock."""
        return record(self._path, findings) if self._path.exists() else None

    @contextmanager
    def lock(
        self, info: LockInfo, *, timeout: float, waiting: Callable[[LockInfo], None] | None = None
    ) -> Iterator[StateWriter]:
        """Hold the lock and write; backs the state up first."""
        from kubexms.state.writer import SqlWriter

        self._make_directory()
        with hold(self._lock_path, info, timeout=timeout, waiting=waiting):
            if self._path.exists():
                self.meta()
                back_up(self._path)
            with SqlWriter(self._writable(), self._path) as writer:
                yield writer

    def unlock(self, lock_id: str) -> None:
        """Explain: a file lock ends with its process and cannot be broken."""
        holder = holder_of(self._lock_path)
        if holder is None or holder.id != lock_id:
            raise StateError(f"there is no lock {lock_id}", detail="Nothing holds the state under that id.")
        raise StateError(
            f"lock {lock_id} is held by process {holder.pid} of {holder.who}",
            detail="The lock is free as soon as that process ends; end it, if it must not go on.",
        )

    def pull(self) -> dict[str, JsonValue]:
        """The whole state as one versioned JSON document."""
        from kubexms.state.document import write_document

        if not self._path.exists():
            return write_document(StateSnapshot(meta=self._fresh), (), self._fresh_key)
        with self._reading() as view:
            return write_document(view.snapshot(), view.runs()[::-1], view.key())

    def push(self, document: Mapping[str, JsonValue], *, force: bool = False) -> None:
        """Replace the state by a document that `pull` gave."""
        from kubexms.state.database import told
        from kubexms.state.document import check_push, read_document

        read = read_document(document)
        now = datetime.now(UTC)
        info = LockInfo(id=str(uuid.uuid4()), operation="state push", who="", created=now, pid=os.getpid())
        self._make_directory()
        with hold(self._lock_path, info, timeout=0.0):
            if self._path.exists():
                snapshot = self.snapshot()
                if snapshot.steps and not force:
                    check_push(snapshot.meta, read.snapshot.meta)
                back_up(self._path)
            with told(self._path), self._writable().begin() as connection:
                read.write(connection)

    def close(self) -> None:
        """Release files; safe to call twice."""
        with self._guard:
            engine, self._engine = self._engine, None
        if engine is not None:
            engine.dispose()

    # files --------------------------------------------------------------------------------
    def _make_directory(self) -> None:
        directory = self._path.parent
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StateError(f"cannot make the state's directory {directory}: {error.strerror}") from error

    def _create(self) -> None:
        from kubexms.state.database import create

        self._make_directory()
        create(
            self._path,
            {
                "version": str(STATE_VERSION),
                "lineage": self._fresh.lineage,
                "serial": "0",
                "key": self._fresh_key.hex(),
            },
        )

    def _writable(self) -> Engine:
        """The engine of the file, which is made if need be and brought to the current layout."""
        # only writing needs SQLAlchemy, whose import takes longer than a plan of one host
        from kubexms.state.database import open_engine, upgrade

        self.ensure()
        with self._guard:
            if self._engine is None:
                engine = open_engine(self._path)
                upgrade(engine, self._path, self._migrations)
                self._engine = engine
            return self._engine

    @contextmanager
    def _reading(self) -> Iterator[Reading]:
        with reading(self._path, self._workspace, migrations=self._migrations) as view:
            yield view
