"""State in SQLite: one file per workspace.

WAL, `synchronous=FULL`, every write in `BEGIN IMMEDIATE`: what returned has reached the disk. Nothing is
created before the first lock: a plan in a fresh project writes nothing, and shows the lineage that
the first write will have only if that happens in the same process.
"""

from __future__ import annotations

import secrets
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import JsonValue

from kubexms.errors import StateError
from kubexms.state.backup import back_up
from kubexms.state.filelock import hold, holder_of
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
    from sqlalchemy import Connection, Engine


def open_store(directory: Path, workspace: str) -> StateStore:
    """The state of a workspace: `<directory>/<workspace>.db`. Touches nothing until it is used."""
    return SqlStore(directory, workspace)


class SqlStore:
    """A `StateStore` over one SQLite file. Thread-safe."""

    def __init__(self, directory: Path, workspace: str) -> None:
        self._path = directory / f"{workspace}.db"
        self._lock_path = directory / f"{workspace}.lock"
        self._workspace = workspace
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
            self._writable()

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

    # writing ------------------------------------------------------------------------------
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
            engine = self._writable()
            with SqlWriter(engine) as writer:
                yield writer

    def unlock(self, lock_id: str) -> None:
        """Explain: a file lock ends with its process and cannot be broken."""
        holder = holder_of(self._lock_path)
        if holder is None or holder.id != lock_id:
            raise StateError(f"there is no lock {lock_id}", detail="Nothing holds the state under that id.")
        raise StateError(
            f"lock {lock_id} is held by process {holder.pid} of {holder.who}",
            detail="The lock on a state file is free as soon as that process ends; end it, if it must not go on.",
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
        from kubexms.state.document import read_document

        read = read_document(document)
        if self._path.exists():
            current = self.meta()
            known = bool(self.snapshot().steps)
            if not force and known and current.lineage != read.snapshot.meta.lineage:
                raise StateError(
                    f"the document has lineage {read.snapshot.meta.lineage}, this state {current.lineage}",
                    detail="It belongs to another project. --force replaces this one by it.",
                )
            if not force and known and read.snapshot.meta.serial < current.serial:
                raise StateError(
                    f"the document has serial {read.snapshot.meta.serial}, older than this state's {current.serial}",
                    detail="Something was applied since it was pulled. --force goes back to it.",
                )
        with self._transaction() as connection:
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

    def _writable(self) -> Engine:
        """The engine, its tables made and migrated."""
        with self._transaction():
            pass
        return self._open()

    def _open(self) -> Engine:
        # only writing needs SQLAlchemy, whose import takes longer than a plan of one host
        from kubexms.state.database import open_engine

        with self._guard:
            if self._engine is None:
                self._engine = open_engine(self._path)
            return self._engine

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        from kubexms.state.database import transaction

        self._make_directory()
        fresh = {
            "version": str(STATE_VERSION),
            "lineage": self._fresh.lineage,
            "serial": "0",
            "key": self._fresh_key.hex(),
        }
        with transaction(self._open(), self._path, fresh) as connection:
            yield connection

    @contextmanager
    def _reading(self) -> Iterator[Reading]:
        if self._path.stat().st_size == 0:
            self._writable()
        with reading(self._path, self._workspace) as view:
            yield view
