"""`kubexms graph`."""

from __future__ import annotations

from typing import Any

import click

from kubexms.cli.options import parallelism_option, project_options
from kubexms.cli.session import Session


@click.command()
@project_options
@click.option(
    "--format", "shape", type=click.Choice(["text", "dot"]), default="text", help="A tree, or Graphviz."
)
@parallelism_option
@click.pass_context
def graph(ctx: click.Context, shape: str, **options: Any) -> None:
    """Show the order of the steps. Asks the hosts, because facts may select steps."""
    from kubexms.graph.show import to_dot, to_text
    from kubexms.services.inspect import graph as look

    session = Session(ctx)
    with session.project(options) as project:
        found = look(project)
    text = to_dot(found) if shape == "dot" else to_text(found)
    click.echo(text, nl=not text.endswith("\n"))
