"""Models to the text of a row, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TypeVar

from pydantic import JsonValue, ValidationError

from kubexms.errors import StateError
from kubexms.spec.base import FrozenModel

M = TypeVar("M", bound=FrozenModel)


def text_of(model: FrozenModel) -> str:
    """A model as the text of its row."""
    return json.dumps(model.to_json(), sort_keys=True, separators=(",", ":"))


def model_of(kind: type[M], text: str) -> M:
    """The model of a row's text. Raises `StateError` if the row is damaged."""
    try:
        return kind.from_json(json.loads(text))
    except (ValueError, ValidationError) as error:
        raise StateError(
            f"the state is damaged: a {kind.__name__} in it cannot be read",
            detail="Put one of the copies in its directory `backups` in its place.",
        ) from error


def plain(models: Mapping[str, FrozenModel]) -> dict[str, JsonValue]:
    """Models as part of a document."""
    return {name: model.to_json() for name, model in models.items()}
