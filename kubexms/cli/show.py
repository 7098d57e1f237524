"""`kubexms show`: a saved plan, or the state."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from kubexms.cli.options import PATH, project_options
from kubexms.cli.session import Session


@click.command()
@click.argument("planfile", required=False, type=PATH)
@project_options
@click.option(
    "--format", "shape", type=click.Choice(["human", "json"]), default="human", help="How to show it."
)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option("--expand", is_flag=True, help="Show each host apart instead of folding equal changes.")
@click.pass_context
def show(
    ctx: click.Context, planfile: Path | None, shape: str, as_json: bool, expand: bool, **options: Any
) -> None:
    """Show a saved plan, or without one the state."""
    from kubexms.views.jsontext import document

    session = Session(ctx)
    json = as_json or shape == "json"
    if planfile is None:
        from kubexms.services.state import select
        from kubexms.views.state_human import state_text

        with session.project(options) as project:
            entries = select(project, ())
            meta = project.store.meta()
        text = (
            document([entry.to_json() for entry in entries])
            if json
            else state_text(meta, entries, session.paint)
        )
        click.echo(text, nl=False)
        return
    from kubexms.services.planfile import plan_digest, read_plan
    from kubexms.views.plan_human import plan_text
    from kubexms.views.plan_json import plan_document

    with session.errors():
        plan = read_plan(planfile)
    if json:
        click.echo(document(plan_document(plan)), nl=False)
        return
    click.echo(plan_text(plan, session.paint, expand=expand, width=session.width), nl=False)
    click.echo(f"\nMade {plan.created:%Y-%m-%d %H:%M:%S %Z}; its digest is {plan_digest(plan)}")
