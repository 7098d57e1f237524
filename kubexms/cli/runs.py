"""`kubexms runs`: what was done, when, by whom."""

from __future__ import annotations

from typing import Any

import click

from kubexms.cli.options import project_options
from kubexms.cli.session import Session


@click.group()
def runs() -> None:
    """List and show earlier runs."""


@runs.command("list")
@project_options
@click.option("-n", "limit", default=20, type=click.IntRange(1, 10000), help="How many, newest first.")
@click.pass_context
def list_runs(ctx: click.Context, limit: int, **options: Any) -> None:
    """The latest runs."""
    from kubexms.views.runs_human import runs_text

    session = Session(ctx)
    with session.project(options) as project:
        click.echo(runs_text(project.store.runs(limit=limit), session.paint), nl=False)


@runs.command("show")
@click.argument("run_id")
@project_options
@click.pass_context
def show_run(ctx: click.Context, run_id: str, **options: Any) -> None:
    """One run with the result of every step; an unambiguous beginning of its id will do."""
    from kubexms.views.runs_human import run_text

    session = Session(ctx)
    with session.project(options) as project:
        record, results = project.store.run(run_id)
        click.echo(run_text(record, results, session.paint), nl=False)
