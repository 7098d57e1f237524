"""What leaves memory: sensitive values become `HIDDEN` in plans and keyed digests in state."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import JsonValue

from kubexms.plan.model import HIDDEN
from kubexms.plan.rendered import Instance, Rendered
from kubexms.spec.asset import Asset
from kubexms.state.digest import digest, keyed_digest
from kubexms.step.contract import Attributes, Observation, Presence

KEYED = "$keyed"
"""Key of the one-entry object that stands for a sensitive value in state."""


def hide(attributes: Attributes | None, sensitive: Iterable[str]) -> dict[str, JsonValue] | None:
    """Attributes as a plan may show them."""
    if attributes is None:
        return None
    hidden = set(sensitive)
    return {name: HIDDEN if name in hidden else value for name, value in attributes.items()}


@dataclass(frozen=True)
class Concealer:
    """Digests and redactions under one state's key. Thread-safe; remembers what it has digested."""

    key: bytes
    _specs: dict[int, tuple[Rendered, str]] = field(default_factory=dict)

    def keyed(self, value: Any) -> str:
        """The digest that stands for a sensitive value."""
        return keyed_digest(self.key, value)

    def redact(self, attributes: Mapping[str, JsonValue], sensitive: Iterable[str]) -> dict[str, JsonValue]:
        """Attributes as state may keep them."""
        hidden = set(sensitive)
        return {
            name: {KEYED: self.keyed(value)} if name in hidden else value
            for name, value in attributes.items()
        }

    def same_redacted(self, recorded: JsonValue, seen: JsonValue) -> bool | None:
        """Whether a value is the one that state stands for; None if `recorded` is not redacted."""
        if isinstance(recorded, dict) and set(recorded) == {KEYED}:
            return recorded[KEYED] == self.keyed(seen)
        return None

    def spec(self, rendered: Rendered) -> dict[str, JsonValue]:
        """The rendered step's fields as state may keep them; unknown fields are left out.

        Keyed digests stand for what is sensitive, and for what determines what is not to be shown.
        """
        data = rendered.spec.to_json()
        fields = type(rendered.spec).model_fields
        for name in rendered.unknown:
            data.pop(fields[name].alias or name, None)
        for name in fields:
            alias = fields[name].alias or name
            if alias in data and rendered.hides(name):
                data[alias] = {KEYED: self.keyed(data[alias])}
        return data

    def spec_digest(self, rendered: Rendered) -> str:
        """What changes when, and only when, the rendered step does."""
        known = self._specs.get(id(rendered))
        if known is not None and known[0] is rendered:
            return known[1]
        data = self.spec(rendered)
        for name, field_value in rendered.spec:
            # where the documents are checked out says nothing of what is to be
            if isinstance(field_value, Asset):
                alias = type(rendered.spec).model_fields[name].alias or name
                data[alias] = {"sha256": field_value.sha256, "size": field_value.size}
        value = digest([rendered.executor.kind, data])
        self._specs[id(rendered)] = (rendered, value)
        return value

    def trigger_digest(self, instance: Instance) -> str:
        """What changes when, and only when, a step's `triggers` do; empty: none, or unknown ones."""
        if not instance.step.triggers or instance.trigger_unknown is not None:
            return ""
        return self.keyed(instance.trigger) if instance.trigger_secret else digest(instance.trigger)

    def observation_digest(self, rendered: Rendered, observation: Observation) -> str:
        """Over what is compared, and nothing else."""
        if observation.presence is not Presence.PRESENT:
            return digest([observation.presence.value, {}])
        compared = self.compared(rendered, observation)
        return digest([observation.presence.value, self.redact(compared, rendered.sensitive_attributes)])

    def compared(self, rendered: Rendered, observation: Observation) -> dict[str, JsonValue]:
        """The observed values of the attributes that the spec desires (all, if it is to be absent)."""
        seen = observation.attributes
        names = seen if rendered.desired is None else rendered.desired
        return {name: seen[name] for name in names if name in seen}
