"""What is in state and no longer in the spec: delete what left it, forget what a fact deselected."""

from __future__ import annotations

from collections.abc import Mapping

from kubexms.plan.conceal import Concealer, hide
from kubexms.plan.decide import summary_of
from kubexms.plan.model import Binding, Change, Reason
from kubexms.plan.recorded import unreadable_instance, why_unreadable
from kubexms.plan.rendered import Instance, Unselected
from kubexms.plan.working import HostWork, PlannedStep
from kubexms.spec.address import Address
from kubexms.state.digest import digest
from kubexms.state.model import StepState
from kubexms.step.contract import ActionKind, ChangeRequest, Disruption
from kubexms.step.observation import Observation, Presence


def removals(
    work: HostWork, recorded: Mapping[str, Instance], conceal: Concealer, *, destroy: bool = False
) -> list[PlannedStep]:
    """Deletes and forgets for the entries of one host that nothing in the spec accounts for.

    `recorded` are the entries' steps as far as they could be rendered again. Call it last, when
    `work.steps` holds every step of the spec (for `destroy`: none).
    """
    planned: list[PlannedStep] = []
    managed = {
        step.instance.rendered.object_id: name
        for name, step in work.steps.items()
        if step.instance.rendered.unknown_identity is None
    }
    unselected = {item.path: item for item in work.unselected}
    for address, entry in work.recorded.items():
        if address in work.steps:
            continue
        reason = _why(address, unselected, destroy=destroy)
        if reason is not None:
            heir = managed.get(entry.object_id)
            instance = recorded.get(address)
            left = _beside_others(work, entry, instance)
            step = _removal(
                work, address, left, instance, reason, conceal, heir, state=digest(entry.to_json())
            )
            planned.append(step)
    return planned


def _beside_others(work: HostWork, entry: StepState, instance: Instance | None) -> StepState:
    """The entry, with what its undo may bring back while the steps of the spec stay."""
    if entry.prior is None or instance is None:
        return entry
    executor = instance.rendered.executor
    staying = [
        step.instance.rendered.spec
        for step in work.steps.values()
        if step.instance.rendered.executor.kind == executor.kind
        and step.instance.rendered.unknown_identity is None
    ]
    prior = executor.unclaimed(entry.prior, staying)
    return entry if prior is entry.prior else entry.model_copy(update={"prior": prior})


def _why(address: str, unselected: Mapping[str, Unselected], *, destroy: bool) -> Reason | None:
    if destroy:
        return Reason.DESTROY
    parsed = Address.parse(address)
    found = unselected.get(f"{parsed.module}/{parsed.task}/{parsed.step}")
    if found is None:
        return Reason.REMOVED_FROM_SPEC
    if found.unknown is not None:
        return None
    return Reason.DESELECTED if found.by_fact else Reason.REMOVED_FROM_SPEC


def _removal(
    work: HostWork,
    address: str,
    entry: StepState,
    instance: Instance | None,
    reason: Reason,
    conceal: Concealer,
    heir: str | None,
    *,
    state: str,
) -> PlannedStep:
    answer = work.answer
    seen = answer.seen.get(address) if answer is not None else None
    observation = seen.observation if seen else Observation.unknown("not asked")
    machine = str(answer.facts.get("machine_id", "")) if answer else ""
    action, note = _action(entry, instance, reason, observation, machine)
    if heir is not None:
        action, note = ActionKind.FORGET, f"{heir} manages it now; `moved` would have kept its history"
    sensitive = instance.rendered.sensitive_attributes if instance else frozenset(entry.attributes)
    before = observation.attributes if observation.presence is Presence.PRESENT else None
    shown = {name: before[name] for name in entry.attributes if name in before} if before else None
    after = None
    if action is ActionKind.DELETE and _comes_back(entry, instance):
        assert entry.prior is not None
        was = entry.prior.attributes
        after = {name: was[name] for name in (was if shown is None else shown) if name in was}
        note = note or "what was there before comes back"
    change = Change(
        address=address,
        kind=entry.kind,
        action=action,
        reason=reason,
        before=hide(shown, sensitive),
        after=hide(after, sensitive),
        sensitive=tuple(sorted(sensitive & {*(shown or {}), *(after or {})})),
        changed=tuple(shown or after or ()),
        unknown=observation.reason if observation.presence is Presence.UNKNOWN else "",
        notes=((note,) if note else ()) + (observation.notes if action is ActionKind.DELETE else ()),
        disruption=undoing(instance, entry, observation) if action is ActionKind.DELETE else Disruption.NONE,
        summary=summary_of(instance.rendered) if instance else "",
        binding=Binding(
            spec=entry.spec_digest,
            observation=conceal.observation_digest(instance.rendered, observation) if instance else "",
            state=state,
        ),
    )
    placeholder = instance or unreadable_instance(entry)
    return PlannedStep(change, placeholder, entry, work.intents.get(address))


def _comes_back(entry: StepState, instance: Instance | None) -> bool:
    """Whether there was something before that the removal puts back."""
    was_there = entry.prior is not None and entry.prior.presence is Presence.PRESENT
    return was_there and instance is not None and instance.rendered.executor.puts_back


def undoing(instance: Instance | None, entry: StepState, observation: Observation) -> Disruption:
    """What it interrupts that a step is undone."""
    if instance is None or observation.presence is Presence.ABSENT:
        return Disruption.NONE
    changed = frozenset(observation.attributes)
    request = ChangeRequest(ActionKind.DELETE, observation, changed, prior=entry.prior)
    return instance.rendered.executor.disruption(instance.rendered.spec, request)


def _action(
    entry: StepState, instance: Instance | None, reason: Reason, observation: Observation, machine: str
) -> tuple[ActionKind, str]:
    if reason is Reason.DESELECTED:
        return ActionKind.FORGET, "a fact no longer selects this step; the host keeps what it has"
    if instance is None:
        return ActionKind.FORGET, f"{why_unreadable(entry)}; the host keeps what it has"
    if not entry.touched:
        return ActionKind.FORGET, "it was already there when kubexms adopted it; the host keeps it"
    if entry.machine_id and machine and entry.machine_id != machine:
        return ActionKind.FORGET, "the host was reinstalled since; there is nothing of it to undo"
    if not instance.rendered.executor.can_undo:
        return ActionKind.FORGET, f"a {entry.kind} cannot be undone; the host keeps what it has"
    prior = entry.prior or Observation.absent()
    if instance.rendered.executor.undo(instance.rendered.spec, prior) is None:
        return ActionKind.FORGET, f"this {entry.kind} has no undo; the host keeps what it has"
    if observation.presence is Presence.ABSENT and prior.presence is Presence.ABSENT:
        return ActionKind.DELETE, "it is gone already; only its record and backup are removed"
    return ActionKind.DELETE, ""
