"""The history of drift: when a step began to differ from what was applied, and when that ended.

Written without the lock, in one short transaction that touches nothing a plan reads: an apply that runs
meanwhile is neither waited for nor held up. Bounded: runs that find what the one before them found are
counted instead of kept, and only the latest `KEPT` are kept at all.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from kubexms.state.codec import model_of, text_of
from kubexms.state.model import STATE_VERSION, RunRecord, StepRecord
from kubexms.state.statefile import trouble, values_of

KEPT = 200
"""Drift runs that are kept."""
BUSY_SECONDS = 5.0
"""How long another transaction is waited for; the transactions of an apply take milliseconds."""


@dataclass(frozen=True, slots=True)
class Findings:
    """What one drift run found."""

    run: RunRecord
    drifted: tuple[StepRecord, ...] = ()
    checked: Collection[str] = ()
    """Addresses that were looked at. Of all others nothing is known: what they were, they stay."""


@dataclass(frozen=True, slots=True)
class Merged:
    """What is to be kept of it."""

    run: RunRecord
    results: tuple[StepRecord, ...]
    folded: bool
    """Nothing is new: `run` is the record before, with one more run counted."""


def merge(
    findings: Findings, before: tuple[RunRecord, Sequence[StepRecord]] | None, *, newest: bool
) -> Merged:
    """The findings joined to the latest drift run's; `newest`: no other run happened since that one."""
    run = findings.run
    known = {record.address: record for record in (before[1] if before else ()) if record.status == "drifted"}
    results: list[StepRecord] = []
    for record in findings.drifted:
        earlier = known.get(record.address)
        since = earlier.since if earlier is not None and earlier.since else run.started
        results.append(record.model_copy(update={"status": "drifted", "since": since}))
    found = {record.address for record in results}
    gone = [record for address, record in known.items() if address not in found]
    results += [record for record in gone if record.address not in findings.checked]
    ended = [r.model_copy(update={"status": "ended"}) for r in gone if r.address in findings.checked]
    summary = {
        "drifted": len(results),
        "began": sum(1 for record in results if record.since == run.started),
        "ended": len(ended),
        "unreachable": run.summary.get("unreachable", 0),
    }
    if before is not None and newest and not ended and _alike(before, results, summary["unreachable"]):
        again = {"repeats": before[0].repeats + 1, "last": run.finished or run.started}
        return Merged(before[0].model_copy(update=again), tuple(before[1]), folded=True)
    ordered = sorted([*results, *ended], key=lambda record: record.address)
    return Merged(run.model_copy(update={"summary": summary}), tuple(ordered), folded=False)


def _alike(
    before: tuple[RunRecord, Sequence[StepRecord]], results: Sequence[StepRecord], unreachable: int
) -> bool:
    then = {_what(record) for record in before[1] if record.status == "drifted"}
    return then == {_what(record) for record in results} and (
        before[0].summary.get("unreachable", 0) == unreachable
    )


def _what(record: StepRecord) -> tuple[str, str, tuple[str, ...]]:
    return record.address, record.action, record.changed


def record(path: Path, findings: Findings) -> Merged | None:
    """Add findings to the state file. None where it may not be written, or is of another version.

    Raises `StateError` for everything else that keeps them from being written.
    """
    if not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
        return None
    try:
        with contextlib.closing(
            sqlite3.connect(
                f"file:{path.absolute()}?mode=rw", uri=True, timeout=BUSY_SECONDS, isolation_level=None
            )
        ) as connection:
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("BEGIN IMMEDIATE")
            try:
                merged = _write(connection, path, findings)
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")
            return merged
    except (sqlite3.Error, OSError) as error:
        raise trouble(path, error) from error


def _write(connection: sqlite3.Connection, path: Path, findings: Findings) -> Merged | None:
    if int(values_of(connection, path)["version"]) != STATE_VERSION:
        return None
    newest = connection.execute("SELECT id FROM runs ORDER BY started DESC, id DESC LIMIT 1").fetchone()
    found = connection.execute(
        "SELECT id FROM runs WHERE data LIKE ? ORDER BY started DESC, id DESC", (_DRIFT,)
    )
    drifts = [run for (run,) in found]
    before = _run(connection, drifts[0]) if drifts else None
    merged = merge(findings, before, newest=bool(drifts) and newest[0] == drifts[0])
    row = (merged.run.id, merged.run.started.isoformat(), text_of(merged.run))
    connection.execute("INSERT OR REPLACE INTO runs (id, started, data) VALUES (?, ?, ?)", row)
    if not merged.folded:
        connection.executemany(
            "INSERT INTO results (run, data) VALUES (?, ?)",
            [(merged.run.id, text_of(record)) for record in merged.results],
        )
        drifts.insert(0, merged.run.id)
    for old in drifts[KEPT:]:
        connection.execute("DELETE FROM results WHERE run = ?", (old,))
        connection.execute("DELETE FROM runs WHERE id = ?", (old,))
    return merged


_DRIFT = '%"operation":"drift"%'


def _run(connection: sqlite3.Connection, number: str) -> tuple[RunRecord, list[StepRecord]]:
    (text,) = connection.execute("SELECT data FROM runs WHERE id = ?", (number,)).fetchone()
    rows = connection.execute("SELECT data FROM results WHERE run = ? ORDER BY number", (number,))
    return model_of(RunRecord, text), [model_of(StepRecord, data) for (data,) in rows]
