"""`kubexms explain`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from kubexms.cli.app import App, pass_app
from kubexms.cli.options import color_option

if TYPE_CHECKING:
    from kubexms.step.contract import StepExecutor
    from kubexms.step.registry import Registry
    from kubexms.views.explain import Explained


@click.command()
@click.argument("kind", required=False, metavar="[KIND[.FIELD]]")
@color_option
@pass_app
def explain(app: App, /, kind: str | None) -> None:
    """Describe a step kind or a document (`pipeline`), or one field of it (`file.mode`).

    Without KIND: list the step kinds.
    """
    from kubexms.config.suggest import did_you_mean
    from kubexms.errors import ConfigError
    from kubexms.step.registry import default_registry
    from kubexms.views.explain import explain_text, field_names, first_sentence, kinds_text

    registry = default_registry()
    if kind is None:
        rows = [(name, first_sentence(registry.spec_class(name).__doc__ or "")) for name in registry]
        app.write(kinds_text(rows, app.paint()))
        app.write(
            "\n`kubexms explain KIND` tells more; so does `explain step`, and `explain pipeline.modules`.\n"
        )
        return
    name, *path = kind.split(".")
    thing = _kind(registry, name) or _document(registry, name)
    if thing is None:
        near = did_you_mean(name, [*registry, "pipeline", "inventory", "project", "step"])
        raise ConfigError(f"there is no kind '{name}'{near}", detail="`kubexms explain` lists the kinds.")
    if path[:1] == ["spec"] and "spec" not in field_names(thing.schema, []):
        del path[0]  # as the document has it: what is explained begins there
    try:
        text = explain_text(thing, path, app.paint())
    except KeyError as error:
        field = str(error.args[0])
        near = did_you_mean(field, field_names(thing.schema, path[: path.index(field)]))
        within = ".".join([name, *path[: path.index(field)]])
        raise ConfigError(
            f"{within} has no field '{field}'{near}", detail=f"`kubexms explain {within}` lists them."
        ) from error
    app.write(text)


def _kind(registry: Registry, name: str) -> Explained | None:
    from kubexms.config.documents import SchemaSet
    from kubexms.spec.pipeline import StepSpec
    from kubexms.views.explain import Explained

    shared = StepSpec.model_json_schema(by_alias=True)
    common = frozenset(shared["properties"])
    if name == "step":
        return Explained("step", shared, notes=("Each kind adds its own: `kubexms explain KIND`.",))
    if name not in registry:
        return None
    executor = registry.get(name)
    return Explained(
        name,
        SchemaSet(registry).step(name),
        executor.spec.__doc__ or "",
        executor.example,
        (*_notes(executor), "`kubexms explain step` explains the common fields."),
        common,
    )


def _document(registry: Registry, name: str) -> Explained | None:
    """A document is explained from its `spec` on: the rest is the same for all."""
    from kubexms.builder.kinds import DOCUMENT_KINDS
    from kubexms.config.documents import SchemaSet
    from kubexms.views.explain import Explained

    for kind in DOCUMENT_KINDS:
        if kind.name.lower() == name.lower():
            schema = SchemaSet(registry).document(kind)
            spec = {**schema["properties"]["spec"], "$defs": schema["$defs"]}
            return Explained(kind.name, spec, kind.summary)
    return None


def _notes(executor: StepExecutor[Any]) -> Iterator[str]:
    if not executor.can_undo:
        yield "It cannot be undone: taken out of the documents it is forgotten, and the host keeps it."
    if executor.imperative:
        yield "Something happens, rather than an object being there: its changes show as `will be run`."
    if executor.changes_facts:
        yield f"It may change these facts: {', '.join(sorted(executor.changes_facts))}."
