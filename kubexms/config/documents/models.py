"""What a failed model check (pydantic) means to the person who wrote the document."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from kubexms.config.documents.translate import show, wrong_form
from kubexms.config.yaml import Document, Path
from kubexms.diagnostics import Diagnostic
from kubexms.spec.base import Json


def model_errors(
    error: ValidationError, document: Document, prefix: Path, is_secret: Callable[[Path], bool]
) -> Iterator[Diagnostic]:
    """One diagnostic per problem, placed in the document below `prefix`."""
    value = _value_at(document.value, prefix)
    for item in error.errors(include_url=False, include_input=False):
        path = (*prefix, *_real_path(value, item["loc"]))
        secret = is_secret(path)
        if item["type"] == "duplicate_name":
            yield _duplicate(document, path, item.get("ctx", {}))
            continue
        message = str(item["msg"]).removeprefix("Value error, ")
        if item["type"] == "string_pattern_mismatch":
            shown = show(_value_at(document.value, path))
            yield document.error(path, *wrong_form(shown, item["ctx"]["pattern"], secret), show=not secret)
            continue
        if secret and not item["type"].startswith(("missing", "extra")):
            message = "not a valid value"
        summary, _, detail = message.partition("\n")
        first, colon, rest = summary.partition(". ")
        summary, detail = (first, rest) if colon and not detail else (summary, detail)
        yield document.error(path, summary.rstrip("."), detail, show=not secret)


def _duplicate(document: Document, path: Path, names: Mapping[str, Any]) -> Diagnostic:
    """Placed at the second of two entries, which is the one to rename."""
    what, name = str(names.get("what")), str(names.get("name"))
    entries = _value_at(document.value, (*path, f"{what}s"))
    places = [(*path, f"{what}s", i, "name") for i, entry in enumerate(entries) if entry.get("name") == name]
    first = document.range(places[0])
    detail = f"It is there first in line {first.line}. Names are unique in their list."
    return document.error(places[1], f"duplicate {what} name '{name}'", detail)


def _value_at(value: Json, path: Sequence[str | int]) -> Any:
    current: Any = value
    for item in path:
        current = current[item]
    return current


def _real_path(value: Any, location: Sequence[str | int]) -> Iterator[str | int]:
    """The part of pydantic's location that is there; names of union branches and the like are not."""
    for item in location:
        inside = item in value if isinstance(value, dict) else False
        if isinstance(value, list) and isinstance(item, int):
            inside = item < len(value)
        if inside:
            yield item
            value = value[item]
