"""The machines, how to reach them, what they are for."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, AwareDatetime, Field, JsonValue, model_validator
from pydantic_core import PydanticCustomError

from kubexms.spec.base import FrozenModel, Name
from kubexms.spec.variable import SecretRef


def _no_template(value: str) -> str:
    """A connection is made before there is anything that a template could name."""
    if "{{" in value or "{%" in value:
        raise PydanticCustomError(
            "template_in_connection",
            "a connection holds no templates. Write the value itself; what differs stands at each host.",
        )
    return value


Plain = Annotated[str, AfterValidator(_no_template)]


class Become(FrozenModel):
    """How to become another user on the host."""

    method: Literal["none", "sudo"] = "sudo"
    user: Plain = "root"
    password: SecretRef | None = None


class ConnectionSpec(FrozenModel):
    """How to reach a host; what is not given comes from `~/.ssh/config`, then from the defaults."""

    type: Literal["ssh", "local"] | None = None
    address: Plain | None = None
    """Name or address, IPv4 or IPv6; default: the host's name."""
    port: int | None = Field(default=None, ge=1, le=65535)
    user: Plain | None = None
    identity_files: tuple[Plain, ...] = ()
    password: SecretRef | None = None
    passphrase: SecretRef | None = None
    """Of the identity files."""
    proxy_jump: tuple[Plain, ...] | None = None
    """`user@host:port` each, nearest first; `[]` is none."""
    ssh_config: Plain | None = None
    known_hosts: Plain | None = None
    host_keys: Literal["verify", "accept-new", "off"] | None = None
    """`verify`: must be known; `accept-new`: remember on first contact, refuse a change."""
    connect_timeout: float | None = Field(default=None, gt=0)
    """Seconds."""
    keepalive: float | None = Field(default=None, ge=0)
    """Seconds between keepalives; 0 is off."""
    become: Become | None = None


class Maintenance(FrozenModel):
    """The host is left alone: not asked, not changed, listed."""

    reason: str
    until: AwareDatetime | None = None
    """With a zone; afterwards the host takes part again. None: until this entry is removed."""


class HostSpec(FrozenModel):
    """One host, or with a range in its name (`n[01-30]`, `n[a,b]`) several."""

    name: str = Field(pattern=r"^[A-Za-z0-9_.\[\],:-]+$", max_length=250)
    roles: tuple[Name, ...] = ()
    vars: dict[str, JsonValue] = Field(default_factory=dict)
    connection: ConnectionSpec = ConnectionSpec()
    maintenance: Maintenance | None = None


class RoleSpec(FrozenModel):
    """What hosts are for; its vars and connection hold for every host that has it."""

    vars: dict[str, JsonValue] = Field(default_factory=dict)
    connection: ConnectionSpec = ConnectionSpec()
    hosts: tuple[str, ...] = ()
    """Names, globs or ranges of hosts that have this role, besides those that say so themselves."""


class Defaults(FrozenModel):
    """What holds for every host."""

    vars: dict[str, JsonValue] = Field(default_factory=dict)
    connection: ConnectionSpec = ConnectionSpec()
    roles: tuple[Name, ...] = ()


class InventorySource(FrozenModel):
    """Hosts taken from elsewhere, as Ansible inventory JSON (`ansible-inventory --list`)."""

    file: str | None = None
    command: tuple[str, ...] | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.file is None) == (not self.command):
            raise PydanticCustomError("inventory_source", "give exactly one of 'file' or 'command'")
        return self


class InventorySpec(FrozenModel):
    """All machines of one environment, as written."""

    defaults: Defaults = Defaults()
    roles: dict[Name, RoleSpec] = Field(default_factory=dict)
    hosts: tuple[HostSpec, ...] = ()
    from_: InventorySource | None = Field(default=None, alias="from")


class Host(FrozenModel):
    """One machine after ranges, defaults, roles and imports are merged; still without secrets resolved."""

    name: str
    roles: tuple[str, ...] = ()
    vars: dict[str, JsonValue] = Field(default_factory=dict)
    """Defaults < roles (later wins) < host."""
    connection: ConnectionSpec = ConnectionSpec()
    maintenance: Maintenance | None = None


class Inventory(FrozenModel):
    """The merged machines, in the order of the document. Names are unique."""

    name: str
    hosts: tuple[Host, ...] = ()
