"""`kubexms show`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

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
from kubexms.errors import KubexmsError
from kubexms.views.plan_formats import PLAN_FORMATS

if TYPE_CHECKING:
    from kubexms.plan.model import Plan


@click.command()
@click.argument("planfile", required=False, metavar="[PLANFILE]")
@project_options
@click.option(
    "--format",
    "form",
    type=click.Choice(["human", *PLAN_FORMATS]),
    default="human",
    show_default=True,
    help="How to show the plan; of the state there are human and json.",
)
@expand_option
@output_options
@pass_app
def show(app: App, /, planfile: str | None, form: str, expand: bool, as_json: bool, **options: Any) -> None:
    """Show a saved plan, or without PLANFILE the state.

    The JSON of a plan has Terraform's format, so that tools for it can read it.
    """
    form = "json" if as_json else form
    if planfile is not None:
        _plan(app, planfile, form, expand=expand)
        return
    if form not in {"human", "json"}:
        raise click.UsageError(f"--format {form} is for a saved plan: give PLANFILE (from `plan --out`).")
    from kubexms.views.jsontext import document
    from kubexms.views.state_views import state_show_text

    chosen = Chosen(**options)
    with app.services.open_state(settings_for(app, plan_options(chosen), chosen.parallelism)) as opened:
        if form == "json":
            app.write(document(opened.store.pull()))
            return
        entries = sorted(opened.store.snapshot().steps.values(), key=lambda entry: entry.address)
    app.write(state_show_text(entries, app.paint()) or "The state is empty: nothing has been applied yet.\n")


def _plan(app: App, planfile: str, form: str, *, expand: bool) -> None:
    made = app.services.read_plan(app.path(planfile))
    if form == "github":
        _github(app, made)
        return
    view = PLAN_FORMATS.get(form)
    if view is not None:
        app.write(view(made))
        return
    from kubexms.cli.plan import show_plan

    show_plan(app, made, expand=expand)


def _github(app: App, made: Plan) -> None:
    """Annotations to standard output; what the run's page shows to the file that GitHub names."""
    import os

    from kubexms.views.github import github_annotations
    from kubexms.views.markdown import SUMMARY_LIMIT, plan_markdown

    workspace = Path(app.environ.get("GITHUB_WORKSPACE") or Path.cwd())
    directory = Path(os.path.relpath(app.root.resolve(), workspace.resolve())).as_posix()
    app.write(github_annotations(made, directory))
    name = app.environ.get("GITHUB_STEP_SUMMARY")
    if name:
        summary = Path(name)
        try:
            there = summary.stat().st_size if summary.exists() else 0
            with summary.open("a", encoding="utf-8", newline="\n") as stream:
                stream.write(plan_markdown(made, max(SUMMARY_LIMIT - there, _LEAST)))
        except OSError as error:
            raise KubexmsError(f"cannot write the summary to {summary}: {error.strerror}") from error


_LEAST = 10_000
"""Bytes of a summary, however much the step has written to it before."""
