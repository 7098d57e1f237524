"""One step on one host while it is applied: what is known so far."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import JsonValue

from kubexms.executor.outcome import Scrubber
from kubexms.plan.compare import Comparison
from kubexms.plan.former import about_another
from kubexms.plan.model import Reason
from kubexms.plan.questions import Seen
from kubexms.plan.rendered import Instance, Rendered
from kubexms.plan.working import PlannedStep
from kubexms.runtime.protocol import Connection, Outcome
from kubexms.state.model import StepState
from kubexms.step.contract import ActionKind, ChangeRequest
from kubexms.step.observation import Observation


@dataclass(slots=True)
class HostRun:
    """One host during a run. Used by one worker at a time."""

    name: str
    connection: Connection
    machine_id: str
    facts: Mapping[str, JsonValue]
    acted: bool = False
    """An earlier step of this run changed something here: later observations may have moved with it."""
    outputs: dict[str, dict[str, object]] = field(default_factory=dict)


@dataclass(slots=True)
class Attempt:
    """What is known while one step is applied."""

    planned: PlannedStep
    host: HostRun
    seen: Seen | None
    number: int = 0
    instance: Instance | None = None
    request: ChangeRequest | None = None
    outcome: Outcome | None = None
    after: Seen | None = None
    prior: Observation | None = None
    intended: bool = False
    timeout: float = 600.0
    parted: bool = False
    """What the step was about before is undone: the state's entry is about that, and gone."""
    remaining: tuple[str, ...] = ()
    scrub: Scrubber = field(default_factory=lambda: Scrubber(()))

    def valid_entry(self) -> StepState | None:
        """The state's entry, unless the host was reinstalled since or the step is about another object."""
        entry = None if self.parted else self.planned.entry
        if entry is not None and self.instance is not None and about_another(entry, self.rendered):
            return None
        machine = self.host.machine_id
        if entry is not None and entry.machine_id and machine and entry.machine_id != machine:
            return None
        return entry

    def secret(self, output: object) -> bool:
        """Whether an output is to be shown and kept nowhere."""
        return self.planned.instance.step.sensitive or self.scrub.text(str(output)) != str(output)

    @property
    def rendered(self) -> Rendered:
        """The step as it is applied."""
        assert self.instance is not None
        return self.instance.rendered

    @property
    def last_seen(self) -> Seen:
        """The latest observation before the action."""
        assert self.seen is not None
        return self.seen

    @property
    def acted(self) -> bool:
        """Whether the action ran."""
        return self.outcome is not None and self.outcome.acted


def removes(planned: PlannedStep) -> bool:
    """Whether the step left the spec, so that its object is undone rather than brought about."""
    return planned.change.action is ActionKind.DELETE and planned.change.reason in (
        Reason.REMOVED_FROM_SPEC,
        Reason.DESTROY,
    )


def alike(before: Comparison, now: Comparison) -> bool:
    """Whether two looks at the host call for the same."""
    return (before.action, before.changed, before.before) == (now.action, now.changed, now.before)


def moved(before: Comparison, now: Comparison) -> str:
    """That two looks are not alike, for a person: with the attributes that are others now, if any are."""
    was, found = before.before or {}, now.before or {}
    names = ", ".join(name for name in {**was, **found} if was.get(name) != found.get(name))
    named = f" ({names})" if names else ""
    return f"the host changed between the observation and the action{named}; nothing was done"


def plain_prior(observation: Observation, rendered: Rendered) -> Observation:
    """An observation as state may keep it: sensitive attributes and texts left out."""
    hidden = {*rendered.sensitive_attributes, "content"}
    attributes = {name: value for name, value in observation.attributes.items() if name not in hidden}
    extra = {name: value for name, value in observation.extra.items() if name not in hidden}
    return observation.model_copy(update={"attributes": attributes, "extra": extra})


def difference(rendered: Rendered, remaining: Comparison, observation: Observation) -> str:
    """What a step that did not converge left undone, in words."""
    unmet = rendered.executor.unmet(rendered.spec, observation)
    if unmet:
        return f"it ran without an error, and {unmet}"
    parts: list[str] = []
    for name in remaining.changed:
        if name in rendered.sensitive_attributes:
            parts.append(name)
            continue
        now = (remaining.before or {}).get(name)
        want = (remaining.after or {}).get(name)
        parts.append(f"{name} is {now!r}, not {want!r}")
    what = "; ".join(parts) or f"it would still need a {remaining.action.value}"
    return f"the step ran without an error, but did not converge: {what}"


def store_name(object_id: str, lineage: str) -> str:
    """The name of the object's backup directory on its host: it outlives renames of the step."""
    return hashlib.sha256(f"{lineage}\0{object_id}".encode()).hexdigest()[:32]
