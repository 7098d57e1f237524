"""Types of values that several parts of a Cluster document share."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from pydantic_core import PydanticCustomError

Arguments = dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")], str]
"""Command-line flags without their dashes, and their values."""
Source = Literal["artifacts", "packages"]
LabelKey = Annotated[
    str, Field(pattern=r"^([a-z0-9.-]{1,253}/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$")
]
LabelValue = Annotated[str, Field(pattern=r"^([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$")]
NodeName = Annotated[
    str, Field(pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$", max_length=253)
]
"""The name of a node: lower-case letters, digits, dashes and dots."""

ServedName = Annotated[
    str,
    Field(
        pattern=r"^((\*\.)?[a-z0-9]([a-z0-9.-]*[a-z0-9])?|[0-9A-Fa-f]*:[0-9A-Fa-f:.]+)$",
        max_length=253,
    ),
]
"""A name or an address in the certificate of a server, as kubeadm takes it."""


def renewed_in_time(renew_before_days: int, lifetime_days: int) -> None:
    """A certificate lives longer than it is waited for. Raises `PydanticCustomError` where it does not."""
    if renew_before_days >= lifetime_days:
        raise PydanticCustomError(
            "renewed_at_once",
            "'renewBeforeDays' must be less than 'lifetimeDays', or each would be due when it is new",
        )
