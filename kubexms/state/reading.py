"""Reading a state file, with the standard library alone: a plan need not load what only writing needs.

The tables are those of `schema`. Every `Reading` is one transaction and so one consistent view.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from kubexms.errors import StateError, StateVersionError
from kubexms.spec.base import FrozenModel
from kubexms.state.codec import model_of
from kubexms.state.model import (
    STATE_VERSION,
    HostState,
    Intent,
    OpenScope,
    RunRecord,
    StateMeta,
    StateSnapshot,
    StepRecord,
    StepState,
)

M = TypeVar("M", bound=FrozenModel)

BUSY_SECONDS = 30.0
"""How long a statement waits for another process that holds the file."""


@contextmanager
def reading(path: Path, workspace: str) -> Iterator[Reading]:
    """A consistent view of the file, which must exist. Raises `StateError`."""
    try:
        with contextlib.closing(
            sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
        ) as connection:
            connection.execute("BEGIN")
            yield Reading(connection, path, workspace)
    except (sqlite3.Error, OSError) as error:
        raise trouble(path, error) from error


def trouble(path: Path, error: sqlite3.Error | OSError) -> StateError:
    """What the database says, turned into what a user can act on."""
    said = str(error) if isinstance(error, sqlite3.Error) else str(error.strerror)
    if "not a database" in said or "malformed" in said:
        return StateError(
            f"the state {path} is damaged: {said}",
            detail=f"Nothing was overwritten. The last copies are in {path.parent / 'backups'}.",
        )
    return StateError(f"cannot use the state {path}: {said}", detail="Is the disk full, or read-only?")


def check_version(path: Path, version: int) -> None:
    """Raises `StateVersionError` for a file that a newer kubexms wrote."""
    if version > STATE_VERSION:
        raise StateVersionError(
            f"the state {path} has version {version}, and this kubexms knows versions up to {STATE_VERSION}",
            detail="It was written by a newer kubexms: use that one. Nothing was changed.",
        )


@dataclass(frozen=True, slots=True)
class Reading:
    """One transaction that reads. For the thread that opened it."""

    connection: sqlite3.Connection
    path: Path
    workspace: str

    def values(self) -> Mapping[str, str]:
        """The table `meta`."""
        return dict(self.connection.execute("SELECT name, value FROM meta"))

    def meta(self) -> StateMeta:
        """Which state this is. Raises `StateVersionError`."""
        values = self.values()
        version = int(values["version"])
        check_version(self.path, version)
        return StateMeta(
            version=version,
            lineage=values["lineage"],
            serial=int(values["serial"]),
            workspace=self.workspace,
        )

    def key(self) -> bytes:
        """The secret key for digests of sensitive values."""
        return bytes.fromhex(self.values()["key"])

    def snapshot(self) -> StateSnapshot:
        """Everything a plan needs."""
        meta = self.meta()
        applied = self.connection.execute("SELECT digest FROM applied ORDER BY digest")
        return StateSnapshot.model_construct(
            meta=meta,
            steps=self._models(StepState, "SELECT address, data FROM steps ORDER BY address"),
            hosts=self._models(HostState, "SELECT name, data FROM hosts ORDER BY name"),
            intents=self._models(Intent, "SELECT address, data FROM intents ORDER BY address"),
            scopes=self._models(OpenScope, "SELECT scope, data FROM scopes ORDER BY scope"),
            applied_plans=tuple(digest for (digest,) in applied),
        )

    def _models(self, kind: type[M], query: str) -> dict[str, M]:
        return {key: model_of(kind, text) for key, text in self.connection.execute(query)}

    def runs(self, limit: int | None = None) -> tuple[RunRecord, ...]:
        """Runs, newest first."""
        query = "SELECT data FROM runs ORDER BY started DESC, id DESC LIMIT ?"
        rows = self.connection.execute(query, (-1 if limit is None else limit,))
        return tuple(model_of(RunRecord, text) for (text,) in rows)

    def run(self, prefix: str) -> tuple[RunRecord, tuple[StepRecord, ...]]:
        """The one run whose id begins so, with its results. Raises `StateError`."""
        query = "SELECT id, data FROM runs WHERE substr(id, 1, ?) = ?"
        found = self.connection.execute(query, (len(prefix), prefix)).fetchall()
        if not found:
            raise StateError(f"there is no run {prefix}", detail="`kubexms runs list` shows the runs.")
        if len(found) > 1:
            raise StateError(f"there are {len(found)} runs with ids that begin with {prefix}")
        number, data = found[0]
        rows = self.connection.execute("SELECT data FROM results WHERE run = ? ORDER BY number", (number,))
        return model_of(RunRecord, data), tuple(model_of(StepRecord, text) for (text,) in rows)
