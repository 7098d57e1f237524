"""`kubexms graph`."""

from __future__ import annotations

from typing import Any

import click

from kubexms.cli.app import App, pass_app
from kubexms.cli.options import (
    Chosen,
    plan_options,
    project_options,
    recorded,
    selection_options,
    settings_for,
)


@click.command()
@project_options
@selection_options
@click.option("--format", "form", type=click.Choice(["text", "dot"]), default="text", show_default=True)
@pass_app
def graph(app: App, /, form: str, **options: Any) -> None:
    """Show the order of all steps: as a tree, or as DOT for graphviz.

    Asks the hosts, since their facts may decide which steps there are.
    """
    from kubexms.cli.progress import asking
    from kubexms.graph.show import to_dot, to_text

    chosen = Chosen(**options)
    wanted = plan_options(chosen)
    with (
        app.services.open_project(settings_for(app, wanted, chosen.parallelism, use="ask")) as project,
        asking(app) as listener,
    ):
        found = app.services.graph(project, recorded(wanted, project), listener=listener)
    app.write(to_dot(found) if form == "dot" else to_text(found))
