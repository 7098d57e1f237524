"""What stands below a field is its description, in schemas and for whoever asks."""

from __future__ import annotations

from pydantic import Field

from kubexms.spec.base import FrozenModel
from kubexms.spec.docstrings import descriptions


class Part(FrozenModel):
    """A part."""

    size_limit: int = 1
    """How large
    it may become."""


class Whole(Part):
    """More than its parts."""

    parts: tuple[Part, ...] = ()
    """What it is made of."""
    told: str = Field(default="", description="Said in the field.")
    """Not this."""
    silent: bool = False
    size_limit: int = 2


def test_fields_are_described_by_what_is_below_them() -> None:
    assert descriptions(Whole) == {
        "size_limit": "How large\nit may become.",
        "parts": "What it is made of.",
        "told": "Said in the field.",
    }


def test_schemas_hold_them_also_of_parts() -> None:
    schema = Whole.model_json_schema(by_alias=True)
    found = {name: field.get("description") for name, field in schema["properties"].items()}
    assert found == {
        "sizeLimit": "How large\nit may become.",
        "parts": "What it is made of.",
        "told": "Said in the field.",
        "silent": None,
    }
    assert schema["$defs"]["Part"]["properties"]["sizeLimit"]["description"].startswith("How large")
    assert schema["description"] == "More than its parts."


def test_a_class_without_source_has_none() -> None:
    scope: dict[str, object] = {"FrozenModel": FrozenModel, "__name__": "made"}
    exec("class Made(FrozenModel):\n    size: int = 1\n    'How large.'\n", scope)
    made = scope["Made"]
    assert isinstance(made, type)
    assert issubclass(made, FrozenModel)
    assert descriptions(made) == {}
    assert made.model_json_schema()["properties"]["size"]["default"] == 1
