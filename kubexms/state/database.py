"""The state file as SQLAlchemy writes it: every transaction `BEGIN IMMEDIATE`, durable when it is over."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event, select
from sqlalchemy.exc import DatabaseError, SQLAlchemyError
from sqlalchemy.pool import QueuePool

from kubexms.errors import StateError
from kubexms.state.reading import BUSY_SECONDS, check_version, trouble
from kubexms.state.schema import META, metadata, migrate


def open_engine(path: Path) -> Engine:
    """An engine for the file, which is made with the right mode if it is not there. Raises `StateError`."""
    try:
        # SQLite gives the files beside it the mode of this one
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise trouble(path, error) from error
    engine = create_engine(
        f"sqlite:///{path}",
        poolclass=QueuePool,
        connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False},
    )
    event.listen(engine, "connect", _configure)
    event.listen(engine, "begin", _begin)
    return engine


@contextmanager
def transaction(engine: Engine, path: Path, fresh: Mapping[str, str]) -> Iterator[Connection]:
    """One transaction over tables that are there and current; `fresh` is the `meta` of a new file.

    Raises `StateError`, and `StateVersionError` for a file that a newer kubexms wrote.
    """
    with _told(path), engine.begin() as connection:
        metadata.create_all(connection)
        values = {row.name: row.value for row in connection.execute(select(META.c.name, META.c.value))}
        if not values:
            connection.execute(META.insert(), [{"name": n, "value": v} for n, v in fresh.items()])
        else:
            check_version(path, int(values["version"]))
            migrate(connection, int(values["version"]))
        yield connection


def _configure(connection: sqlite3.Connection, record: object) -> None:  # noqa: ARG001
    # transactions are begun by `_begin`, not by the driver
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=FULL"):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except DatabaseError as error:
        said = error.orig
        raise trouble(path, said if isinstance(said, sqlite3.Error) else sqlite3.Error(str(said))) from error
    except SQLAlchemyError as error:
        raise StateError(f"cannot use the state {path}: {error}") from error
    except OSError as error:
        raise trouble(path, error) from error
