"""Types of fields that the kinds of keys and certificates share."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from kubexms.step.kinds._fields import AbsolutePath

_DNS = re.compile(
    r"^(\*\.)?[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9])?)*$"
)


def _base(value: str) -> str:
    for suffix in (".crt", ".key", ".pub", ".pem"):
        if value.endswith(suffix):
            raise PydanticCustomError(
                "base_path",
                "'{path}' is a path without its ending: write '{base}'",
                {"path": value, "base": value.removesuffix(suffix)},
            )
    return value


BasePath = Annotated[AbsolutePath, AfterValidator(_base)]
"""The path of a key and of what belongs to it, without the ending: `/etc/kubernetes/pki/ca`."""

SubjectName = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9*_]([A-Za-z0-9 ._:@*/-]*[A-Za-z0-9._*])?$", max_length=64)
]
"""A common name or organization. X.509 allows 64 characters."""


def _name(value: str) -> str:
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        pass
    if len(value) > 253 or not _DNS.match(value) or re.fullmatch(r"[\d.]+", value):
        raise PydanticCustomError(
            "alternative_name", "'{name}' is neither an address nor a name in DNS", {"name": value}
        )
    return value.lower()


def is_name(value: str) -> bool:
    """Whether a certificate can be made for it: an address, or a name in DNS."""
    try:
        _name(value)
    except PydanticCustomError:
        return False
    return True


AlternativeName = Annotated[str, AfterValidator(_name), Field(min_length=1)]
"""A name in DNS, or an address: `k8s.example.com`, `10.0.0.11`."""
