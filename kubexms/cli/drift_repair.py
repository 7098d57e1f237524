"""`kubexms drift --repair`: shows the reverting plan, asks, and carries it out."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kubexms.cli.app import App
from kubexms.errors import KubexmsError

if TYPE_CHECKING:
    from kubexms.plan.model import Plan, PlanOptions
    from kubexms.services.project import Project
    from kubexms.services.repairing import RepairOptions, RepairOutcome

_QUESTION = (
    "Do you want to put this back?\n"
    "  kubexms will make the changes described above, and no others.\n"
    "  Only 'yes' will be accepted to approve.\n\n"
    "  Enter a value: "
)


@dataclass(frozen=True, slots=True)
class Approval:
    """Whether somebody is asked, and what is shown."""

    auto: bool
    quiet: bool
    """Standard output is a report's: nothing is shown, and so nobody can be asked."""
    expand: bool


def repaired(
    app: App, project: Project, options: PlanOptions, bounds: RepairOptions, approval: Approval
) -> RepairOutcome:
    """Repair what drifted. Raises `KubexmsError` where approval is needed and nobody can give it."""
    from kubexms.cli.plan import show_plan
    from kubexms.cli.progress import applying, asking
    from kubexms.executor.stop import StopSignal
    from kubexms.views.recap import recap_text

    if not approval.auto and (approval.quiet or not app.can_ask):
        raise KubexmsError(
            "nobody can be asked for approval of a repair",
            detail="Pass --auto-approve; --max-changes and --allow-disruption bound what it does.",
        )
    stop = StopSignal()
    with ExitStack() as stack:
        if approval.quiet:
            view, listener = None, stack.enter_context(asking(app))
        else:
            view = stack.enter_context(applying(app))
            listener = view.listener

        def approve(plan: Plan) -> bool:
            if view is not None:
                view.planned(plan)
                show_plan(app, plan, expand=approval.expand)
                app.write("\n")
            if not approval.auto:
                app.write(_QUESTION)
                answer = app.read_line()
                app.write("\n")
                if answer.strip() != "yes":
                    return False
            stack.enter_context(stop.on_signals())
            return True

        done = app.services.repair(project, options, bounds, approve=approve, listener=listener, stop=stop)
    if done.result is not None and not approval.quiet:
        text = recap_text(
            done.result, app.paint(), operation="repair", expand=approval.expand, width=app.width()
        )
        app.write(f"\n{text}\n")
    if not done.approved and not approval.quiet:
        app.write("Repair cancelled.\n\n")
    return done
