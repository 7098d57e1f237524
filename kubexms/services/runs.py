"""What the state keeps of a run, and what a run says of the hosts that it missed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from kubexms.executor.events import HOOK, RunResult, StepResult, StepStatus, Waiting
from kubexms.plan.model import HostStatus, Plan
from kubexms.plan.staleness import Moved
from kubexms.services.project import Project
from kubexms.state.model import LockInfo, RunRecord, StepRecord
from kubexms.state.protocol import StateWriter


def waiting_for(holder: LockInfo) -> Waiting:
    """That the state is another run's."""
    since = f"{holder.created:%Y-%m-%d %H:%M:%S %Z}"
    return Waiting(f"the state's lock, held by {holder.who} for {holder.operation} since {since}")


def begin(project: Project, plan: Plan, writer: StateWriter, record: RunRecord) -> None:
    """Record that a run starts. Under the lock no other can be alive: those that seem to be were cut off."""
    for run in project.store.runs():
        if run.status == "running":
            writer.finish_run(run.model_copy(update={"status": "interrupted"}))
    writer.begin_run(record, plan=plan.to_json())


def finish(
    project: Project,
    *,
    plan: Plan,
    writer: StateWriter,
    record: RunRecord,
    outcome: RunResult,
) -> None:
    """Record how a run ended, and what of it has no record yet."""
    gone = {removal.host for removal in plan.removals if removal.allowed}
    if gone:
        left = {text.rpartition("@")[2] for text in project.store.snapshot().steps}
        for host in gone - left:
            writer.remove_host(host)
    unrecorded = [r for r in outcome.results if r.status is StepStatus.SKIPPED or r.kind == HOOK]
    writer.record([_record(result) for result in unrecorded], run=record.id)
    summary: dict[str, int] = {}
    for result in outcome.results:
        if result.kind == HOOK and result.status is StepStatus.OK:
            continue
        summary[result.status.value] = summary.get(result.status.value, 0) + 1
    status: Literal["succeeded", "failed", "interrupted"] = (
        "interrupted" if outcome.interrupted else "failed" if outcome.failed else "succeeded"
    )
    writer.finish_run(
        record.model_copy(update={"finished": datetime.now(UTC), "status": status, "summary": summary})
    )


def _record(result: StepResult) -> StepRecord:
    """Of what has no record yet: a step that was not begun, or a hook."""
    return StepRecord(
        address=result.address,
        kind=result.kind,
        action=result.action,
        status=result.status.value,
        seconds=round(result.seconds, 3),
        exit_status=result.exit_status,
        output_tail=result.stdout,
        error_tail=result.stderr,
        message=result.message,
        detail=result.detail,
    )


def absent(results: tuple[StepResult, ...], plan: Plan, stale: tuple[Moved, ...]) -> set[str]:
    """Hosts that were not asked or left out, and those on which something did not come about."""
    away = {item.host for item in stale}
    away |= {h.name for h in plan.hosts if h.status in (HostStatus.UNREACHABLE, HostStatus.MAINTENANCE)}
    fine = (StepStatus.OK, StepStatus.IGNORED)
    return away | {r.address.rpartition("@")[2] for r in results if r.status not in fine}


def unreachable(results: tuple[StepResult, ...], plan: Plan) -> dict[str, str]:
    """Hosts that could not be asked, and those that were lost on the way."""
    lost = {report.name: report.error for report in plan.hosts if report.status is HostStatus.UNREACHABLE}
    for result in results:
        if result.status is StepStatus.UNREACHABLE:
            host = result.address.rpartition("@")[2]
            lost[host] = result.message.removeprefix(f"{host}: ")
    return lost
