"""Bounds on what one template may build, so that no document can exhaust the controller."""

from __future__ import annotations

import math
import re
from collections.abc import Sized

from jinja2.exceptions import SecurityError

MAX_OUTPUT = 16 << 20
"""Characters of one rendered value."""

MAX_LOOPS = 1_000_000
"""Iterations of all loops of one rendering."""

MAX_BITS = 1 << 16
"""Length of an integer."""

_WIDTH = re.compile(r"[0-9]{6,}|\{[^{}]*:[^{}]*\{|%[^a-zA-Z%]*\*")


def too_large(what: str) -> SecurityError:
    """The error for a value above a bound."""
    return SecurityError(f"{what} would be too large")


def check_result(value: object) -> object:
    """`value`, if it is not too large."""
    if isinstance(value, (str, bytes, list, tuple)) and len(value) > MAX_OUTPUT:
        raise too_large("the value")
    if isinstance(value, int) and value.bit_length() > MAX_BITS:
        raise too_large("the number")
    return value


def check_product(*factors: object) -> None:
    """Raise if the lengths and numbers, multiplied, exceed the bound on output."""
    sizes = [
        abs(f) if isinstance(f, int) else len(f) if isinstance(f, Sized) else 1
        for f in factors
        if f is not None
    ]
    if math.prod(max(size, 1) for size in sizes) > 16 * MAX_OUTPUT:
        raise too_large("the text")


def check_format(text: object) -> None:
    """Raise for a format string with a width that is huge or computed."""
    if isinstance(text, str) and _WIDTH.search(text):
        raise SecurityError("this format string has a width that is too large or computed")


def check_operator(operator: str, left: object, right: object) -> None:
    """Raise if `left operator right` would be too large to compute."""
    if operator == "**" and isinstance(left, int) and isinstance(right, int):
        if left.bit_length() * abs(right) > MAX_BITS:
            raise too_large("the power")
    elif operator == "*" and isinstance(left, int) and isinstance(right, int):
        if left.bit_length() + right.bit_length() > MAX_BITS:
            raise too_large("the product")
    elif operator == "*":
        check_product(left, right)
    elif operator == "%":
        check_format(left)
