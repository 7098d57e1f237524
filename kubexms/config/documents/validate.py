"""Checking one document: the envelope, the schema, ambiguous scalars, then the model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from kubexms.config.documents.kinds import API_GROUP, API_VERSION, DocumentKind, DocumentKinds
from kubexms.config.documents.lookup import is_secret, types_at
from kubexms.config.documents.models import model_errors
from kubexms.config.documents.schema import KindCatalog, Schema, SchemaSet
from kubexms.config.documents.translate import WRONG_FORM, Translator, show
from kubexms.config.suggest import hint
from kubexms.config.yaml import Document
from kubexms.config.yaml import Path as DocumentPath
from kubexms.config.yaml.reader import trap_error
from kubexms.diagnostics import Diagnostic
from kubexms.spec.base import FrozenModel


@dataclass(frozen=True, slots=True)
class Validated:
    """A document that is what it says it is."""

    kind: DocumentKind
    name: str
    spec: FrozenModel
    document: Document
    directory: Path = Path()
    """Of the file, absolute; paths in the document are relative to it."""


def is_ours(document: Document) -> bool:
    """Whether the document says that it is for kubexms, whatever else is wrong with it."""
    value = document.value
    version = value.get("apiVersion") if isinstance(value, dict) else None
    return isinstance(version, str) and version.partition("/")[0] == API_GROUP


def validate_document(
    document: Document, kinds: DocumentKinds, schemas: SchemaSet, directory: Path = Path()
) -> tuple[Validated | None, list[Diagnostic]]:
    """The validated document, or None and everything that is wrong with it. Never raises `ConfigError`."""
    kind, problems = _envelope(document, kinds)
    if kind is None:
        return None, problems
    value = document.value
    assert isinstance(value, dict)
    problems = list(_check(document, kind, schemas))
    if problems:
        return None, _in_order(problems)
    try:
        spec = kind.model.from_json(value["spec"])
    except ValidationError as error:
        root = schemas.document(kind)
        found = model_errors(error, document, ("spec",), lambda path: is_secret(root, path))
        return None, _in_order(list(found))
    metadata: Any = value["metadata"]
    return Validated(kind, str(metadata["name"]), spec, document, directory), []


def _in_order(problems: list[Diagnostic]) -> list[Diagnostic]:
    def place(diagnostic: Diagnostic) -> tuple[int, int]:
        source = diagnostic.source
        return (source.line, source.column) if source is not None else (0, 0)

    unique = {(d.summary, d.path, place(d)): d for d in problems}
    return sorted(unique.values(), key=place)


def _envelope(document: Document, kinds: DocumentKinds) -> tuple[DocumentKind | None, list[Diagnostic]]:
    value = document.value
    if not isinstance(value, dict):
        return None, [
            document.error((), "a document is a mapping", "It needs apiVersion, kind, metadata, spec.")
        ]
    version, kind = value.get("apiVersion"), value.get("kind")
    if version != API_VERSION:
        what = "missing field 'apiVersion'" if version is None else f"unknown apiVersion {show(version)}"
        return None, [document.error(("apiVersion",), what, f"This kubexms understands {API_VERSION}.")]
    if not isinstance(kind, str) or kind not in kinds:
        what = "missing field 'kind'" if kind is None else f"unknown kind of document {show(kind)}"
        return None, [document.error(("kind",), what, hint(str(kind), kinds.names(), "kinds"))]
    return kinds[kind], []


def _check(document: Document, kind: DocumentKind, schemas: SchemaSet) -> Iterator[Diagnostic]:
    root = schemas.document(kind)
    steps = dict(_steps(document)) if kind.name == "Pipeline" else {}
    yield from _check_part(document, (), root, schemas, f"document {kind.name}", skip=frozenset(steps))
    for path, step in steps.items():
        yield from _check_step(document, path, step, schemas)


def _check_part(
    document: Document,
    prefix: DocumentPath,
    schema: Schema,
    schemas: SchemaSet,
    key: str,
    skip: frozenset[DocumentPath] = frozenset(),
) -> Iterator[Diagnostic]:
    def secret(path: DocumentPath) -> bool:
        return is_secret(schema, path[len(prefix) :]) or _marked(document, path)

    trapped: set[DocumentPath] = set()
    for path, trap in document.traps.items():
        if path[: len(prefix)] != prefix or any(path[: len(step)] == step for step in skip):
            continue
        types = types_at(schema, path[len(prefix) :])
        if trap.time_ok and "date-time" in types:
            continue
        if trap.number_ok and types & {"number", "integer"} and not types & {"string", "any"}:
            continue
        trapped.add(path)
        if secret(path):
            yield document.error(path, "an ambiguous value", "Quote it.", show=False)
        else:
            yield trap_error(document, path, trap, expected="boolean" if types == {"boolean"} else "")
    value: Any = document.value
    for item in prefix:
        value = value[item]
    errors = schemas.validator(key, schema).iter_errors(value)
    fresh = (e for e in errors if (*prefix, *e.absolute_path) not in trapped)
    yield from Translator(document, prefix, schema, secret).translate(fresh)


def _steps(document: Document) -> Iterator[tuple[DocumentPath, dict[str, Any]]]:
    value: Any = document.value
    for path, modules in _items(value, ("spec", "modules")):
        for task_path, task in _items(modules, ("tasks",), path):
            for step_path, step in _items(task, ("steps",), task_path):
                if isinstance(step.get("name"), str) and isinstance(step.get("kind"), str):
                    yield step_path, step


def _items(
    value: Any, names: DocumentPath, prefix: DocumentPath = ()
) -> Iterator[tuple[DocumentPath, dict[str, Any]]]:
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    if isinstance(value, list):
        for index, item in enumerate(value):
            if isinstance(item, dict):
                yield (*prefix, *names, index), item


def _check_step(
    document: Document, path: DocumentPath, step: dict[str, Any], schemas: SchemaSet
) -> Iterator[Diagnostic]:
    kind = step["kind"]
    catalog = schemas.catalog
    if kind not in catalog:
        detail = hint(kind, catalog, "kinds")
        yield document.error((*path, "kind"), f"unknown step kind '{kind}'", detail)
        return
    schema = schemas.step(kind)
    problems = list(_check_part(document, path, schema, schemas, f"step {kind}"))
    if any(problem.summary.rpartition("'")[2] != WRONG_FORM for problem in problems):
        yield from problems
        return
    # where only the form of a text is wrong, the kind itself can say better what it should be
    better = list(_check_fields(document, path, step, schema, catalog))
    yield from better
    told = {problem.path for problem in better}
    yield from (problem for problem in problems if problem.path not in told)


def _check_fields(
    document: Document, path: DocumentPath, step: dict[str, Any], schema: Schema, catalog: KindCatalog
) -> Iterator[Diagnostic]:
    common = _common_fields()
    try:
        catalog.check_args(step["kind"], {name: value for name, value in step.items() if name not in common})
    except ValidationError as error:
        yield from model_errors(
            error, document, path, lambda at: is_secret(schema, at[len(path) :]) or _marked(document, at)
        )
    except PydanticCustomError as error:
        yield document.error(path, error.message().rstrip("."))


def _common_fields() -> frozenset[str]:
    from kubexms.spec.pipeline import COMMON_STEP_FIELDS

    return COMMON_STEP_FIELDS


def _marked(document: Document, path: DocumentPath) -> bool:
    """Whether something around this value says `sensitive: true`."""
    value: Any = document.value
    for item in path[:-1]:
        if isinstance(value, dict) and value.get("sensitive") is True:
            return True
        found: Any = value
        value = found[item] if isinstance(value, (dict, list)) else None
    return isinstance(value, dict) and value.get("sensitive") is True
