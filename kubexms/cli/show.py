"""`kubexms show`."""

from __future__ import annotations

from typing import Any

import click

from kubexms.cli.app import App, pass_app
from kubexms.cli.options import (
    Chosen,
    expand_option,
    output_options,
    plan_options,
    project_options,
    settings_for,
)


@click.command()
@click.argument("planfile", required=False, metavar="[PLANFILE]")
@project_options
@click.option("--format", "form", type=click.Choice(["human", "json"]), default="human", show_default=True)
@expand_option
@output_options
@pass_app
def show(app: App, /, planfile: str | None, form: str, expand: bool, as_json: bool, **options: Any) -> None:
    """Show a saved plan, or without PLANFILE the state.

    The JSON of a plan has Terraform's format, so that tools for it can read it.
    """
    as_json = as_json or form == "json"
    if planfile is not None:
        _plan(app, planfile, as_json=as_json, expand=expand)
        return
    from kubexms.views.jsontext import document
    from kubexms.views.state_views import state_show_text

    chosen = Chosen(**options)
    with app.services.open_project(settings_for(app, plan_options(chosen), chosen.parallelism)) as project:
        if as_json:
            app.write(document(project.store.pull()))
            return
        entries = sorted(project.store.snapshot().steps.values(), key=lambda entry: entry.address)
    app.write(state_show_text(entries, app.paint()) or "The state is empty: nothing has been applied yet.\n")


def _plan(app: App, planfile: str, *, as_json: bool, expand: bool) -> None:
    made = app.services.read_plan(app.path(planfile))
    if as_json:
        from kubexms.views.jsontext import line
        from kubexms.views.plan_json import plan_document

        # readers of Terraform's plans expect what Terraform writes: a single line
        app.write_line(line(plan_document(made)))
        return
    from kubexms.cli.plan import show_plan

    show_plan(app, made, expand=expand)
