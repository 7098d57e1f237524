"""`kubexms version`."""

from __future__ import annotations

import click

from kubexms import __version__
from kubexms.cli.app import App, pass_app


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@pass_app
def version(app: App, /, as_json: bool) -> None:
    """Print the version of kubexms."""
    if not as_json:
        app.write(f"kubexms {__version__}\n")
        return
    import json
    import platform

    app.write(
        json.dumps(
            {
                "kubexms_version": __version__,
                "platform": platform.platform(),
                "python": platform.python_version(),
            },
            indent=2,
        )
        + "\n"
    )
