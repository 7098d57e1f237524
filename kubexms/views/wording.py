"""The words and signs for actions, reasons and disruptions. Other tools parse the action lines."""

from __future__ import annotations

from collections.abc import Mapping

from kubexms.plan.model import Change, Plan, Reason
from kubexms.step.contract import ActionKind, Disruption
from kubexms.views.escaping import printable

SIGNS: Mapping[ActionKind, str] = {
    ActionKind.NO_OP: " ",
    ActionKind.CREATE: "+",
    ActionKind.UPDATE: "~",
    ActionKind.RUN: ">",
    ActionKind.REPLACE: "-/+",
    ActionKind.DELETE: "-",
    ActionKind.FORGET: ".",
}
LEGEND: Mapping[ActionKind, str] = {
    ActionKind.CREATE: "create",
    ActionKind.UPDATE: "update in-place",
    ActionKind.RUN: "run",
    ActionKind.REPLACE: "destroy and then create replacement",
    ActionKind.DELETE: "destroy",
    ActionKind.FORGET: "forget: no longer managed, left as it is",
}

OUTCOMES: Mapping[ActionKind, str] = {
    ActionKind.NO_OP: "is as it should be",
    ActionKind.CREATE: "will be created",
    ActionKind.UPDATE: "will be updated in-place",
    ActionKind.RUN: "will be run",
    ActionKind.REPLACE: "must be replaced",
    ActionKind.DELETE: "will be destroyed",
    ActionKind.FORGET: "will no longer be managed, and will not be destroyed",
}

_DISRUPTIONS: Mapping[Disruption, str] = {
    Disruption.RESTART: "triggers restart",
    Disruption.REBOOT: "triggers reboot",
    Disruption.DRAIN: "drains the node",
    Disruption.DATA_LOSS: "destroys data",
}

_NAMED = 5


def outcome(change: Change) -> str:
    """What follows the address: `will be created`."""
    if change.action is ActionKind.REPLACE and change.reason is Reason.REPLACE_REQUESTED:
        return "will be replaced, as requested"
    return OUTCOMES[change.action]


def reason(change: Change) -> str:
    """Why, in a few calm words; empty where the action says it all."""
    sources = ", ".join(printable(name) for name in change.triggered_by)
    match change.reason:
        case None | Reason.NEW | Reason.UNOBSERVED | Reason.REPLACE_REQUESTED | Reason.DESTROY:
            return ""
        case Reason.DRIFT:
            return "drift: the host changed since it was last applied"
        case Reason.SPEC_CHANGED:
            return "the configuration changed"
        case Reason.TRIGGERED:
            return f"triggered by {sources}" if sources else "triggered"
        case Reason.INPUTS_CHANGED:
            return f"input changed: {sources}" if sources else "an input changed"
        case Reason.REMOVED_FROM_SPEC:
            return "no longer in the configuration"
        case Reason.DESELECTED:
            return "no longer selected for this host"
        case Reason.REINSTALLED:
            return "the host was reinstalled: its machine-id changed"
        case Reason.INTERRUPTED:
            return "an earlier run did not finish here"
        case Reason.IN_PROGRESS:
            return "a run that goes on now is at it"


def disruption(change: Change) -> str:
    """What applying interrupts; empty for nothing."""
    return _DISRUPTIONS.get(change.disruption, "")


def lost_data(plan: Plan) -> str:
    """Which of a plan's changes destroy data, in one line; empty where none does."""
    lost = [change.address for change in plan.effective if change.disruption is Disruption.DATA_LOSS]
    more = f" and {len(lost) - _NAMED} more" if len(lost) > _NAMED else ""
    return f"Data is destroyed by {printable(', '.join(lost[:_NAMED]))}{more}." if lost else ""


def happened(change: Change) -> str:
    """What drift did: the change leads from what was applied to what is there now."""
    match change.action:
        case ActionKind.DELETE:
            return "is gone"
        case ActionKind.CREATE:
            return "has appeared"
        case _:
            return "has changed"
