"""What an apply is bound to: the plan that somebody approved, and nothing that moved since."""

from __future__ import annotations

from kubexms.diagnostics import Diagnostic, Severity
from kubexms.errors import PlanError, StalePlan
from kubexms.plan.identity import plan_digest
from kubexms.plan.model import Plan
from kubexms.plan.staleness import Moved, moved_since
from kubexms.services.planning import Prepared
from kubexms.services.project import Project


def check_saved(project: Project, saved: Plan, *, digest: str | None, resume: bool) -> None:
    """Refuse what is no plan of this state, or not the one that was approved, or is applied already.

    Raises `PlanError`, `StalePlan`.
    """
    own = plan_digest(saved)
    if digest is not None and digest != own:
        raise PlanError(
            f"the plan's digest is {own}, not {digest}",
            detail="This is not the plan that was approved. Nothing was touched.",
        )
    snapshot = project.store.snapshot()
    known = bool(snapshot.steps or snapshot.applied_plans)
    if saved.workspace != project.loaded.workspace or (known and saved.lineage != snapshot.meta.lineage):
        raise PlanError(
            f"the plan was made for workspace {saved.workspace} with lineage {saved.lineage}, "
            f"this state is {project.loaded.workspace} with lineage {snapshot.meta.lineage}",
            detail="Apply it where it was made, or plan here.",
        )
    if saved.errored:
        raise PlanError("the plan holds errors and cannot be applied", detail="`kubexms show` lists them.")
    begun = own in snapshot.applied_plans
    if begun and not resume:
        raise StalePlan(
            "this plan has been applied already; a plan applies once",
            detail="If that run did not finish, continue it with `apply --resume`; else plan again.",
        )
    if resume and not begun:
        raise PlanError("there is no run of this plan to resume", detail="Apply it without --resume.")


def bind(
    project: Project, saved: Plan, prepared: Prepared, *, resume: bool, skip_hosts: bool
) -> tuple[Moved, ...]:
    """Refuse what moved since; returns what moved on hosts to leave out. Raises `StalePlan`."""
    moved = moved_since(saved, prepared.plan, _dependencies(prepared))
    if resume:
        digest = plan_digest(saved)
        own = {run.id for run in project.store.runs(limit=1000) if run.plan_digest == digest}
        mine = {text for text, entry in prepared.planned.snapshot.steps.items() if entry.run in own}
        mine |= {text for text, intent in prepared.planned.snapshot.intents.items() if intent.run in own}
        moved = [item for item in moved if item.address not in mine and item.what != "dependency"]
    if skip_hosts:
        return tuple(moved)
    _refuse_moved(moved)
    return ()


def narrowed(fresh: Plan, saved: Plan, skipped: frozenset[str]) -> Plan:
    """The fresh plan's changes that the saved one has, without the hosts to leave out."""
    wanted = {change.address for change in saved.effective if change.host not in skipped}
    changes = tuple(change for change in fresh.changes if not change.effective or change.address in wanted)
    return fresh.model_copy(update={"changes": changes, "diagnostics": fresh.diagnostics})


def confirm(shown: Plan, first: Prepared, again: Prepared) -> Plan:
    """What was approved, as it is now that somebody took their time. Raises `StalePlan` if anything moved."""
    _refuse_moved(moved_since(shown, again.plan, _dependencies(first)))
    return narrowed(again.plan, shown, frozenset())


def _dependencies(prepared: Prepared) -> dict[str, tuple[str, ...]]:
    return {text: (*step.depends_on, *step.data) for text, step in prepared.planned.steps().items()}


def _refuse_moved(moved: list[Moved]) -> None:
    if not moved:
        return
    count = len({item.address for item in moved})
    summary = f"the plan is stale: {count} step{'s' if count > 1 else ''} moved since it was made"
    advice = (
        "Nothing was touched. Plan again; or `--on-stale=skip-host` applies it to the hosts "
        "on which nothing moved."
    )
    steps = (
        Diagnostic(Severity.ERROR, f"{item.address}: {item.what} moved", item.detail, item.address)
        for item in moved
    )
    raise StalePlan(summary, diagnostics=[*steps, Diagnostic(Severity.ERROR, summary, advice)])
