"""The generic differ: desired against observed attributes, for every kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import JsonValue

from kubexms.plan.rendered import Rendered
from kubexms.step.contract import ActionKind
from kubexms.step.observation import Observation, Presence


@dataclass(frozen=True, slots=True)
class Comparison:
    """What differs between a host and the spec."""

    action: ActionKind
    changed: tuple[str, ...] = ()
    before: Mapping[str, JsonValue] | None = None
    after: Mapping[str, JsonValue] | None = None
    after_unknown: tuple[str, ...] = ()
    waits_for: tuple[str, ...] = ()


def compare(rendered: Rendered, observation: Observation, ignore: tuple[str, ...] = ()) -> Comparison:
    """Compare one object. Only desired attributes count; those in `ignore` only on creation.

    An unknown attribute counts as different: nobody can say that it will not change. An unknown
    observation gives an update with everything after it unknown, unless the object is to be absent.
    """
    if rendered.unknown_identity is not None:
        names = tuple(rendered.desired or ())
        return Comparison(ActionKind.CREATE, names, None, {}, names, (rendered.unknown_identity,))
    desired, unknown = rendered.desired, rendered.unknown_attributes
    if observation.presence is Presence.UNKNOWN:
        action = ActionKind.DELETE if desired is None else ActionKind.UPDATE
        return Comparison(action, tuple(desired or ()), None, dict(desired or {}) or None)
    if desired is None:
        if observation.presence is Presence.ABSENT:
            return Comparison(ActionKind.NO_OP)
        return Comparison(ActionKind.DELETE, tuple(observation.attributes), observation.attributes)
    known = {name: value for name, value in desired.items() if name not in unknown}
    later = tuple(name for name in desired if name in unknown)
    waits = tuple(sorted(set(unknown.values()))) if later else ()
    if observation.presence is Presence.ABSENT:
        return Comparison(ActionKind.CREATE, tuple(desired), None, known, later, waits)
    seen = observation.attributes
    same = rendered.executor.same
    changed = tuple(
        name
        for name, value in desired.items()
        if name not in ignore and (name in unknown or name not in seen or not same(name, value, seen[name]))
    )
    before = {name: seen[name] for name in desired if name in seen}
    later = tuple(name for name in later if name not in ignore)
    if not changed:
        return Comparison(ActionKind.NO_OP, (), before, before)
    settled = {**before, **{name: known[name] for name in changed if name in known}}
    after = {name: settled[name] for name in desired if name in settled and name not in later}
    replaces = rendered.executor.replaces(rendered.spec, observation, frozenset(changed))
    action = ActionKind.REPLACE if replaces else ActionKind.UPDATE
    return Comparison(action, changed, before, after, later, waits if later else ())
