"""Every form that a text must have is there in words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from kubexms.config.schemas import schema_texts
from kubexms.spec.forms import FORMS, in_words
from kubexms.step.registry import default_registry

TEMPLATE = r"\{\{|\{%"
"""Not a form, but what a value may be instead."""


def patterns(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        if isinstance(schema.get("pattern"), str):
            yield schema["pattern"]
        yield from schema.get("patternProperties", ())
        for value in schema.values():
            yield from patterns(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from patterns(value)


def known_patterns() -> set[str]:
    registry = default_registry(plugins=False)
    texts = schema_texts(registry).values()
    found = {p for text in texts for p in patterns(json.loads(text))}
    for name in registry:
        # what a validator comes before has its pattern in the schema of what it gives
        found |= set(patterns(registry.spec_class(name).model_json_schema(mode="serialization")))
    return found - {TEMPLATE}


def test_every_pattern_has_words_and_no_words_are_left_over() -> None:
    assert known_patterns() == set(FORMS)


def test_a_form_is_told_in_words() -> None:
    assert in_words(r"^[0-7]{3,4}$") == 'be three or four octal digits, for example "0644"'
    assert in_words("^[xy]$") == "match ^[xy]$"
