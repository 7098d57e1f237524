"""`kubexms version`."""

from __future__ import annotations

import click

from kubexms import __version__


@click.command()
def version() -> None:
    """Print the version."""
    click.echo(f"kubexms {__version__}")
