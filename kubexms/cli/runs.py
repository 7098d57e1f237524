"""`kubexms runs list|show`."""

from __future__ import annotations

from typing import Any

import click

from kubexms.cli.app import App, pass_app
from kubexms.cli.options import Chosen, output_options, plan_options, project_options, settings_for


@click.group()
def runs() -> None:
    """Look at what earlier runs did."""


@runs.command("list")
@project_options
@click.option(
    "-n", "--number", type=click.IntRange(min=1), default=20, show_default=True, help="At most so many."
)
@output_options
@pass_app
def list_runs(app: App, /, number: int, as_json: bool, **options: Any) -> None:
    """List runs, newest first; below a drift run, which steps began to drift then, and in what.

    Drift runs that found what the one before them had found are counted, not listed.
    """
    from kubexms.views.jsontext import document
    from kubexms.views.state_views import run_json, runs_text

    chosen = Chosen(**options)
    with app.services.open_state(settings_for(app, plan_options(chosen), chosen.parallelism)) as opened:
        found = opened.store.runs(limit=number)
        drift = {run.id: opened.store.run(run.id)[1] for run in found if run.operation == "drift"}
    if as_json:
        app.write(document([run_json(run, drift.get(run.id)) for run in found]))
    else:
        app.write(runs_text(found, app.paint(), drift=drift))


@runs.command("show")
@click.argument("run")
@project_options
@output_options
@pass_app
def show_run(app: App, /, run: str, as_json: bool, **options: Any) -> None:
    """Show one run with every result. The beginning of its id will do."""
    from kubexms.views.jsontext import document
    from kubexms.views.state_views import run_json, run_text

    chosen = Chosen(**options)
    with app.services.open_state(settings_for(app, plan_options(chosen), chosen.parallelism)) as opened:
        record, results = opened.store.run(run)
    app.write(document(run_json(record, results)) if as_json else run_text(record, results, app.paint()))
