"""The base of every specification model, and the JSON types that specs are made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler, JsonValue
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from kubexms.spec.docstrings import descriptions

Json: TypeAlias = JsonValue
JsonObject: TypeAlias = Mapping[str, JsonValue]

NAME_PATTERN = r"^[A-Za-z_][A-Za-z0-9_.-]*$"
Name = Annotated[str, Field(pattern=NAME_PATTERN, max_length=100)]
"""Of a module, task, step, role, hook: letters, digits, `_`, `-`, `.`; starts with a letter or `_`."""


class FrozenModel(BaseModel):
    """Frozen data: camelCase in files, snake_case in Python, unknown fields are errors.

    Laws, property-tested: `M.from_json(m.to_json()) == m`, and `to_json` leaves defaults out,
    so that a new field with a default changes no digest of older data.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        populate_by_name=True,
        validate_default=False,
        ser_json_bytes="base64",
        val_json_bytes="base64",
        # a validator is built when its model is first used: most commands use few of the models
        defer_build=True,
    )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """The schema, each field described by the docstring below it."""
        schema = handler(core_schema)
        properties = handler.resolve_ref_schema(schema).get("properties", {})
        for name, text in descriptions(cls).items():
            field = properties.get(cls.model_fields[name].alias or name)
            if field is not None:
                field.setdefault("description", text)
        return schema

    def to_json(self) -> dict[str, Any]:
        """This model as plain JSON data with camelCase keys, defaults left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_defaults=True)

    @classmethod
    def from_json(cls, data: Any, *, context: Mapping[str, Any] | None = None) -> Self:
        """The model for plain JSON data. Raises pydantic's `ValidationError`."""
        return cls.model_validate(data, context=dict(context or {}))
