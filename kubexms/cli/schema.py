"""`kubexms schema`."""

from __future__ import annotations

import click

from kubexms.cli.app import App, pass_app
from kubexms.errors import ConfigError


@click.command()
@click.argument("kind", required=False)
@pass_app
def schema(app: App, /, kind: str | None) -> None:
    """Print the JSON Schema of a document KIND; without one, list the kinds.

    Editors complete and check documents with it: `# yaml-language-server: $schema=FILE` as first line.
    """
    from kubexms.config.schemas import schema_texts
    from kubexms.config.suggest import hint
    from kubexms.step.registry import default_registry

    texts = {name.removesuffix(".json"): text for name, text in schema_texts(default_registry()).items()}
    if kind is None:
        app.write("".join(f"{name}\n" for name in sorted(texts)))
        return
    if kind.lower() not in texts:
        raise ConfigError(f"there is no document kind '{kind}'", detail=hint(kind.lower(), texts, "kinds"))
    app.write(texts[kind.lower()])
