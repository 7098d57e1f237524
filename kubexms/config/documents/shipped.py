"""Schemas that come with kubexms as files: what `make schemas` made of its own models.

A test holds them to the models. Those of third parties' kinds are made when they are used.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel

What: TypeAlias = Literal["document", "step"]

DIRECTORY = Path(__file__).parent / "built"


def shipped_name(what: What, kind: str) -> str:
    """The file's name."""
    return f"{what}.{kind}.json"


def read_shipped(what: What, kind: str, model: type[BaseModel]) -> dict[str, Any] | None:
    """The schema for one of kubexms's own models; None for all others."""
    if model.__module__.partition(".")[0] != "kubexms":
        return None
    path = DIRECTORY / shipped_name(what, kind)
    if not path.is_file():
        return None
    found: dict[str, Any] = json.loads(path.read_bytes())
    return found
