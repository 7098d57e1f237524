"""The project: where state lives, how much runs at once, and which environments there are."""

from __future__ import annotations

from pydantic import Field

from kubexms.spec.base import FrozenModel, Name


class StateLocation(FrozenModel):
    """Where state is kept."""

    path: str = "state"
    """A directory, relative to the project; each workspace is `<path>/<workspace>.db`."""
    allow_local_in_ci: bool = False
    """Where `CI` is set, state on the local disk must be asked for: an ephemeral runner forgets it."""


class Environment(FrozenModel):
    """One of several targets of the same pipelines, chosen by `-e`."""

    inventories: tuple[str, ...] = ()
    """Names of Inventory documents, or files."""
    var_files: tuple[str, ...] = ()
    state: StateLocation | None = None
    workspace: str | None = None
    """Default: the environment's name."""


class ProjectSpec(FrozenModel):
    """Settings of the whole directory; a directory without a Project document has these defaults."""

    state: StateLocation = StateLocation()
    workspace: Name = "default"
    parallelism: int = Field(default=10, ge=1, le=1000)
    """Hosts worked on at once."""
    plan_deadline: float = Field(default=60.0, gt=0)
    """Seconds that a host may take to answer a plan's questions."""
    environments: dict[Name, Environment] = Field(default_factory=dict)
    var_files: tuple[str, ...] = ()
    inventories: tuple[str, ...] = ()
