"""`kubexms validate`."""

from __future__ import annotations

from typing import Any

import click

from kubexms.cli.options import project_options
from kubexms.cli.session import Session


@click.command()
@project_options
@click.pass_context
def validate(ctx: click.Context, **options: Any) -> None:
    """Check the documents, without any host."""
    from kubexms.services.validate import validate as check

    session = Session(ctx)
    with session.project(options) as project:
        found = [d for d in check(project) if d not in project.loaded.warnings]
        session.complain(found)
        steps = sum(len(task.steps) for module in project.loaded.pipeline.modules for task in module.tasks)
        hosts = len(project.loaded.inventory.hosts)
    click.echo(f"Success! The configuration is valid: {steps} steps, {hosts} hosts.")
