"""`kubexms validate`."""

from __future__ import annotations

from typing import Any

import click

from kubexms.cli.app import App, pass_app
from kubexms.cli.options import Chosen, output_options, plan_options, project_options, settings_for
from kubexms.errors import KubexmsError


@click.command()
@project_options
@output_options
@pass_app
def validate(app: App, /, as_json: bool, **options: Any) -> int:
    """Check the documents; no host is asked.

    Finds unknown fields and kinds, wrong types, names that nothing has, variables that are missing,
    dependencies that cannot be ordered.
    """
    from kubexms.diagnostics import Severity
    from kubexms.views.diagnostics import diagnostics_text
    from kubexms.views.validation import valid_text, validation_json

    chosen = Chosen(**options)
    try:
        with app.services.open_project(
            settings_for(app, plan_options(chosen), chosen.parallelism)
        ) as project:
            found = app.services.validate(project)
    except KubexmsError as error:
        if not as_json:
            raise
        found = error.diagnostics
    failed = any(item.severity is Severity.ERROR for item in found)
    if as_json:
        from kubexms.views.jsontext import document

        app.write(document(validation_json(found)))
        return int(failed)
    app.complain(diagnostics_text(found, app.error_paint(), width=app.width()))
    if not failed:
        app.write(valid_text(len(found), app.paint()))
    return int(failed)
