"""`kubexms drift`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from kubexms.cli.app import App, pass_app
from kubexms.cli.drift_outputs import DriftOutputs, output_files
from kubexms.cli.options import (
    Chosen,
    Duration,
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


INTERRUPTED = 130
ALLOWED = ("command", "restart", "reboot", "drain", "data-loss")
"""What a repair may do only if it is told so: the disruptions, and running a command again."""

_REPAIR = (
    click.option("--repair", is_flag=True, help="Put back what was last applied; edits are not applied."),
    click.option(
        "--max-changes",
        type=click.IntRange(min=0),
        default=None,
        metavar="N",
        help="Repair nothing if it takes more changes than these.  [default: 10]",
    ),
    click.option(
        "--allow-disruption",
        multiple=True,
        type=click.Choice(ALLOWED),
        help="What a repair may interrupt, or run again; repeatable. Default: nothing.",
    ),
    click.option("--auto-approve", is_flag=True, help="Repair without asking."),
    click.option(
        "--lock-timeout",
        type=Duration(),
        default=None,
        metavar="DURATION",
        help="Let a repair wait so long for another run (5m).",
    ),
)
MAX_CHANGES = 10


def _repair_options(function: Callable[..., Any]) -> Callable[..., Any]:
    for decorator in reversed(_REPAIR):
        function = decorator(function)
    return function


@click.command()
@project_options
@selection_options
@click.option("-v", "--verbose", is_flag=True, help="Also what is pending, untracked, behind or unknown.")
@output_files
@_repair_options
@expand_option
@color_option
@pass_app
def drift(
    app: App,
    /,
    verbose: bool,
    expand: bool,
    outputs: DriftOutputs,
    repair: bool,
    max_changes: int | None,
    allow_disruption: tuple[str, ...],
    auto_approve: bool,
    lock_timeout: float | None,
    **options: Any,
) -> int:
    """Say what changed on hosts since the last apply, whatever the documents say now.

    Silent and 0 when nothing did. Exits with 2 for drift, with 1 for an error (a report that could not
    be written is one), with 3 if there is no drift but hosts did not answer. Takes no lock and waits for
    none: made for cron.

    With --repair, which takes the lock, drifted steps are put back as they were last applied, and the exit
    code is about what is left after that. What would interrupt something is left alone unless allowed.
    """
    from kubexms.cli.progress import asking

    given = (max_changes, lock_timeout) != (None, None) or allow_disruption or auto_approve
    if given and not repair:
        raise click.UsageError(
            "--max-changes, --allow-disruption, --auto-approve and --lock-timeout go with --repair."
        )
    chosen = Chosen(**options)
    wanted = plan_options(chosen, "drift")
    settings = settings_for(app, wanted, chosen.parallelism, use="act" if repair else "ask")
    with app.services.open_project(settings, writes=repair) as project:
        if repair:
            # looking alone is to be quick: it imports nothing of what acting needs
            from kubexms.cli.drift_repair import Approval, repaired
            from kubexms.services.repairing import RepairOptions

            limit = MAX_CHANGES if max_changes is None else max_changes
            bounds = RepairOptions(limit, frozenset(allow_disruption), lock_timeout or 0.0)
            ask = Approval(auto=auto_approve, quiet=outputs.on_stdout, expand=expand)
            done = repaired(app, project, recorded(wanted, project), bounds, ask)
            report, interrupted = done.report, done.result is not None and done.result.interrupted
        else:
            interrupted = False
            with asking(app) as listener:
                report = app.services.drift(project, recorded(wanted, project), listener=listener)
        failed = outputs.deliver(app, report, lambda: project.resolver)
    code = conclude(app, report, outputs, expand=expand, verbose=verbose, failed=failed)
    return INTERRUPTED if interrupted else code


def conclude(
    app: App, report: DriftReport, outputs: DriftOutputs, *, expand: bool, verbose: bool, failed: bool
) -> int:
    """Say what was found, unless standard output is a report's; returns the exit code."""
    from kubexms.views.drift_human import drift_text

    if not outputs.on_stdout:
        app.write(drift_text(report, app.paint(), expand=expand, verbose=verbose))
    return 1 if failed and not report.drifted else report.exit_code
