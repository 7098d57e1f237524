"""What the API server writes down, and how it keeps what it stores: audit, encryption at rest."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, JsonValue, model_validator
from pydantic_core import PydanticCustomError

from kubexms.spec.base import FrozenModel, Name
from kubexms.spec.variable import SecretRef

Provider = Literal["secretbox", "aescbc", "aesgcm"]
KEY_LENGTHS: dict[str, tuple[int, ...]] = {
    "secretbox": (32,),
    "aescbc": (16, 24, 32),
    "aesgcm": (16, 24, 32),
}
"""Bytes that a key of each provider may have (k8s.io/apiserver, encryptionconfig)."""


class AuditSpec(FrozenModel):
    """The API server writes down requests, on each control plane, as a policy says.

    A change restarts the API servers, one at a time. The files of the log stay when it ends.
    """

    policy: dict[str, JsonValue] | None = None
    """The policy (audit.k8s.io/v1), written here: `{rules: [{level: Metadata}]}`. That is also the default:
    who did what and when, without what was sent and answered."""
    policy_file: str | None = Field(default=None, min_length=1)
    """A file with the policy instead, relative to this document."""
    log_path: str = Field(
        default="/var/log/kubernetes/audit/audit.log", pattern=r"^(/[A-Za-z0-9][A-Za-z0-9_.-]*){3,}$"
    )
    """The log on the control planes. Its directory is the API server's to write to: it holds nothing else."""
    max_age: int = Field(default=30, ge=0, le=3650)
    """Days after which an old file of the log is removed; 0: never."""
    max_backup: int = Field(default=10, ge=0, le=1000)
    """How many old files stay; 0: all."""
    max_size: int = Field(default=100, ge=1, le=10000)
    """Megabytes after which another file is begun."""

    @model_validator(mode="after")
    def _one_policy(self) -> Self:
        if self.policy is not None and self.policy_file is not None:
            raise PydanticCustomError("audit_policy", "give 'policy' or 'policyFile', not both")
        return self


class EncryptionKeySpec(FrozenModel):
    """One key."""

    name: Name
    """Stored beside what is encrypted with it, so that it is found again: it stays the same."""
    provider: Provider | None = None
    """What it is used with. Default: that of `encryptionAtRest`."""
    value_from: SecretRef
    """Where the key is on the machine that runs kubexms: base64 of 32 bytes, as `head -c 32 /dev/urandom |
    base64` makes it (16 or 24 are possible with `aescbc` and `aesgcm`)."""


class EncryptionSpec(FrozenModel):
    """What the API server stores in etcd is encrypted there.

    What is there already is written anew. To change the key, put another one before it; several control
    planes know it before, behind the one that encrypts (docs/operations/protection.md).
    """

    provider: Provider = "secretbox"
    """`secretbox` is the one to take; `aescbc` and `aesgcm` are weaker, and for what they have encrypted."""
    resources: tuple[Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*(\.[a-z0-9.-]+)?$")], ...] = Field(
        default=("secrets",), min_length=1
    )
    """What is encrypted, as the API names it: `secrets`, `configmaps`, `widgets.example.com`."""
    keys: tuple[EncryptionKeySpec, ...] = Field(min_length=1)
    """The first one encrypts; all of them decrypt what was encrypted with them."""
    encrypt: bool = True
    """False: what is written from then on is not encrypted, and what is encrypted can be read. The way in for
    several control planes, and the way out."""

    @model_validator(mode="after")
    def _names(self) -> Self:
        names = [key.name for key in self.keys]
        for name in names:
            if names.count(name) > 1:
                raise PydanticCustomError(
                    "duplicate_name", "duplicate {what} name '{name}'", {"what": "key", "name": name}
                )
        return self
