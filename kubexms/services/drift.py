"""Drift: hosts against what was last applied to them. Takes no lock, and waits for nobody who holds it.

The one thing written is history, in a transaction of its own (`state.history`).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from kubexms import __version__
from kubexms.errors import StateError
from kubexms.executor.events import Listener
from kubexms.plan.driftcheck import comparable, not_observed
from kubexms.plan.driftreport import DriftReport
from kubexms.plan.model import Change, HostStatus, PlanOptions, Reason
from kubexms.plan.motion import in_motion
from kubexms.plan.working import Planned
from kubexms.services.living import living_runs
from kubexms.services.planning import Prepared, prepare, selected
from kubexms.services.project import Project
from kubexms.services.state import actor
from kubexms.state.history import Findings
from kubexms.state.model import RunRecord, StateSnapshot, StepRecord


def utc_now() -> datetime:
    """The clock."""
    return datetime.now(UTC)


def drift(
    project: Project,
    options: PlanOptions,
    *,
    listener: Listener,
    now: Callable[[], datetime] = utc_now,
) -> DriftReport:
    """Compare every host with its last applied steps, and keep what was found in the history."""
    before = project.store.snapshot()
    started = now()
    prepared = prepare(project, options, project.connector(before), before, listener=listener)
    report = report_of(project, prepared, started)
    if report.drifted or before.intents:
        report = _settled(report, before, project)
    report = replace(report, seconds=(now() - started).total_seconds())
    return remembered(project, report, now)


def report_of(project: Project, prepared: Prepared, started: datetime) -> DriftReport:
    """What one look at the hosts found."""
    plan, planned = prepared.plan, prepared.planned
    chosen = selected(project, planned, plan.options)
    entries = [address for work in planned.hosts.values() for address in work.entries]
    silent = {address for work in planned.hosts.values() for address in _speechless(prepared, work.name)}
    unknown = {a: why for work in planned.hosts.values() for a, why in not_observed(work).items()}
    missed = {name: state.missed_at for name, state in planned.snapshot.hosts.items() if state.missed_at}
    untracked = tuple(c.address for c in plan.changes if c.address not in planned.snapshot.steps)
    pending = tuple(c for c in plan.effective if _pending(c) and c.address not in set(untracked))
    waiting = {change.host for change in pending} | {a.rpartition("@")[2] for a in untracked}
    halfway = {a.rpartition("@")[2] for a in planned.snapshot.intents}
    halfway |= {a.rpartition("@")[2] for a, entry in planned.snapshot.steps.items() if entry.tainted}
    return DriftReport(
        drifted=plan.drift,
        pending=pending,
        unreachable={h.name: h.error for h in plan.hosts if h.status is HostStatus.UNREACHABLE},
        behind=tuple(sorted((halfway | (waiting & missed.keys())) & planned.hosts.keys())),
        untracked=untracked,
        unknown={a: why for a, why in sorted(unknown.items()) if chosen is None or a in chosen},
        maintenance={h.name: h.error for h in plan.hosts if h.status is HostStatus.MAINTENANCE},
        hosts=tuple(report.name for report in plan.hosts),
        steps=tuple(sorted(a for a in entries if a not in silent and (chosen is None or a in chosen))),
        facts_at=_old_facts(planned),
        notes=tuple(
            f"{gone.host} left the inventory and is not looked at (steps recorded there: {gone.steps})"
            for gone in plan.removals
        ),
        project=plan.project,
        workspace=plan.workspace,
        tool_version=__version__,
        started=started,
    )


def _speechless(prepared: Prepared, host: str) -> list[str]:
    """Entries of a host that answered about which drift says nothing: unfinished ones, and what only runs."""
    work = prepared.planned.hosts[host]
    if not work.usable or work.answer is None:
        return []
    able = comparable(work)
    found = [address for address in work.entries if address not in able]
    for address, seen in work.answer.applied.items():
        if seen.rendered.executor.runs(seen.rendered.spec) != "observed":
            found.append(address)
    return found


def _pending(change: Change) -> bool:
    return not change.unknown and change.reason not in (None, Reason.DRIFT, Reason.REPLACE_REQUESTED)


def _old_facts(planned: Planned) -> dict[str, datetime]:
    """Of hosts that were not asked: how old the facts are that templates of others were rendered with."""
    silent = [work.name for work in planned.hosts.values() if not work.usable]
    states = {name: planned.snapshot.hosts[name] for name in silent if name in planned.snapshot.hosts}
    known = {name: state.facts_at for name, state in states.items() if state.facts and state.facts_at}
    if not known:
        return {}
    reads = {
        name
        for work in planned.hosts.values()
        for step in work.steps.values()
        for name in step.instance.reads | step.instance.rendered.reads
    }
    return known if any(name.startswith("hosts.") and ".facts" in name for name in reads) else {}


# beside an apply --------------------------------------------------------------------------
def _settled(report: DriftReport, before: StateSnapshot, project: Project) -> DriftReport:
    """The report without what a running apply makes of hosts half-way; the state is read again for it."""
    after = project.store.snapshot()
    moved = in_motion(before, after, living_runs(project, before, after))
    moved = {host: run for host, run in moved.items() if host not in report.unreachable}
    return replace(
        report,
        drifted=tuple(change for change in report.drifted if change.host not in moved),
        behind=tuple(host for host in report.behind if host not in moved),
        unknown={a: why for a, why in report.unknown.items() if a.rpartition("@")[2] not in moved},
        applying=dict(sorted(moved.items())),
    )


# history ----------------------------------------------------------------------------------
def remembered(project: Project, report: DriftReport, now: Callable[[], datetime] = utc_now) -> DriftReport:
    """The report with what the history says of it; it becomes a part of that where it can be written."""
    record = RunRecord(
        id=f"{report.started:%Y%m%d-%H%M%S}-{secrets.token_hex(3)}",
        operation="drift",
        actor=actor(),
        started=report.started,
        finished=now(),
        status="succeeded",
        summary={"unreachable": len(report.unreachable)},
        tool_version=__version__,
    )
    found = tuple(
        StepRecord(
            address=change.address,
            kind=change.kind,
            action=change.action.value,
            status="drifted",
            reason="drift",
            changed=change.changed,
        )
        for change in report.drifted
    )
    try:
        merged = project.store.record_drift(Findings(record, found, frozenset(report.looked_at)))
    except StateError as error:
        return replace(report, notes=(*report.notes, f"not kept in the history: {error.summary}"))
    if merged is None:
        return report
    drifted = {change.address for change in report.drifted}
    since = {r.address: r.since for r in merged.results if r.since is not None and r.address in drifted}
    return replace(report, since=since)


__all__ = ["DriftReport", "drift", "remembered", "report_of"]
