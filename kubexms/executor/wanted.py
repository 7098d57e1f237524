"""What a step calls for by what was last seen of its host."""

from __future__ import annotations

from kubexms.plan.compare import Comparison, compare
from kubexms.plan.former import about_another
from kubexms.plan.rendered import Rendered
from kubexms.plan.working import PlannedStep
from kubexms.step.contract import ActionKind, ChangeRequest, Disruption
from kubexms.step.observation import Observation

_WORSE = {
    ActionKind.NO_OP: 0,
    ActionKind.CREATE: 1,
    ActionKind.RUN: 1,
    ActionKind.UPDATE: 1,
    ActionKind.REPLACE: 2,
    ActionKind.DELETE: 3,
}


def wanted(planned: PlannedStep, rendered: Rendered, observation: Observation) -> Comparison:
    """What is to be done now; for steps that nothing can be seen of, what the plan said."""
    found = compare(rendered, observation, planned.instance.step.ignore_changes if planned.entry else ())
    change = planned.change
    if rendered.executor.runs(rendered.spec) != "observed":
        return Comparison(ActionKind.RUN, ("run",))
    if planned.former is not None:
        return found  # what the step was about is undone apart
    if change.action is ActionKind.REPLACE and found.action is not ActionKind.CREATE:
        return Comparison(ActionKind.REPLACE, found.changed)
    asked = bool(change.triggered_by) and rendered.desired is not None
    resumed = planned.intent is not None and rendered.executor.resumes(rendered.spec)
    if found.action is ActionKind.NO_OP and change.effective and (asked or resumed):
        return Comparison(change.action)
    return found


def worse(found: Comparison, planned: PlannedStep) -> bool:
    """Whether that destroys more than the plan said."""
    return _WORSE[found.action] > max(_WORSE[planned.change.action], 1)


def loses_more(request: ChangeRequest, rendered: Rendered, planned: PlannedStep) -> bool:
    """Whether data would be lost that the plan did not speak of: it saw something else, or nothing."""
    if planned.change.disruption is Disruption.DATA_LOSS:
        return False
    return rendered.executor.disruption(rendered.spec, request) is Disruption.DATA_LOSS


def request_for(planned: PlannedStep, found: Comparison, before: Observation) -> ChangeRequest:
    """What a kind is told to do."""
    entry = planned.entry
    if entry is not None and (planned.former or about_another(entry, planned.instance.rendered)):
        entry = None
    prior = entry.prior if entry is not None else None
    return ChangeRequest(found.action, before, frozenset(found.changed), planned.change.triggered_by, prior)
