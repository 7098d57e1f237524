"""`kubexms explain`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from kubexms.cli.app import App, pass_app
from kubexms.cli.options import color_option

if TYPE_CHECKING:
    from kubexms.step.contract import StepExecutor


@click.command()
@click.argument("kind", required=False, metavar="[KIND[.FIELD]]")
@color_option
@pass_app
def explain(app: App, /, kind: str | None) -> None:
    """Describe a step kind or a document (`pipeline`), or one field of it (`file.mode`).

    Without KIND: list the step kinds.
    """
    from kubexms.config.documents import DEFAULT_KINDS, SchemaSet
    from kubexms.config.suggest import did_you_mean
    from kubexms.errors import ConfigError
    from kubexms.step.registry import default_registry
    from kubexms.views.explain import Explained, explain_text, field_names, first_sentence, kinds_text

    registry = default_registry()
    documents = {item.name.lower(): item for item in DEFAULT_KINDS}
    schemas = SchemaSet(registry)
    if kind is None:
        rows = [(name, first_sentence(registry.spec_class(name).__doc__ or "")) for name in registry]
        app.write(kinds_text(rows, app.paint()))
        app.write(f"\nDocuments: {', '.join(documents)}. `kubexms explain KIND` tells more.\n")
        return
    name, *path = kind.split(".")
    if name not in registry and name.lower() in documents:
        thing = Explained(name, schemas.document(documents[name.lower()]))
    elif name not in registry:
        near = did_you_mean(name, [*registry, *documents])
        raise ConfigError(f"there is no kind '{name}'{near}", detail="`kubexms explain` lists the kinds.")
    else:
        executor = registry.get(name)
        thing = Explained(
            name, schemas.step(name), executor.spec.__doc__ or "", executor.example, tuple(_notes(executor))
        )
    try:
        text = explain_text(thing, path, app.paint())
    except KeyError as error:
        field = str(error.args[0])
        near = did_you_mean(field, field_names(thing.schema, path[: path.index(field)]))
        raise ConfigError(f"{name} has no field '{field}'{near}") from error
    app.write(text)


def _notes(executor: StepExecutor[Any]) -> Iterator[str]:
    if not executor.can_undo:
        yield "It cannot be undone: taken out of the documents it is forgotten, and the host keeps it."
    if executor.imperative:
        yield "Something happens, rather than an object being there: its changes show as `will be run`."
    if executor.changes_facts:
        yield f"It may change these facts: {', '.join(sorted(executor.changes_facts))}."
