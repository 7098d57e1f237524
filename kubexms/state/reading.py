"""Reading a state file, with the standard library alone: a plan need not load what only writing needs.

The tables are those of `schema`. Every `Reading` is one transaction and so one consistent view.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote

from kubexms.errors import StateError
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
from kubexms.state.statefile import BUSY_SECONDS, check_version, trouble, values_of

if TYPE_CHECKING:
    from kubexms.state.schema import Migration

M = TypeVar("M", bound=FrozenModel)


@contextmanager
def reading(
    path: Path, workspace: str, *, migrations: Mapping[int, Migration] | None = None
) -> Iterator[Reading]:
    """A consistent view of the file, which must exist. Raises `StateError`.

    A state of an older version is read from an upgraded copy in memory: reading changes no file.
    """
    with contextlib.ExitStack() as stack:
        try:
            connection = stack.enter_context(contextlib.closing(_connect(path)))
            connection.execute("BEGIN")
            version = int(values_of(connection, path)["version"])
            check_version(path, version)
            if version < STATE_VERSION:
                from kubexms.state.database import upgraded_copy

                copy = upgraded_copy(connection, path, version, migrations)
                connection = stack.enter_context(contextlib.closing(copy))
            view = Reading(connection, path, workspace)
        except (sqlite3.Error, OSError) as error:
            raise trouble(path, error) from error
        try:
            yield view
        except sqlite3.Error as error:
            raise trouble(path, error) from error


def _connect(path: Path) -> sqlite3.Connection:
    """A connection that makes no file; where the directory cannot be written, one that needs none."""
    mode = "mode=rw"
    if not os.access(path.parent, os.W_OK) and not _unmerged(path):
        # readers of a WAL database keep an index beside it; here nobody can, and so nobody writes
        mode = "mode=ro&immutable=1"
    uri = f"file:{quote(str(path.absolute()))}?{mode}"
    return sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None)


def _unmerged(path: Path) -> bool:
    try:
        return path.with_name(path.name + "-wal").stat().st_size > 0
    except OSError:
        return False


@dataclass(frozen=True, slots=True)
class Reading:
    """One transaction that reads. For the thread that opened it."""

    connection: sqlite3.Connection
    path: Path
    workspace: str

    def values(self) -> Mapping[str, str]:
        """The table `meta`."""
        return values_of(self.connection, self.path)

    def meta(self) -> StateMeta:
        """Which state this is."""
        values = self.values()
        return StateMeta(
            version=int(values["version"]),
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
        query = "SELECT id, data FROM runs WHERE substr(id, 1, ?) = ? ORDER BY id"
        found = self.connection.execute(query, (len(prefix), prefix)).fetchall()
        if found and found[0][0] == prefix:
            found = found[:1]  # the whole id, which may begin longer ones
        if not found:
            raise StateError(f"there is no run {prefix}", detail="`kubexms runs list` shows the runs.")
        if len(found) > 1:
            raise StateError(f"there are {len(found)} runs with ids that begin with {prefix}")
        number, data = found[0]
        rows = self.connection.execute("SELECT data FROM results WHERE run = ? ORDER BY number", (number,))
        return model_of(RunRecord, data), tuple(model_of(StepRecord, text) for (text,) in rows)
