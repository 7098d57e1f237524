"""`kubexms drift`: silent when clean."""

from __future__ import annotations

from typing import Any

import click

from kubexms.cli.options import parallelism_option, project_options, selection_options
from kubexms.cli.session import Session, plan_options


@click.command()
@project_options
@selection_options
@parallelism_option
@click.option("-v", "--verbose", is_flag=True, help="Also say what is pending, untracked or unknown.")
@click.pass_context
def drift(ctx: click.Context, verbose: bool, **options: Any) -> None:
    """Compare hosts with what was last applied to them.

    No output and exit code 0 when clean; 2 drift, 1 error, 3 no drift but hosts unreachable.
    """
    from kubexms.services.drift import drift as look
    from kubexms.views.drift_human import drift_text

    session = Session(ctx)
    with session.project(options) as project:
        report = look(project, plan_options(options, "drift"), listener=lambda event: None)
    text = drift_text(
        report.drifted,
        report.unreachable,
        {
            "behind (their last apply did not finish)": dict.fromkeys(report.behind, ""),
            "in maintenance": report.maintenance,
            "unknown": report.unknown,
            **(
                {
                    "pending": {c.address: c.action.value for c in report.pending},
                    "untracked": dict.fromkeys(report.untracked, ""),
                }
                if verbose
                else {}
            ),
        }
        if report.exit_code or verbose
        else {},
        session.paint,
    )
    click.echo(text, nl=False)
    ctx.exit(report.exit_code)
