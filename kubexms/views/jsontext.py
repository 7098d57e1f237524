"""JSON as text: for people with indentation, for streams on one line."""

from __future__ import annotations

import json

from pydantic import JsonValue


def document(data: JsonValue) -> str:
    """`data` over many lines, ASCII only (nothing can break it on the way), with a newline at the end."""
    return json.dumps(data, indent=2) + "\n"


def line(data: JsonValue) -> str:
    """`data` on one line, ASCII only, without a line end."""
    return json.dumps(data, separators=(",", ":"))
