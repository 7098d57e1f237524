"""JSON Schemas (draft 2020-12) of documents, made from the models.

What a model cannot say is added here: the envelope (`apiVersion`, `kind`, `metadata`), a step's own
fields beside the common ones, and that a template may stand wherever a step kind wants a value.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Iterator, Mapping
from typing import Any, Protocol, TypeAlias

from jsonschema import Draft202012Validator
from jsonschema.protocols import Validator
from pydantic import BaseModel, JsonValue

from kubexms.config.documents.kinds import API_VERSION, DocumentKind
from kubexms.config.documents.shipped import read_shipped
from kubexms.spec.base import NAME_PATTERN

Schema: TypeAlias = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
TEMPLATE = "template"
STEP = "StepSpec"


class KindCatalog(Protocol):
    """What documents need to know of a registry of step kinds."""

    def __iter__(self) -> Iterator[str]: ...
    def __contains__(self, kind: object) -> bool: ...
    def spec_class(self, kind: str) -> type[BaseModel]:
        """The model of a kind's own fields."""
        ...

    def check_args(self, kind: str, args: Mapping[str, JsonValue]) -> None:
        """Raise `PydanticCustomError` or `ValidationError` if these cannot be the kind's fields."""
        ...


class SchemaSet:
    """The schemas for one catalog of step kinds, read or made when first used.

    Those of kubexms's own models come with it as files, since making them takes longer than all the rest of
    loading a project; `shipped=False` makes them anew.
    """

    def __init__(self, catalog: KindCatalog, *, shipped: bool = True) -> None:
        self.catalog = catalog
        self._shipped = shipped
        self._steps: dict[str, Schema] = {}
        self._documents: dict[str, Schema] = {}
        self._validators: dict[str, Validator] = {}

    def document(self, kind: DocumentKind) -> Schema:
        """The schema that documents are checked against; steps in it are any mapping with name and kind."""
        if kind.name not in self._documents:
            shipped = read_shipped("document", kind.name, kind.model) if self._shipped else None
            self._documents[kind.name] = shipped or _document_schema(kind)
        return self._documents[kind.name]

    def step(self, kind: str) -> Schema:
        """The schema of a step of this kind: common fields and its own."""
        if kind not in self._steps:
            model = self.catalog.spec_class(kind)
            shipped = read_shipped("step", kind, model) if self._shipped else None
            self._steps[kind] = shipped or _step_schema(kind, model)
        return self._steps[kind]

    def validator(self, key: str, schema: Schema) -> Validator:
        """A validator for a schema, kept under `key`."""
        if key not in self._validators:
            self._validators[key] = Draft202012Validator(schema)
        return self._validators[key]

    def published(self, kind: DocumentKind) -> Schema:
        """The schema as editors get it: self-contained, a step's fields chosen by its `kind`."""
        schema = copy.deepcopy(self.document(kind))
        definitions = schema["$defs"]
        if STEP not in definitions:
            return schema
        names = list(self.catalog)
        branches = []
        for name in names:
            step = copy.deepcopy(self.step(name))
            definitions.update(step.pop("$defs"))
            definitions[f"step.{name}"] = step
            condition = {"properties": {"kind": {"const": name}}, "required": ["kind"]}
            branches.append({"if": condition, "then": {"$ref": f"#/$defs/step.{name}"}})
        definitions[STEP] = {
            "description": "One step. Its further fields are those of its kind.",
            "type": "object",
            "required": ["name", "kind"],
            "properties": {"kind": {"enum": names, "description": "What the step manages."}},
            "allOf": branches,
        }
        return schema


@functools.cache  # models do not change while a program runs, and making a schema takes tens of milliseconds
def _document_schema(kind: DocumentKind) -> Schema:
    spec = kind.model.model_json_schema(by_alias=True)
    definitions: Schema = spec.pop("$defs", {})
    _tidy(spec)
    _tidy(definitions)
    definitions[TEMPLATE] = _template()
    if STEP in definitions:
        definitions[STEP] = _any_step(definitions[STEP])
    name = {
        "type": "string",
        "pattern": NAME_PATTERN,
        "maxLength": 100,
        "description": "The document's name.",
    }
    labels = {
        "type": "object",
        "additionalProperties": {"type": "string"},
        "description": "For people and tools.",
    }
    return {
        "$schema": DIALECT,
        "title": kind.name,
        "description": kind.summary,
        "type": "object",
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "additionalProperties": False,
        "properties": {
            "apiVersion": {"const": API_VERSION},
            "kind": {"const": kind.name},
            "metadata": {
                "type": "object",
                "required": ["name"],
                "additionalProperties": False,
                "properties": {"name": name, "labels": labels, "annotations": labels},
            },
            "spec": spec,
        },
        "$defs": definitions,
    }


