"""What a failed schema check means to the person who wrote the document."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from jsonschema import ValidationError

from kubexms.config.documents.schema import Schema
from kubexms.config.suggest import hint
from kubexms.config.yaml import Document, Path
from kubexms.diagnostics import Diagnostic
from kubexms.spec.base import NAME_PATTERN
from kubexms.spec.forms import in_words

_TYPES = {
    "string": "a string",
    "number": "a number",
    "integer": "an integer",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
}
WRONG_FORM = " does not have the right form"
"""How the message ends for a text that does not match its pattern."""

_DURATION = re.compile(r"(\d{1,9})\s*(s|sec|seconds?|m|min|minutes?|h|hours?|d|days?)")
_FEW = 8
"""More fields than these are looked up elsewhere."""
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_ROOT_FAILURES = frozenset({"type", "const", "enum", "pattern"})


class Translator:
    """Turns schema errors of one document into diagnostics. `is_secret` says which values not to quote."""

    def __init__(
        self, document: Document, prefix: Path, schema: Schema, is_secret: Callable[[Path], bool]
    ) -> None:
        self._document = document
        self._prefix = prefix
        self._template = schema["$defs"]["template"]["pattern"]
        self._is_secret = is_secret

    def translate(self, errors: Iterable[ValidationError]) -> Iterator[Diagnostic]:
        """One diagnostic or more per error."""
        for error in errors:
            yield from self._one(error)

    def _path(self, error: ValidationError) -> Path:
        return (*self._prefix, *error.absolute_path)

    def _one(self, error: ValidationError) -> Iterator[Diagnostic]:
        handler: Callable[[ValidationError], Iterator[Diagnostic]] | None = {
            "additionalProperties": self._unknown_fields,
            "required": self._missing,
            "anyOf": self._union,
            "oneOf": self._union,
        }.get(str(error.validator))
        if handler is not None:
            yield from handler(error)
            return
        path = self._path(error)
        secret = self._is_secret(path)
        summary, detail = self._message(error, secret)
        yield self._document.error(path, summary, detail, show=not secret)

    def _unknown_fields(self, error: ValidationError) -> Iterator[Diagnostic]:
        known = error.schema.get("properties", {}) if isinstance(error.schema, Mapping) else {}
        given: Mapping[str, Any] = error.instance if isinstance(error.instance, dict) else {}
        for name in given:
            if name in known:
                continue
            path = (*self._path(error), name)
            detail = hint(name, (k for k in known if k not in given), "further fields here")
            yield self._document.error(
                path, f"unknown field '{name}'", detail, key=True, show=not self._is_secret(path)
            )

    def _missing(self, error: ValidationError) -> Iterator[Diagnostic]:
        required = error.validator_value if isinstance(error.validator_value, list) else []
        # jsonschema reports each missing name by itself; its name is only in the message
        given: Mapping[str, Any] = error.instance if isinstance(error.instance, dict) else {}
        for name in required:
            if name not in given and error.message.startswith(repr(name)):
                yield self._document.error(self._path(error), f"missing field '{name}'", show=True)

    def _union(self, error: ValidationError) -> Iterator[Diagnostic]:
        groups: dict[int, list[ValidationError]] = {}
        for inner in error.context or ():
            groups.setdefault(int(inner.schema_path[0]), []).append(inner)
        fitting = [group for group in groups.values() if not any(self._wrong_shape(inner) for inner in group)]
        if not fitting:
            narrowed = [g for g in groups.values() if not any(self._is_template(i) for i in g)]
            values = [
                i for g in narrowed for i in g if i.validator in ("enum", "const", "pattern") and not i.path
            ]
            if values and not any(i.validator == "type" and not i.path for i in values):
                same_type = [i for i in values if isinstance(error.instance, str)]
                if same_type:
                    yield from self._one(same_type[0])
                    return
            yield self._wrong_type(error, [inner for group in narrowed for inner in group])
            return
        best = min(fitting, key=len)
        for inner in best:
            yield from self._one(inner)

    def _is_template(self, error: ValidationError) -> bool:
        return bool(error.validator == "pattern" and error.validator_value == self._template) or (
            isinstance(error.schema, Mapping) and error.schema.get("pattern") == self._template
        )

    def _wrong_shape(self, error: ValidationError) -> bool:
        return not error.path and error.validator in _ROOT_FAILURES

    def _wanted(self, error: ValidationError) -> list[str]:
        if error.validator != "type" or error.path:
            return []
        wanted = error.validator_value
        return [wanted] if isinstance(wanted, str) else list(wanted)  # type: ignore[arg-type]

    def _wrong_type(self, error: ValidationError, inner: Sequence[ValidationError]) -> Diagnostic:
        path = self._path(error)
        secret = self._is_secret(path)
        names = {name for one in inner for name in self._wanted(one) if name != "null"}
        summary, detail = _type_message(error.instance, names, secret, self._document, path)
        if not detail and names == {"object"}:
            detail = next((told for one in inner if (told := _fields(one))), "")
        return self._document.error(path, summary, detail, show=not secret)

    def _message(self, error: ValidationError, secret: bool) -> tuple[str, str]:
        limit = error.validator_value
        shown = "this value" if secret else show(error.instance)
        path = self._path(error)
        match error.validator:
            case "type":
                wanted = {limit} if isinstance(limit, str) else set(limit) - {"null"}  # type: ignore[arg-type]
                summary, detail = _type_message(error.instance, wanted, secret, self._document, path)
                return summary, detail or _fields(error)
            case "enum":
                names = [str(value) for value in limit]  # type: ignore[union-attr]
                return f"{shown} is not allowed here", hint(str(error.instance), names, "allowed values")
            case "const":
                return f"{shown} is not allowed here", f"It must be {show(limit)}."
            case "pattern" if limit == NAME_PATTERN:
                return f"{shown} is not a valid name", (
                    "Names start with a letter or '_' and go on with letters, digits, '_', '-' and '.'."
                )
            case "pattern":
                return wrong_form(shown, str(limit), secret)
            case "minItems":
                return "the list is too short", f"At least {limit} item(s) are needed."
            case "minimum" | "exclusiveMinimum":
                more = "at least" if error.validator == "minimum" else "more than"
                return f"{shown} is too small", f"It must be {more} {limit}."
            case "maximum" | "exclusiveMaximum":
                less = "at most" if error.validator == "maximum" else "less than"
                return f"{shown} is too large", f"It must be {less} {limit}."
            case "minLength":
                return "the text is too short", f"At least {limit} character(s) are needed."
            case "maxLength" | "maxItems":
                return "too long", f"At most {limit} are allowed."
            case _:
                return ("not valid", "") if secret else (error.message[:200], "")


def _type_message(
    instance: Any, wanted: set[str], secret: bool, document: Document, path: Path
) -> tuple[str, str]:
    order = [name for name in _TYPES if name in wanted]
    expected = " or ".join(_TYPES[name] for name in order) or "another value"
    got = _kind_of(instance) if secret else describe(instance)
    detail = ""
    if "string" in wanted and isinstance(instance, (bool, int, float)) and not secret:
        span = document.spans.get(path)
        text = document.source.text[span.start : span.end] if span is not None else str(instance)
        detail = f'Quote it: "{text}".'
    elif wanted & {"number", "integer"} and isinstance(instance, str) and not secret:
        detail = _in_seconds(instance)
    elif "array" in wanted and isinstance(instance, str) and not secret:
        detail = f"Write a list: [{instance[:60]}]."
    elif instance is None:
        detail = "Nothing is written here; remove the field or give it a value."
    return f"expected {expected}, not {got}", detail


def _fields(error: ValidationError) -> str:
    """What the mapping that is asked for holds, for who wrote something else."""
    schema: Mapping[str, Any] = error.schema if isinstance(error.schema, Mapping) else {}
    known = schema.get("properties", {})
    if schema.get("type") != "object" or not known or len(known) > _FEW:
        return ""
    required = schema.get("required", ())
    names = [f"{name} (needed)" if name in required else name for name in known]
    return f"Its fields are: {', '.join(names)}."


def _in_seconds(text: str) -> str:
    """Advice for `5m`, where a number of seconds is asked for."""
    match = _DURATION.fullmatch(text.strip())
    return f"Write it in seconds: {int(match[1]) * _SECONDS[match[2][0]]}." if match else ""


def wrong_form(shown: str, pattern: str, secret: bool) -> tuple[str, str]:
    """What to say of a text that does not match: never the pattern where there are words for it."""
    return f"{'this value' if secret else shown}{WRONG_FORM}", f"It must {in_words(pattern)}."


def _kind_of(value: Any) -> str:
    if value is None:
        return "null"
    for type_, name in ((bool, "a boolean"), (int, "a number"), (float, "a number"), (str, "a string")):
        if isinstance(value, type_):
            return name
    return "a list" if isinstance(value, list) else "a mapping"


def describe(value: Any) -> str:
    """A value with its type: `the string 'abc'`, `a list`."""
    if isinstance(value, (list, dict)) or value is None:
        return _kind_of(value)
    return f"the {_kind_of(value).removeprefix('a ')} {show(value)}"


def show(value: Any) -> str:
    """A short form of a value for a message."""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "…" + text[-1]
