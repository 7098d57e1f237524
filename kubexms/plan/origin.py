"""What a plan was made from, kept in saved plans for those who review them. Pure data, no secret in it."""

from __future__ import annotations

from pydantic import Field, JsonValue

from kubexms.spec.base import FrozenModel


class Place(FrozenModel):
    """Where a step is written. Lines and columns count from 1; the end is exclusive."""

    file: str
    """Relative to the project's directory, with `/`."""
    line: int
    column: int = 1
    end_line: int | None = None
    end_column: int | None = None


class RenderedStep(FrozenModel):
    """A step as it was rendered, once for all hosts for which it came out the same."""

    kind: str
    fields: dict[str, JsonValue] = Field(default_factory=dict)
    """As a document would write them, defaults left out. What is sensitive, or shown to nobody on the
    host either, is `(sensitive value)`; controller files stand as path, digest and size."""
    unknown: dict[str, str] = Field(default_factory=dict)
    """Fields that are known only after apply -> what they wait for."""


class InventoryHost(FrozenModel):
    """A machine as the inventory gives it: what it is for and where it is, nothing that opens it."""

    name: str
    roles: tuple[str, ...] = ()
    connection: str = "ssh"
    address: str = ""
    """Empty: the host's name."""
    port: int | None = None
    user: str = ""
    become: str = ""
    """User that is become there; empty: none."""
    proxy_jump: tuple[str, ...] = ()
    maintenance: str = ""
    """Why it is left alone; empty: it is not."""


class Origin(FrozenModel):
    """The documents as rendered, the inventory, and what templates read."""

    inventory: tuple[InventoryHost, ...] = ()
    """In the order of the documents, also the hosts that the plan was not asked for."""
    steps: dict[str, RenderedStep] = Field(default_factory=dict)
    """By digest: `binding.spec` of the changes that they are of."""
    places: dict[str, Place] = Field(default_factory=dict)
    """`module/task/step` -> where it is written. What a builder made, or left the documents, has none."""
    inputs: dict[str, dict[str, dict[str, JsonValue]]] = Field(default_factory=dict)
    """Host -> module -> name (`facts.os.id`, `vars.port`) -> the value that its templates and conditions
    read. Unknown ones are left out."""