def _any_step(common: Schema) -> Schema:
    properties = {key: common["properties"][key] for key in ("name", "kind")}
    return {"type": "object", "required": ["name", "kind"], "properties": properties}


@functools.cache
def _step_schema(kind: str, model: type[BaseModel]) -> Schema:
    from kubexms.spec.pipeline import StepSpec

    common = StepSpec.model_json_schema(by_alias=True)
    own = model.model_json_schema(by_alias=True)
    shared: Schema = common.pop("$defs", {})
    definitions: Schema = own.pop("$defs", {})
    for schema in (common, own, shared, definitions):
        _tidy(schema)
    prefix = f"{kind}."
    _prefix(own, definitions, prefix)
    _prefix(definitions, definitions, prefix)
    properties = {name: _templated(schema) for name, schema in own.get("properties", {}).items()}
    for schema in definitions.values():
        if "properties" in schema:
            schema["properties"] = {name: _templated(s) for name, s in schema["properties"].items()}
    fields = {name: schema for name, schema in common["properties"].items() if name != "args"}
    fields["kind"] = {"const": kind, "description": own.get("description", "").partition("\n")[0]}
    return {
        "description": own.get("description", ""),
        "type": "object",
        "required": ["name", "kind", *own.get("required", [])],
        "additionalProperties": False,
        "properties": {**fields, **properties},
        "$defs": {
            **shared,
            **{prefix + name: schema for name, schema in definitions.items()},
            TEMPLATE: _template(),
        },
    }


def _template() -> Schema:
    return {"type": "string", "pattern": r"\{\{|\{%", "description": "A Jinja2 template."}


def _tidy(schema: Any) -> None:
    """Titles that pydantic makes from names say nothing, and a default of null is no default."""
    if isinstance(schema, list):
        for item in schema:
            _tidy(item)
    if not isinstance(schema, dict):
        return
    if isinstance(schema.get("title"), str):
        del schema["title"]
    if "default" in schema and schema["default"] in (None, {}, []):
        del schema["default"]
    for key, item in schema.items():
        if key not in ("default", "const", "enum", "examples"):
            _tidy(item)


def _prefix(schema: Any, definitions: Mapping[str, Any], prefix: str) -> None:
    if isinstance(schema, list):
        for item in schema:
            _prefix(item, definitions, prefix)
    elif isinstance(schema, dict):
        reference = schema.get("$ref")
        if isinstance(reference, str) and reference.removeprefix("#/$defs/") in definitions:
            schema["$ref"] = "#/$defs/" + prefix + reference.removeprefix("#/$defs/")
        for item in schema.values():
            _prefix(item, definitions, prefix)


def _templated(schema: Schema) -> Schema:
    """A field's schema that accepts a template in place of the value, or of any value inside of it."""
    outer: Schema = {key: schema[key] for key in ("description", "default", "x-kubexms") if key in schema}
    inner: Schema = {key: value for key, value in schema.items() if key not in outer}
    branches: list[Schema] = inner["anyOf"] if list(inner) == ["anyOf"] else [inner]
    if "x-kubexms" in schema and any(branch.get("type") == "string" for branch in branches):
        # the model also takes what rendering puts there; a document only ever names a file
        branches = [branch for branch in branches if "$ref" not in branch]
    branches = [_inside(branch) for branch in branches]
    if not any(_takes_any_text(branch) for branch in branches):
        branches.append({"$ref": f"#/$defs/{TEMPLATE}"})
    return {**outer, **(branches[0] if len(branches) == 1 else {"anyOf": branches})}


def _inside(schema: Schema) -> Schema:
    result = dict(schema)
    for key in ("items", "additionalProperties"):
        if isinstance(result.get(key), dict):
            result[key] = _templated(result[key])
    if isinstance(result.get("prefixItems"), list):
        result["prefixItems"] = [_templated(item) for item in result["prefixItems"]]
    return result


def _takes_any_text(schema: Schema) -> bool:
    if not schema or set(schema) <= {"description", "default"}:
        return True
    if schema.get("$ref") == "#/$defs/JsonValue" or schema.get("$ref", "").endswith(".JsonValue"):
        return True
    narrowing = {"enum", "const", "pattern", "maxLength", "minLength", "format"}
    return schema.get("type") == "string" and not narrowing & set(schema)
