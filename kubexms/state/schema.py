"""The tables of a state file, and how older ones become current.

A row holds its model as canonical JSON, beside the columns by which it is found: a new field with a
default needs no migration. `meta.version` says which layout a file has; `MIGRATIONS[n]` turns layout n
into n + 1, in the transaction in which the file is opened for writing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from sqlalchemy import Column, Connection, Index, Integer, MetaData, Table, Text

from kubexms.errors import StateVersionError
from kubexms.state.model import STATE_VERSION

metadata = MetaData()

META = Table("meta", metadata, Column("name", Text, primary_key=True), Column("value", Text, nullable=False))
STEPS = Table(
    "steps", metadata, Column("address", Text, primary_key=True), Column("data", Text, nullable=False)
)
HOSTS = Table("hosts", metadata, Column("name", Text, primary_key=True), Column("data", Text, nullable=False))
INTENTS = Table(
    "intents", metadata, Column("address", Text, primary_key=True), Column("data", Text, nullable=False)
)
SCOPES = Table(
    "scopes", metadata, Column("scope", Text, primary_key=True), Column("data", Text, nullable=False)
)
RUNS = Table(
    "runs",
    metadata,
    Column("id", Text, primary_key=True),
    Column("started", Text, nullable=False),
    Column("data", Text, nullable=False),
    Column("plan", Text),
)
RESULTS = Table(
    "results",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("run", Text, nullable=False),
    Column("data", Text, nullable=False),
)
Index("results_of_run", RESULTS.c.run)
APPLIED = Table("applied", metadata, Column("digest", Text, primary_key=True))

CONTENT: Final = (STEPS, HOSTS, INTENTS, SCOPES, RUNS, RESULTS, APPLIED)

Migration = Callable[[Connection], None]
MIGRATIONS: Mapping[int, Migration] = {}
"""Layout -> what makes the next one of it. Layout 1 is the first."""


def migrate(connection: Connection, found: int, migrations: Mapping[int, Migration] | None = None) -> None:
    """Bring a file from layout `found` to the current one, in the caller's transaction.

    Raises `StateVersionError` if there is no way from there.
    """
    known = MIGRATIONS if migrations is None else migrations
    for version in range(found, STATE_VERSION):
        if version not in known:
            raise StateVersionError(
                f"the state has version {version}, which this kubexms no longer reads",
                detail="Apply once with a release between the one that wrote it and this one.",
            )
        known[version](connection)
    if found < STATE_VERSION:
        connection.execute(META.update().where(META.c.name == "version").values(value=str(STATE_VERSION)))
