"""`kubexms plan`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from kubexms.cli.app import App, pass_app
from kubexms.cli.options import (
    Chosen,
    change_options,
    expand_option,
    output_options,
    plan_options,
    project_options,
    recorded,
    selection_options,
    settings_for,
)

if TYPE_CHECKING:
    from kubexms.plan.model import Plan


@click.command()
@project_options
@selection_options
@change_options
@click.option("--destroy", is_flag=True, help="Plan to undo everything.")
@click.option("--out", metavar="FILE", help="Save the plan, for `kubexms apply FILE`.")
@click.option("--detailed-exitcode", is_flag=True, help="Exit with 2 if there is something to change.")
@expand_option
@output_options
@pass_app
def plan(
    app: App,
    /,
    destroy: bool,
    out: str | None,
    detailed_exitcode: bool,
    expand: bool,
    as_json: bool,
    **options: Any,
) -> int:
    """Show what would change; no host is changed.

    Every host is asked once. What cannot be known before something else is applied is shown as known
    after apply.
    """
    from kubexms.cli.progress import asking, open_stream

    chosen = Chosen(**options)
    if as_json:
        open_stream(app)
    wanted = plan_options(chosen, "destroy" if destroy else "apply")
    with app.services.open_project(settings_for(app, wanted, chosen.parallelism, use="ask")) as project:
        if out is not None:
            # the saved plan is bound to a lineage and a key: they must outlive this process
            project.store.ensure()
        wanted = recorded(wanted, project)
        with asking(app) as listener:
            made = app.services.plan(project, wanted, listener=listener, whole=out is not None)
        digest = app.services.write_plan(made, app.path(out)) if out is not None else None
    if app.stream is not None:
        app.stream.plan(made, operation="plan")
        if out is not None and digest is not None:
            app.stream.saved(out, digest)
    else:
        show_plan(app, made, expand=expand)
        if out is not None:
            app.write(
                f"\nSaved the plan to: {out}\nIts digest: {digest}\n\n"
                f'To make exactly these changes:\n    kubexms apply "{out}"\n'
            )
    return exit_code(made, detailed=detailed_exitcode)


def show_plan(app: App, made: Plan, *, expand: bool) -> None:
    """Print a plan for people."""
    from kubexms.views.plan_human import plan_text

    app.write("\n" + plan_text(made, app.paint(), expand=expand, width=app.width()))


def exit_code(made: Plan, *, detailed: bool) -> int:
    """1 for a plan with errors, or for which no host answered; with `detailed` 2 for changes; else 0."""
    from kubexms.plan.model import HostStatus

    if made.errored:
        return 1
    asked = [report.status for report in made.hosts if report.status is not HostStatus.MAINTENANCE]
    if asked and all(status is HostStatus.UNREACHABLE for status in asked):
        return 1
    return 2 if detailed and made.effective else 0
