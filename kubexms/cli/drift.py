"""`kubexms drift`."""

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
    recorded,
    selection_options,
    settings_for,
)


@click.command()
@project_options
@selection_options
@click.option("-v", "--verbose", is_flag=True, help="Also what is pending, untracked, behind or unknown.")
@expand_option
@output_options
@pass_app
def drift(app: App, /, verbose: bool, expand: bool, as_json: bool, **options: Any) -> int:
    """Say what changed on hosts since the last apply, whatever the documents say now.

    Silent and 0 when nothing did. Exits with 2 for drift, with 3 if there is none but hosts did not
    answer, with 1 for an error. Takes no lock and writes nothing: made for cron.
    """
    from kubexms.cli.progress import asking
    from kubexms.views.drift_human import drift_text
    from kubexms.views.drift_json import drift_json

    chosen = Chosen(**options)
    wanted = plan_options(chosen, "drift")
    with (
        app.services.open_project(settings_for(app, wanted, chosen.parallelism)) as project,
        asking(app) as listener,
    ):
        report = app.services.drift(project, recorded(wanted, project), listener=listener)
    if as_json:
        from kubexms.views.jsontext import document

        app.write(document(drift_json(report)))
    else:
        app.write(drift_text(report, app.paint(), expand=expand, verbose=verbose))
    return report.exit_code
