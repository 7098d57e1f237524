"""`explain`: the fields of a step kind or document, from its JSON Schema, in the manner of kubectl."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from kubexms.views.escaping import printable_lines
from kubexms.views.paint import Paint, Role, plain
from kubexms.views.tables import table_lines

Schema = Mapping[str, JsonValue]
_WIDTH = 88
_NAMES = {"JsonValue": "any"}
"""What definitions of the schemas are called here. A template may stand anywhere, so it is not named."""


@dataclass(frozen=True, slots=True)
class Explained:
    """What there is to say of one kind (of step) or document."""

    name: str
    schema: Schema
    description: str = ""
    example: str = ""
    notes: tuple[str, ...] = ()
    """Sentences: what cannot be undone, what runs once."""
    shared: frozenset[str] = frozenset()
    """Fields that every kind has: named, and explained elsewhere."""


def explain_text(thing: Explained, path: Sequence[str] = (), paint: Paint = plain) -> str:
    """All fields, or what is at `path` (`retries`, `attempts`). Raises `KeyError` with the unknown field."""
    schema = _resolved(thing.schema, thing.schema)
    required = False
    for name in path:
        properties = _properties(schema, thing.schema)
        if name not in properties:
            raise KeyError(name)
        required = name in _required(schema, thing.schema)
        schema = properties[name]
    sections = [_head(thing, path, schema, paint, required=required)]
    sections.append(_section("DESCRIPTION", _description(thing, path, schema), paint))
    shared = frozenset() if path else thing.shared
    sections.append(_section("FIELDS", list(_fields(schema, thing.schema, paint, shared)), paint))
    if not path:
        common = [name for name in _properties(schema, thing.schema) if name in shared]
        sections.append(_section("COMMON FIELDS", _wrapped(", ".join(common)), paint))
        sections.append(_section("NOTES", [line for note in thing.notes for line in _wrapped(note)], paint))
        sections.append(_section("EXAMPLE", printable_lines(thing.example), paint))
    return "\n\n".join("\n".join(section) for section in sections if section) + "\n"


def kinds_text(kinds: Sequence[tuple[str, str]], paint: Paint = plain) -> str:
    """The list of kinds, each with its first sentence."""
    return "".join(f"{line}\n" for line in table_lines(("KIND", "WHAT IT IS"), kinds, paint))


def first_sentence(text: str) -> str:
    """The first paragraph's first sentence, on one line."""
    paragraph = " ".join(text.strip().split("\n\n")[0].split())
    return paragraph.split(". ")[0].rstrip(".")


def field_names(schema: Schema, path: Sequence[str] = ()) -> list[str]:
    """The names of the fields at `path`; empty where there are none."""
    found = _resolved(schema, schema)
    for name in path:
        found = _properties(found, schema).get(name, {})
    return list(_properties(found, schema))


def _head(
    thing: Explained, path: Sequence[str], schema: Schema, paint: Paint, *, required: bool
) -> list[str]:
    lines = [f"{paint(Role.BOLD, 'KIND:')}   {thing.name}"]
    if path:
        need = " -required-" if required else ""
        lines.append(
            f"{paint(Role.BOLD, 'FIELD:')}  {'.'.join(path)} <{type_text(schema, thing.schema)}>{need}"
        )
    return lines


def _description(thing: Explained, path: Sequence[str], schema: Schema) -> list[str]:
    text = (
        str(schema.get("description", ""))
        if path
        else thing.description or str(schema.get("description", ""))
    )
    return (
        [line for block in text.strip().split("\n\n") for line in [*_wrapped(block), ""]][:-1] if text else []
    )


def _section(title: str, lines: Sequence[str], paint: Paint) -> list[str]:
    return [paint(Role.BOLD, f"{title}:"), *(f"    {line}".rstrip() for line in lines)] if lines else []


def _wrapped(text: str, width: int = _WIDTH) -> list[str]:
    return textwrap.wrap(" ".join(text.split()), width, break_on_hyphens=False)


def _fields(schema: Schema, root: Schema, paint: Paint, left_out: frozenset[str]) -> Iterator[str]:
    required = _required(schema, root)
    own = {name: field for name, field in _properties(schema, root).items() if name not in left_out}
    for position, (name, field) in enumerate(own.items()):
        if position:
            yield ""
        head = f"{paint(Role.BOLD, name)} <{type_text(field, root)}>"
        if name in required:
            head += paint(Role.WARNING, " -required-")
        default = field.get("default")
        if not isinstance(default, dict) and default not in (None, [], ""):
            head += f" (default {json.dumps(default, ensure_ascii=False)})"
        yield head
        yield from (f"  {line}" for line in _wrapped(str(field.get("description", ""))))


def type_text(schema: Schema, root: Schema) -> str:
    """`string`, `list of string`, `map of string`, `present|absent`, an object's own name."""
    if "$ref" in schema:
        found = _resolved(schema, root)
        name = str(schema["$ref"]).rpartition("/")[2]
        return type_text(found, root) if "enum" in found else _NAMES.get(name, name)
    if "enum" in schema:
        return "|".join(_word(value) for value in _list(schema["enum"]))
    if "const" in schema:
        return _word(schema["const"])
    branches = [*_list(schema.get("anyOf", [])), *_list(schema.get("oneOf", []))]
    if branches:
        texts = [type_text(branch, root) for branch in branches if isinstance(branch, dict)]
        shown = dict.fromkeys(text for text in texts if text not in {"null", "template"})
        return " or ".join(shown) or "string"
    match schema.get("type"):
        case "array":
            items = schema.get("items")
            return f"list of {type_text(items, root)}" if isinstance(items, dict) else "list"
        case "object":
            values = schema.get("additionalProperties")
            return f"map of {type_text(values, root)}" if isinstance(values, dict) and values else "map"
        case str(name):
            return name
        case _:
            return "any"


def _word(value: JsonValue) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _list(value: JsonValue) -> list[JsonValue]:
    return value if isinstance(value, list) else []


def _required(schema: Schema, root: Schema) -> frozenset[str]:
    return frozenset(
        name for name in _list(_resolved(schema, root).get("required", [])) if isinstance(name, str)
    )


def _resolved(schema: Schema, root: Schema) -> Schema:
    """The schema that holds the properties: references, optional ones and list items followed."""
    reference = schema.get("$ref")
    if isinstance(reference, str):
        definitions = root.get("$defs")
        found = definitions.get(reference.rpartition("/")[2]) if isinstance(definitions, dict) else None
        return _resolved(found, root) if isinstance(found, dict) else {}
    for branch in _list(schema.get("anyOf", [])):
        if isinstance(branch, dict) and _resolved(branch, root).get("properties"):
            return _resolved(branch, root)
    items = schema.get("items")
    return _resolved(items, root) if isinstance(items, dict) else schema


def _properties(schema: Schema, root: Schema) -> dict[str, Schema]:
    properties = _resolved(schema, root).get("properties")
    return (
        {name: field for name, field in properties.items() if isinstance(field, dict)}
        if isinstance(properties, dict)
        else {}
    )
