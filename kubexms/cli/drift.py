"""`kubexms drift`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from kubexms.cli.app import App, pass_app
from kubexms.cli.drift_outputs import DriftOutputs, output_files
from kubexms.cli.options import (
    Chosen,
    color_option,
    expand_option,
    plan_options,
    project_options,
    recorded,
    selection_options,
    settings_for,
)

if TYPE_CHECKING:
    from kubexms.plan.driftreport import DriftReport


@click.command()
@project_options
@selection_options
@click.option("-v", "--verbose", is_flag=True, help="Also what is pending, untracked, behind or unknown.")
@output_files
@expand_option
@color_option
@pass_app
def drift(app: App, /, verbose: bool, expand: bool, outputs: DriftOutputs, **options: Any) -> int:
    """Say what changed on hosts since the last apply, whatever the documents say now.

    Silent and 0 when nothing did. Exits with 2 for drift, with 1 for an error (a report that could not
    be written is one), with 3 if there is no drift but hosts did not answer. Takes no lock and waits for
    none: made for cron.
    """
    from kubexms.cli.progress import asking

    chosen = Chosen(**options)
    wanted = plan_options(chosen, "drift")
    with app.services.open_project(settings_for(app, wanted, chosen.parallelism)) as project:
        with asking(app) as listener:
            report = app.services.drift(project, recorded(wanted, project), listener=listener)
        failed = outputs.deliver(app, report, lambda: project.resolver)
    return conclude(app, report, outputs, expand=expand, verbose=verbose, failed=failed)


def conclude(
    app: App, report: DriftReport, outputs: DriftOutputs, *, expand: bool, verbose: bool, failed: bool
) -> int:
    """Say what was found, unless standard output is a report's; returns the exit code."""
    from kubexms.views.drift_human import drift_text

    if not outputs.on_stdout:
        app.write(drift_text(report, app.paint(), expand=expand, verbose=verbose))
    return 1 if failed and not report.drifted else report.exit_code
