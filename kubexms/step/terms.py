"""The words of the step contract: a kind's fields, what a change does and interrupts, what is found.

Data alone; `contract.py` says who gives what to whom, and has these names, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Generic, TypeVar

from pydantic import JsonValue

from kubexms.runtime.protocol import Action, Fragment
from kubexms.spec.base import FrozenModel
from kubexms.step.observation import Observation


class StepArgs(FrozenModel):
    """Base of every kind's spec class: its fields as a document writes them, rendered and typed.

    Cross-field rules are pydantic `model_validator(mode="after")`s that raise `PydanticCustomError`
    with a message that says what to do. Secrets are plain strings here; the framework knows which
    fields were fed by sensitive values and hides them.
    """


S = TypeVar("S", bound=StepArgs)


class ActionKind(StrEnum):
    """What a change does to its object."""

    NO_OP = "no-op"
    CREATE = "create"
    UPDATE = "update"
    REPLACE = "replace"
    DELETE = "delete"
    RUN = "run"
    FORGET = "forget"


class Disruption(StrEnum):
    """What a change interrupts, from harmless to worst."""

    NONE = "none"
    RESTART = "restart"
    REBOOT = "reboot"
    DRAIN = "drain"
    DATA_LOSS = "data-loss"


@dataclass(frozen=True, slots=True)
class Probe:
    """One fragment, and which specs its records answer: record j is about `specs[indexes[j]]`."""

    fragment: Fragment
    indexes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Source:
    """A step of the same host that another step watches (`restartOn`, `reloadOn`)."""

    name: str
    paths: tuple[str, ...]
    """Paths on the host whose change time (ctime) tells of its change."""


@dataclass(frozen=True, slots=True)
class ChangeRequest:
    """What the framework found to do; the argument of `action`."""

    action: ActionKind
    before: Observation
    changed: frozenset[str] = frozenset()
    """Top-level attributes that differ; for a create all desired ones."""
    triggered_by: tuple[str, ...] = ()
    """Names of watched sources that changed."""
    prior: Observation | None = None
    """What was there before kubexms first touched it."""
    facts: Mapping[str, JsonValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Prospect(Generic[S]):
    """One step of a kind in a plan, whatever happens to it; see `StepExecutor.review`."""

    address: str
    host: str
    spec: S
    action: ActionKind
    before: Observation


@dataclass(frozen=True, slots=True)
class Part(Generic[S]):
    """One of several steps that are done together; see `StepExecutor.merge`."""

    spec: S
    request: ChangeRequest
    alone: Action
    """What `action` gives for it."""
    store: str
    """The name of the step's own directory, in letters that need no quotes."""

    @property
    def backup(self) -> str:
        """A word of sh: what `"$KX_BACKUP"` is when it is done alone."""
        return f'"${{KX_BACKUP%/*}}"/{self.store}'
