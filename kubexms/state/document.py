"""`state pull` and `state push`: the whole state as one versioned JSON document.

The top level has `version`, `serial` and `lineage`, as Terraform's has: stores of such documents (GitLab)
tell versions by them. The key for digests of sensitive values is part of it: treat the document as secret.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pydantic import Field, JsonValue, ValidationError
from sqlalchemy import Connection, select

from kubexms.errors import StateError, StateVersionError
from kubexms.spec.base import FrozenModel
from kubexms.state.codec import plain, text_of
from kubexms.state.model import (
    STATE_VERSION,
    HostState,
    Intent,
    OpenScope,
    RunRecord,
    StateMeta,
    StateSnapshot,
    StepState,
)
from kubexms.state.rows import put
from kubexms.state.schema import APPLIED, CONTENT, HOSTS, INTENTS, META, RESULTS, RUNS, SCOPES, STEPS

KEY_BYTES = 32


class StateDocument(FrozenModel):
    """The document's shape."""

    version: int
    lineage: str
    serial: int
    workspace: str = "default"
    key: str
    """Hexadecimal; secret."""
    steps: dict[str, StepState] = Field(default_factory=dict)
    hosts: dict[str, HostState] = Field(default_factory=dict)
    intents: dict[str, Intent] = Field(default_factory=dict)
    scopes: dict[str, OpenScope] = Field(default_factory=dict)
    applied_plans: tuple[str, ...] = ()
    runs: tuple[RunRecord, ...] = ()


@dataclass(frozen=True)
class ReadDocument:
    """A checked document."""

    snapshot: StateSnapshot
    runs: tuple[RunRecord, ...]
    key: bytes

    def write(self, connection: Connection) -> None:
        """Replace everything in the caller's transaction. Results are kept for the runs that stay."""
        for table in CONTENT:
            if table is not RESULTS:
                connection.execute(table.delete())
        meta = self.snapshot.meta
        values = {
            "version": str(STATE_VERSION),
            "lineage": meta.lineage,
            "serial": str(meta.serial),
            "key": self.key.hex(),
        }
        put(connection, META, [{"name": name, "value": value} for name, value in values.items()])
        put(connection, STEPS, [{"address": n, "data": text_of(m)} for n, m in self.snapshot.steps.items()])
        put(connection, HOSTS, [{"name": n, "data": text_of(m)} for n, m in self.snapshot.hosts.items()])
        put(
            connection,
            INTENTS,
            [{"address": n, "data": text_of(m)} for n, m in self.snapshot.intents.items()],
        )
        put(connection, SCOPES, [{"scope": n, "data": text_of(m)} for n, m in self.snapshot.scopes.items()])
        put(connection, APPLIED, [{"digest": digest} for digest in self.snapshot.applied_plans])
        rows = [
            {"id": r.id, "started": r.started.isoformat(), "data": text_of(r), "plan": None}
            for r in self.runs
        ]
        put(connection, RUNS, rows)
        connection.execute(RESULTS.delete().where(RESULTS.c.run.not_in(select(RUNS.c.id))))


def write_document(snapshot: StateSnapshot, runs: Sequence[RunRecord], key: bytes) -> dict[str, JsonValue]:
    """The document of a state."""
    meta = snapshot.meta
    return {
        "version": STATE_VERSION,
        "lineage": meta.lineage,
        "serial": meta.serial,
        "workspace": meta.workspace,
        "key": key.hex(),
        "steps": plain(snapshot.steps),
        "hosts": plain(snapshot.hosts),
        "intents": plain(snapshot.intents),
        "scopes": plain(snapshot.scopes),
        "appliedPlans": list(snapshot.applied_plans),
        "runs": [run.to_json() for run in runs],
    }


def check_push(current: StateMeta, pushed: StateMeta) -> None:
    """Raises `StateError` for another lineage and for an older serial: such a document replaces nothing."""
    if current.lineage != pushed.lineage:
        raise StateError(
            f"the document has lineage {pushed.lineage}, this state {current.lineage}",
            detail="It belongs to another project. --force replaces this one by it.",
        )
    if pushed.serial < current.serial:
        raise StateError(
            f"the document has serial {pushed.serial}, older than this state's {current.serial}",
            detail="Something was applied since it was pulled. --force goes back to it.",
        )


Upgrade = Callable[[dict[str, JsonValue]], dict[str, JsonValue]]
UPGRADES: Mapping[int, Upgrade] = {}
"""Version of a document -> what makes the next one of it. Version 1 is the first."""


def read_document(
    document: Mapping[str, JsonValue], upgrades: Mapping[int, Upgrade] | None = None
) -> ReadDocument:
    """Check a document, after upgrading an older one.

    Raises `StateVersionError` for a version that is not known, `StateError` for what is no document.
    """
    known = UPGRADES if upgrades is None else upgrades
    version = document.get("version")
    if not isinstance(version, int) or isinstance(version, bool):
        raise StateError(
            "this is not a state document: it has no version", detail="`kubexms state pull` makes one."
        )
    current = dict(document)
    while version != STATE_VERSION:
        if version > STATE_VERSION:
            raise StateVersionError(
                f"the document has version {version}, and this kubexms knows versions up to {STATE_VERSION}",
                detail="It was written by a newer kubexms: use that one. Nothing was changed.",
            )
        if version not in known:
            raise StateVersionError(
                f"the document has version {version}, which this kubexms cannot read",
                detail="Push it with a release between that one and this one. Nothing was changed.",
            )
        version += 1
        current = {**known[version - 1](current), "version": version}
    try:
        read = StateDocument.from_json(current)
        key = bytes.fromhex(read.key)
        if len(key) != KEY_BYTES:
            raise ValueError(f"it has {len(key)} bytes instead of {KEY_BYTES}")
    except (ValidationError, ValueError) as error:
        problem = error.errors()[0] if isinstance(error, ValidationError) else None
        where = ".".join(map(str, problem["loc"])) if problem else "key"
        raise StateError(
            f"this is not a state document: {where}: {problem['msg'] if problem else error}"
        ) from error
    meta = StateMeta(lineage=read.lineage, serial=read.serial, workspace=read.workspace)
    snapshot = StateSnapshot(
        meta=meta,
        steps=read.steps,
        hosts=read.hosts,
        intents=read.intents,
        scopes=read.scopes,
        applied_plans=read.applied_plans,
    )
    return ReadDocument(snapshot, read.runs, key)
