"""What a plain (unquoted) YAML scalar means, and which ones mean different things to different readers.

The reading is the core schema of YAML 1.2 (https://yaml.org/spec/1.2.2/#103-core-schema), narrowed to
JSON's values. Scalars that YAML 1.1 readers (PyYAML, Ruby, older Go) read as something else are `Trap`s:
they are never guessed at.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

Scalar = str | int | float | bool | None

_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_HEX = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_OLD_EXPONENT = re.compile(r"[-+]?[0-9]+\.[0-9]*[eE][-+][0-9]+")
"""YAML 1.1 wants a point and a sign; without them `1e3` is text to its readers."""

_OCTAL = re.compile(r"[-+]?0[0-9_]+|0o[0-7]+")
_UNDERSCORED = re.compile(r"[-+]?(?:0x[0-9a-fA-F_]+|0b[01_]+|[0-9][0-9_]*(?:\.[0-9_]*)?(?:[eE][-+]?[0-9]+)?)")
_SEXAGESIMAL = re.compile(r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?")
_TIMESTAMP = re.compile(
    r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:(?:[Tt]|[ \t]+)[0-9]{1,2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]*)?"
    r"[ \t]*(?:Z|[-+][0-9]{1,2}(?::?[0-9]{2})?)?)?"
)
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
YES_NO = frozenset(
    form for word in ("yes", "no", "on", "off") for form in (word, word.capitalize(), word.upper())
)
_MAX_DIGITS = 300


@dataclass(frozen=True, slots=True)
class Trap:
    """A plain scalar that readers of YAML disagree about."""

    text: str
    reading: str
    """What some readers take it for, with an article: `a boolean`."""
    number_ok: bool = False
    """Fine where a number is expected (`1.30`)."""
    time_ok: bool = False
    """Fine where a point in time is expected."""


def classify(text: str) -> tuple[Scalar, Trap | None]:
    """The value of a plain scalar, and why it is ambiguous if it is. Never raises."""
    if text in _NULLS:
        return None, None
    if text in _BOOLS:
        return _BOOLS[text], None
    if text in YES_NO:
        return text, Trap(text, "a boolean")
    if text[0] not in "+-.0123456789":
        return text, None
    return _number(text)


def _number(text: str) -> tuple[Scalar, Trap | None]:
    if _INT.fullmatch(text):
        if len(text) > _MAX_DIGITS:
            return text, Trap(text, "a number")
        return int(text), None
    if _HEX.fullmatch(text) and len(text) <= _MAX_DIGITS:
        return int(text, 16), None
    if _OCTAL.fullmatch(text):
        return text, Trap(text, "an octal number")
    if _FLOAT.fullmatch(text):
        return _float(text)
    if text.lower().lstrip("+-") in (".inf", ".nan"):
        return text, Trap(text, "a number that JSON does not have")
    if _SEXAGESIMAL.fullmatch(text):
        return text, Trap(text, "a number in base 60")
    if _TIMESTAMP.fullmatch(text):
        return text, Trap(text, "a date", time_ok=True)
    if _UNDERSCORED.fullmatch(text):
        return text, Trap(text, "a number")
    return text, None


def _float(text: str) -> tuple[Scalar, Trap | None]:
    value = float(text)
    if not math.isfinite(value):
        return text, Trap(text, "a number that is too large")
    if text.removeprefix("+") == repr(value) or _OLD_EXPONENT.fullmatch(text):
        return value, None
    return value, Trap(text, f"the number {value!r}", number_ok=True)
