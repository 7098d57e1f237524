"""State in SQLite: one file per workspace.

WAL, `synchronous=FULL`, every write in `BEGIN IMMEDIATE`: what returned has reached the disk. Nothing is
created before the first lock: a plan in a fresh project writes nothing, and shows the lineage that
the first write will have only if that happens in the same process.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from pydantic import JsonValue
from sqlalchemy import Connection, Engine, create_engine, event, select
from sqlalchemy.exc import DatabaseError, SQLAlchemyError
from sqlalchemy.pool import QueuePool

from kubexms.errors import StateError, StateVersionError
from kubexms.state.backup import back_up
from kubexms.state.document import read_document, write_document
from kubexms.state.filelock import hold, holder_of
from kubexms.state.model import (
    STATE_VERSION,
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
from kubexms.state.protocol import StateStore, StateWriter
from kubexms.state.rows import by_key, model_of
from kubexms.state.schema import (
    APPLIED,
    HOSTS,
    INTENTS,
    META,
    RESULTS,
    RUNS,
    SCOPES,
    STEPS,
    metadata,
    migrate,
)
from kubexms.state.writer import SqlWriter


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
        with self._reading() as connection:
            return self._meta(connection)

    def ensure(self) -> None:
        """Make the file, if there is none."""
        if not self._path.exists():
            self._writable()

    def key(self) -> bytes:
        """The secret key for digests of sensitive values."""
        if not self._path.exists():
            return self._fresh_key
        with self._reading() as connection:
            return bytes.fromhex(_values(connection)["key"])

    def snapshot(self) -> StateSnapshot:
        """Everything a plan needs, from one consistent reading."""
        if not self._path.exists():
            return StateSnapshot(meta=self._fresh)
        with self._reading() as connection:
            return StateSnapshot.model_construct(
                meta=self._meta(connection),
                steps=by_key(connection, STEPS, StepState),
                hosts=by_key(connection, HOSTS, HostState),
                intents=by_key(connection, INTENTS, Intent),
                scopes=by_key(connection, SCOPES, OpenScope),
                applied_plans=tuple(connection.scalars(select(APPLIED.c.digest).order_by(APPLIED.c.digest))),
            )

    def runs(self, *, limit: int = 50) -> Sequence[RunRecord]:
        """Runs, newest first."""
        if not self._path.exists():
            return ()
        with self._reading() as connection:
            query = select(RUNS.c.data).order_by(RUNS.c.started.desc(), RUNS.c.id.desc()).limit(limit)
            return tuple(model_of(RunRecord, text) for text in connection.scalars(query))

    def run(self, run_id: str) -> tuple[RunRecord, Sequence[StepRecord]]:
        """One run, named by an unambiguous prefix of its id, with its results."""
        if not self._path.exists():
            raise StateError(f"there is no run {run_id}", detail="`kubexms runs list` shows the runs.")
        with self._reading() as connection:
            query = select(RUNS.c.id, RUNS.c.data).where(RUNS.c.id.startswith(run_id, autoescape=True))
            found = list(connection.execute(query))
            if len(found) != 1:
                what = "no run" if not found else f"{len(found)} runs with ids that begin with"
                raise StateError(f"there is {what} {run_id}" if not found else f"there are {what} {run_id}")
            results = select(RESULTS.c.data).where(RESULTS.c.run == found[0].id).order_by(RESULTS.c.number)
            records = tuple(model_of(StepRecord, text) for text in connection.scalars(results))
            return model_of(RunRecord, found[0].data), records

    # writing ------------------------------------------------------------------------------
    @contextmanager
    def lock(
        self, info: LockInfo, *, timeout: float, waiting: Callable[[LockInfo], None] | None = None
    ) -> Iterator[StateWriter]:
        """Hold the lock and write; backs the state up first."""
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
        if not self._path.exists():
            return write_document(StateSnapshot(meta=self._fresh), (), self._fresh_key)
        with self._reading() as connection:
            runs = tuple(
                model_of(RunRecord, text)
                for text in connection.scalars(select(RUNS.c.data).order_by(RUNS.c.id))
            )
            key = bytes.fromhex(_values(connection)["key"])
        return write_document(self.snapshot(), runs, key)

    def push(self, document: Mapping[str, JsonValue], *, force: bool = False) -> None:
        """Replace the state by a document that `pull` gave."""
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

    def _open(self) -> Engine:
        with self._guard:
            if self._engine is None:
                # the file exists with the right mode before SQLite opens it: its companions inherit that
                os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
                self._engine = create_engine(
                    f"sqlite:///{self._path}",
                    poolclass=QueuePool,
                    connect_args={"timeout": 30, "check_same_thread": False},
                )
                event.listen(self._engine, "connect", _configure)
                event.listen(self._engine, "begin", _begin)
            return self._engine

    def _writable(self) -> Engine:
        """The engine, its tables made and migrated."""
        with self._transaction():
            pass
        return self._open()

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        self._make_directory()
        with _told(self._path), self._open().begin() as connection:
            metadata.create_all(connection)
            values = _values(connection)
            if not values:
                rows = {
                    "version": str(STATE_VERSION),
                    "lineage": self._fresh.lineage,
                    "serial": "0",
                    "key": self._fresh_key.hex(),
                }
                connection.execute(META.insert(), [{"name": n, "value": v} for n, v in rows.items()])
            else:
                self._check_version(int(values["version"]))
                migrate(connection, int(values["version"]))
            yield connection

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        if self._path.stat().st_size == 0:
            self._writable()
        with _told(self._path), self._open().connect().execution_options(write=False) as connection:
            yield connection

    def _meta(self, connection: Connection) -> StateMeta:
        values = _values(connection)
        version = int(values["version"])
        self._check_version(version)
        return StateMeta(
            version=version,
            lineage=values["lineage"],
            serial=int(values["serial"]),
            workspace=self._workspace,
        )

    def _check_version(self, version: int) -> None:
        if version > STATE_VERSION:
            raise StateVersionError(
                f"the state {self._path} has version {version}, and this kubexms knows versions up to {STATE_VERSION}",
                detail="It was written by a newer kubexms: use that one. Nothing was changed.",
            )


def _values(connection: Connection) -> dict[str, str]:
    return {name: value for name, value in connection.execute(select(META.c.name, META.c.value))}


def _configure(connection: sqlite3.Connection, record: object) -> None:
    # transactions are begun by `_begin`, not by the driver
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=30000"):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(
        "BEGIN IMMEDIATE" if connection.get_execution_options().get("write", True) else "BEGIN"
    )


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Turn what the database says into what a user can act on."""
    try:
        yield
    except DatabaseError as error:
        said = str(error.orig)
        if "not a database" in said or "malformed" in said:
            raise StateError(
                f"the state {path} is damaged: {said}",
                detail=f"Nothing was overwritten. The last copies are in {path.parent / 'backups'}.",
            ) from error
        raise StateError(
            f"cannot use the state {path}: {said}", detail="Is the disk full, or read-only?"
        ) from error
    except SQLAlchemyError as error:
        raise StateError(f"cannot use the state {path}: {error}") from error
    except OSError as error:
        raise StateError(f"cannot use the state {path}: {error.strerror}") from error
