"""Observations: what a host answered, in the terms of a step kind."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Self, TypeAlias

from pydantic import Field, JsonValue

from kubexms.spec.base import FrozenModel

Attributes: TypeAlias = Mapping[str, JsonValue]


class Presence(StrEnum):
    """Whether the object is there."""

    PRESENT = "present"
    ABSENT = "absent"
    UNKNOWN = "unknown"


class Observation(FrozenModel):
    """One object on one host as it is now: its attributes, or absent, or unknown with a reason.

    A missing tool, a unit that is not installed yet, a command not found are observations, never errors.
    """

    presence: Presence
    attributes: dict[str, JsonValue] = Field(default_factory=dict)
    """What is compared with the desired attributes, by the same names."""
    extra: dict[str, JsonValue] = Field(default_factory=dict)
    """What is not compared: text for diffs, a unit's InvocationID, change times, `notes` for a person."""
    reason: str = ""
    """Why it is unknown, for a person."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know although nothing follows from it: an end that comes nearer."""
        found = self.extra.get("notes")
        return tuple(map(str, found)) if isinstance(found, list) else ()

    @classmethod
    def present(cls, attributes: Attributes, extra: Attributes | None = None) -> Self:
        """The object is there, with these attributes."""
        return cls(presence=Presence.PRESENT, attributes=dict(attributes), extra=dict(extra or {}))

    @classmethod
    def absent(cls, extra: Attributes | None = None) -> Self:
        """The object is not there."""
        return cls(presence=Presence.ABSENT, extra=dict(extra or {}))

    @classmethod
    def unknown(cls, reason: str) -> Self:
        """Nothing can be said, because of `reason`."""
        return cls(presence=Presence.UNKNOWN, reason=reason)
