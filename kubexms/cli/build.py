"""`kubexms build`."""

from __future__ import annotations

from typing import Any

import click

from kubexms.cli.app import App, pass_app
from kubexms.cli.options import Chosen, plan_options, project_options, settings_for


@click.command()
@click.argument("name", required=False)
@project_options
@pass_app
def build(app: App, /, name: str | None, **options: Any) -> None:
    """Print the pipeline that a Cluster document stands for, as YAML; no host is asked.

    What is printed is all that an apply does. Paths in it are relative to the directory of the document.
    NAME chooses one of several.
    """
    chosen = Chosen(**options)
    with app.services.open_project(settings_for(app, plan_options(chosen), chosen.parallelism)) as project:
        app.write(app.services.build(project, name))
