"""The result of an expression as JSON data."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from jinja2.runtime import Undefined

from kubexms.config.template.tracked import TrackedList, TrackedMap, detach
from kubexms.spec.base import Json


def to_json_data(value: Any) -> Json:
    """`value` as plain JSON data; generators and views become lists.

    Raises `UnknownAccess`, `jinja2.UndefinedError`, and `TypeError` for what is no data (a macro).
    """
    if isinstance(value, Undefined):
        str(value)
    if isinstance(value, (TrackedMap, TrackedList)):
        value = detach(value)
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{value} is no number that JSON has")
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, Mapping):
        return {_key(key): to_json_data(item) for key, item in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, (bytes, type)):
        return [to_json_data(item) for item in value]
    raise TypeError(f"the result is a {type(value).__name__}, which is no data")


def _key(key: Any) -> str:
    if isinstance(key, (str, int)) and not isinstance(key, bool):
        return str(key)
    raise TypeError(f"a {type(key).__name__} cannot be the name of a mapping's entry")
