"""What a schema says about one place in a document."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kubexms.config.documents.schema import Schema

_SECRET_NAME = re.compile(r"passw|passphrase|secret|token|private_?key|credential", re.IGNORECASE)


def alternatives(schema: Mapping[str, Any], root: Schema) -> Iterable[Mapping[str, Any]]:
    """The schema itself with references resolved and unions opened up."""
    reference = schema.get("$ref")
    if isinstance(reference, str):
        target = root["$defs"].get(reference.removeprefix("#/$defs/"), {})
        yield from alternatives({**target, **{k: v for k, v in schema.items() if k != "$ref"}}, root)
        return
    unions = [schema[key] for key in ("anyOf", "oneOf", "allOf") if key in schema]
    if not unions:
        yield schema
        return
    rest = {key: value for key, value in schema.items() if key not in ("anyOf", "oneOf", "allOf")}
    if "type" in rest:
        yield rest
    for branch in (branch for union in unions for branch in union):
        yield from alternatives(branch, root)


def at(root: Schema, path: Sequence[str | int]) -> list[Mapping[str, Any]]:
    """The alternatives for the value at `path`; empty where the schema says nothing."""
    current: list[Mapping[str, Any]] = list(alternatives(root, root))
    for item in path:
        current = [found for schema in current for found in _below(schema, item, root)]
    return current


def _below(schema: Mapping[str, Any], item: str | int, root: Schema) -> Iterable[Mapping[str, Any]]:
    if isinstance(item, int):
        inner = schema.get("items")
        prefix = schema.get("prefixItems", [])
        inner = prefix[item] if item < len(prefix) else inner
    else:
        inner = schema.get("properties", {}).get(item, schema.get("additionalProperties"))
    if isinstance(inner, Mapping):
        yield from alternatives(inner, root)


def types_at(root: Schema, path: Sequence[str | int]) -> set[str]:
    """JSON types allowed at `path`, `any` for data without a schema; templates do not count."""
    found: set[str] = set()
    for schema in at(root, path):
        if schema.get("pattern") == root["$defs"]["template"]["pattern"]:
            continue
        kinds = schema.get("type")
        if kinds is None and "enum" in schema:
            kinds = ["boolean" if isinstance(v, bool) else "string" for v in schema["enum"]]
        found |= {kinds} if isinstance(kinds, str) else set(kinds or ["any"])
        if schema.get("format") == "date-time":
            found.add("date-time")
    return found or {"any"}


def is_secret(root: Schema, path: Sequence[str | int]) -> bool:
    """Whether the value at `path` may be a secret, so that messages must not quote it."""
    for length in range(1, len(path) + 1):
        name = path[length - 1]
        if isinstance(name, str) and _SECRET_NAME.search(name):
            return True
        found = at(root, path[:length])
        if any(s.get("writeOnly") or s.get("x-kubexms") == "sensitive" for s in found):
            return True
        if any({"env", "file", "command"} == set(s.get("properties", ())) for s in found):
            return True
    return False
