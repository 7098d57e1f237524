"""`kubexms hosts`."""

from __future__ import annotations

from typing import Any

import click

from kubexms.cli.app import App, pass_app
from kubexms.cli.options import Chosen, output_options, plan_options, project_options, settings_for

UNREACHABLE = 3


@click.command()
@project_options
@click.option("--limit", multiple=True, metavar="GLOB", help="Only these hosts.")
@output_options
@pass_app
def hosts(app: App, /, limit: tuple[str, ...], as_json: bool, **options: Any) -> int:
    """Ask every host whether it answers, and what it is. Exits with 3 if one does not answer."""
    from kubexms.views.hosts_table import hosts_json, hosts_text

    chosen = Chosen(**options)
    with app.services.open_project(settings_for(app, plan_options(chosen), chosen.parallelism)) as project:
        found = app.services.hosts(project, limit)
    if as_json:
        from kubexms.views.jsontext import document

        app.write(document(hosts_json(found)))
    else:
        app.write(hosts_text(found, app.paint()))
    return 0 if all(host.reachable or host.maintenance for host in found) else UNREACHABLE
