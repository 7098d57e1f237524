"""`kubexms hosts`: reachability and facts."""

from __future__ import annotations

from typing import Any

import click

from kubexms.cli.options import parallelism_option, project_options
from kubexms.cli.session import Session


@click.command()
@project_options
@click.option(
    "--limit", multiple=True, metavar="HOSTS", help="Only these hosts (globs; role:NAME for a role)."
)
@click.option("--json", "as_json", is_flag=True, help="All facts, as JSON.")
@parallelism_option
@click.pass_context
def hosts(ctx: click.Context, limit: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Ask every host whether it answers, and for its facts. Exit code 3 if one does not."""
    from kubexms.services.inspect import hosts as ask
    from kubexms.views.hosts_human import hosts_data, hosts_text

    session = Session(ctx)
    with session.project(options) as project:
        found = ask(project, limit)
    rows = [(h.name, h.roles, h.address, h.error, h.maintenance, h.seconds, h.facts) for h in found]
    click.echo(hosts_data(rows) if as_json else hosts_text(rows, session.paint), nl=False)
    if any(not host.reachable for host in found):
        ctx.exit(3)
