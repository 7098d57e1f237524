"""Steps that were changed to be about another object: a file step with another path."""

from __future__ import annotations

from collections.abc import Iterable

from kubexms.plan.recorded import recorded_instance
from kubexms.plan.rendered import Instance, Rendered
from kubexms.state.model import StepState
from kubexms.step.observation import Observation
from kubexms.step.registry import Registry


def former_of(
    entry: StepState | None, now: Instance, siblings: Iterable[Instance], machine: str, registry: Registry
) -> Instance | None:
    """What a step was about, if kubexms made that, it can be undone, and no step is about it now.

    None also for kinds that leave the object before alone (`StepExecutor.parts`), and after the host was
    reinstalled.
    """
    rendered = now.rendered
    if entry is None or not entry.touched or not entry.object_id or rendered.unknown_identity is not None:
        return None
    alike = entry.kind == rendered.executor.kind and rendered.executor.parts
    elsewhere = bool(entry.machine_id and machine and entry.machine_id != machine)
    if not alike or elsewhere or entry.object_id == rendered.object_id:
        return None
    others = (other.rendered for other in siblings if other.rendered.unknown_identity is None)
    if any(other.object_id == entry.object_id for other in others):
        return None
    former = recorded_instance(entry, registry)
    if former is None:
        return None
    prior = entry.prior or Observation.absent()
    return former if former.rendered.executor.undo(former.rendered.spec, prior) is not None else None


def about_another(entry: StepState, rendered: Rendered) -> bool:
    """Whether an entry tells of another object than the step's, of a kind that leaves that one alone.

    What was there before kubexms is then not known of this one: a user that was there must not go with
    the step because another user was made by it.
    """
    names = rendered.executor.identity
    if rendered.executor.parts or rendered.unknown_identity is not None or len(names) != 1:
        return False
    names_one = isinstance(getattr(rendered.spec, names[0]), str)
    return names_one and entry.object_id not in ("", rendered.object_id)
