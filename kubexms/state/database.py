"""The state file as SQLAlchemy writes it: every transaction `BEGIN IMMEDIATE`, durable when it is over."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DatabaseError, SQLAlchemyError
from sqlalchemy.pool import NullPool, QueuePool, StaticPool

from kubexms.errors import StateError
from kubexms.state.schema import META, Migration, metadata, migrate
from kubexms.state.statefile import BUSY_SECONDS, check_version, trouble, values_of


def open_engine(path: Path, *, pooled: bool = True) -> Engine:
    """An engine for a file that is there."""
    engine = create_engine(
        f"sqlite:///{path}",
        poolclass=QueuePool if pooled else NullPool,
        connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False},
    )
    event.listen(engine, "connect", _configure)
    event.listen(engine, "begin", _begin)
    return engine


def create(path: Path, fresh: Mapping[str, str]) -> None:
    """Make a state file, whole or not at all; `fresh` is its `meta`. Keeps one that is there already.

    It is made beside its place and then linked into it, so an empty or half-made file under its
    name is damage, never a beginning.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.new")
    with told(path):
        draft.unlink(missing_ok=True)
        os.close(os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        try:
            engine = open_engine(draft, pooled=False)
            with engine.begin() as connection:
                metadata.create_all(connection)
                connection.execute(META.insert(), [{"name": n, "value": v} for n, v in fresh.items()])
            engine.dispose()
            try:
                os.link(draft, path)
            except FileExistsError:
                return
            directory = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)
        finally:
            draft.unlink(missing_ok=True)


def upgrade(engine: Engine, path: Path, migrations: Mapping[int, Migration] | None = None) -> None:
    """Bring the file to the current layout, in one transaction.

    Raises `StateError`, and `StateVersionError` for a file that a newer kubexms wrote.
    """
    with told(path), engine.begin() as connection:
        driver = connection.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        version = int(values_of(driver, path)["version"])
        check_version(path, version)
        migrate(connection, version, migrations)


def upgraded_copy(
    source: sqlite3.Connection, path: Path, version: int, migrations: Mapping[int, Migration] | None
) -> sqlite3.Connection:
    """A copy in memory of an older state, brought to the current layout: reading writes nothing."""
    copy = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    source.backup(copy)
    engine = create_engine("sqlite://", creator=lambda: copy, poolclass=StaticPool)
    event.listen(engine, "begin", _begin)
    with told(path), engine.begin() as connection:
        migrate(connection, version, migrations)
    return copy


@contextmanager
def told(path: Path) -> Iterator[None]:
    """What the database says inside, as a `StateError` that a user can act on."""
    try:
        yield
    except DatabaseError as error:
        said = error.orig
        raise trouble(path, said if isinstance(said, sqlite3.Error) else sqlite3.Error(str(said))) from error
    except SQLAlchemyError as error:
        raise StateError(f"cannot use the state {path}: {error}") from error
    except (sqlite3.Error, OSError) as error:
        raise trouble(path, error) from error


def _configure(connection: sqlite3.Connection, record: object) -> None:  # noqa: ARG001
    # transactions are begun by `_begin`, not by the driver
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=FULL"):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
