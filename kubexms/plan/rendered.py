"""The rendered step: typed, for one host, with what is not known yet standing beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from pydantic import JsonValue
from pydantic.alias_generators import to_camel

from kubexms.spec.address import Address
from kubexms.spec.pipeline import StepSpec
from kubexms.step.contract import StepArgs, StepExecutor


@dataclass(frozen=True)
class Rendered:
    """One step's own fields, rendered.

    `unknown` maps fields (snake_case) to what they wait for (`outputs.os/join/token.value`,
    `facts.kernel`); in `spec` such fields hold placeholders that mean nothing. `sensitive` fields
    were fed by sensitive values. Shared between hosts where no template is involved.
    """

    executor: StepExecutor[Any]
    spec: StepArgs
    unknown: Mapping[str, str] = field(default_factory=dict)
    sensitive: frozenset[str] = frozenset()
    reads: frozenset[str] = frozenset()
    """Dotted names that the templates read: `facts.os.id`, `outputs.…`, `vars.x`."""
    secrets: frozenset[str] = field(default=frozenset(), repr=False)
    """The sensitive values in it, as texts: to be removed from whatever is shown or kept."""

    @cached_property
    def unknown_identity(self) -> str | None:
        """What the identity waits for, or None: the object can be asked about."""
        for name in self.executor.identity:
            if name in self.unknown:
                return self.unknown[name]
        return None

    @cached_property
    def unknown_attributes(self) -> Mapping[str, str]:
        """Attributes that are known only after apply -> what they wait for."""
        return {
            attribute: waits
            for name, waits in self.unknown.items()
            for attribute in self._attributes_of(name)
        }

    @cached_property
    def sensitive_attributes(self) -> frozenset[str]:
        """Attributes whose values must not be shown."""
        named = {attribute for name in self.sensitive for attribute in self._attributes_of(name)}
        return frozenset(named) | self.executor.secrets_from(self.spec)

    def hides(self, name: str) -> bool:
        """Whether a field (snake_case) must not be shown: it is sensitive, or determines what is."""
        if name in self.sensitive:
            return True
        return not self.sensitive_attributes.isdisjoint(self._attributes_of(name))

    @cached_property
    def desired(self) -> Mapping[str, JsonValue] | None:
        """The desired attributes; those of `unknown_attributes` mean nothing."""
        return self.executor.desired(self.spec)

    @cached_property
    def object_id(self) -> str:
        """What two lineages must not both manage."""
        return self.executor.object_id(self.spec)

    def _attributes_of(self, name: str) -> tuple[str, ...]:
        return tuple(self.executor.feeds.get(name, (to_camel(name),)))


@dataclass(frozen=True)
class Instance:
    """One step on one host, selected, with its fields rendered."""

    address: Address
    step: StepSpec
    rendered: Rendered
    position: int
    """Order within its task."""
    reads: frozenset[str] = frozenset()
    """What `when` and `forEach` read."""
    trigger: JsonValue = None
    """The rendered `triggers`."""
    trigger_unknown: str | None = None
    trigger_secret: bool = False
    """`trigger` holds a sensitive value."""
    each: Mapping[str, JsonValue] | None = None
    """`each.key` and `each.value` of a `forEach` entry."""


def waited_for(instance: Instance) -> tuple[str, ...]:
    """What must be known before the step can begin: what its fields and its triggers read."""
    trigger = (instance.trigger_unknown,) if instance.trigger_unknown is not None else ()
    return (*instance.rendered.unknown.values(), *trigger)


@dataclass(frozen=True)
class Unselected:
    """A step that is in the spec for this host, and is not to be there now, or nobody knows yet."""

    path: str
    """The address without host, without a `forEach` key."""
    host: str
    by_fact: bool = False
    """A fact deselected it: forgotten, never deleted."""
    unknown: str | None = None
    """What must be known first; then nothing is deleted or forgotten."""
