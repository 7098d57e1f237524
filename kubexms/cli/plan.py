"""`kubexms plan`: what would change. No host is touched, no lock is taken, nothing is written but `--out`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from kubexms.cli.options import (
    PATH,
    change_options,
    json_option,
    parallelism_option,
    project_options,
    selection_options,
)
from kubexms.cli.session import Session, json_stream, plan_options


@click.command()
@project_options
@selection_options
@change_options
@click.option("--out", type=PATH, metavar="FILE", help="Save the plan, for `kubexms apply FILE`.")
@click.option("--detailed-exitcode", is_flag=True, help="Exit with 2 if there are changes.")
@click.option("--destroy", is_flag=True, help="Plan to remove everything.")
@click.option("--expand", is_flag=True, help="Show each host apart instead of folding equal changes.")
@click.option(
    "--untrusted", is_flag=True, help="Run no check, command or secret command that the documents give."
)
@parallelism_option
@json_option
@click.pass_context
def plan(
    ctx: click.Context,
    out: Path | None,
    detailed_exitcode: bool,
    destroy: bool,
    expand: bool,
    untrusted: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Show what would change, and why. Read-only: nothing is changed on any host."""
    from kubexms.services.planfile import write_plan
    from kubexms.services.planning import plan as make_plan
    from kubexms.views.asking import Asking
    from kubexms.views.plan_human import plan_text

    session = Session(ctx)
    wanted = plan_options({**options, "untrusted": untrusted}, "destroy" if destroy else "apply")
    with session.project(options, untrusted=untrusted) as project:
        if as_json:
            stream = json_stream("plan")
            stream.begin()
            made = make_plan(project, wanted, listener=stream)
            stream.plan(made)
        else:
            with Asking(len(project.loaded.inventory.hosts), visible=session.on_terminal) as asking:
                made = make_plan(project, wanted, listener=asking)
            click.echo(plan_text(made, session.paint, expand=expand, width=session.width), nl=False)
        if out is not None:
            digest = write_plan(made, out if out.is_absolute() else Path.cwd() / out)
            if not as_json:
                click.echo(
                    f"\nSaved the plan to {out}\nIts digest is {digest}\nApply it with: kubexms apply {out}"
                )
    if made.errored:
        ctx.exit(1)
    if detailed_exitcode and made.effective:
        ctx.exit(2)
