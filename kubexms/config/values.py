"""Whether a value is what its variable declares, and text from the command line as such a value."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from kubexms.config.documents.translate import describe
from kubexms.config.template import has_template
from kubexms.config.yaml import read_value
from kubexms.errors import ConfigError
from kubexms.spec.base import Json
from kubexms.spec.variable import VariableSpec

_TYPES: Mapping[str, tuple[str, tuple[type, ...]]] = {
    "string": ("a string", (str,)),
    "number": ("a number", (int, float)),
    "integer": ("an integer", (int,)),
    "boolean": ("true or false", (bool,)),
    "list": ("a list", (list,)),
    "map": ("a mapping", (dict,)),
}


def wrong_value(spec: VariableSpec, value: Json, sensitive: bool = False) -> str | None:
    """What is wrong with a value, to be put after the variable's name; None if nothing is."""
    hidden = sensitive or spec.sensitive
    if value is None:
        return None if spec.nullable else "must not be null"
    if has_template(value):
        return None
    if spec.type in _TYPES:
        name, types = _TYPES[spec.type]
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            return f"must be {name}" + ("" if hidden else f", not {describe(value)}")
    if spec.enum and not any(value == one and type(value) is type(one) for one in spec.enum):
        allowed = ", ".join(str(one) for one in spec.enum)
        return (
            "must be one of those allowed" if hidden else f"must be one of {allowed}, not {describe(value)}"
        )
    if spec.pattern is not None and isinstance(value, str) and not re.fullmatch(spec.pattern, value):
        return f"must match {spec.pattern}" + ("" if hidden else f", not {describe(value)}")
    return None


def convert_text(spec: VariableSpec, text: str, sensitive: bool) -> tuple[Json, str | None]:
    """Text as a value of the declared type, or why it is none. `any` and `string` keep the text."""
    if spec.type in ("string", "any"):
        return text, None
    shown = "" if sensitive else f", not '{text}'"
    wrong = f"must be {_TYPES[spec.type][0]}{shown}"
    match spec.type:
        case "boolean":
            value = {"true": True, "false": False}.get(text)
            return value, wrong if value is None else None
        case "integer" | "number":
            return _number(text, spec.type == "integer", wrong)
        case _:
            try:
                return read_value(text.encode("utf-8", "surrogateescape"), "the value").value, None
            except ConfigError:
                return None, wrong


def _number(text: str, integer: bool, wrong: str) -> tuple[Json, str | None]:
    if re.fullmatch(r"[-+]?[0-9]{1,300}", text):
        return int(text), None
    try:
        value = float(text)
    except ValueError:
        return None, wrong
    return (None, wrong) if integer or not math.isfinite(value) or "_" in text else (value, None)
