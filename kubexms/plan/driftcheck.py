"""Drift: what a host is against what was last applied to it, whatever the spec says now."""

from __future__ import annotations

from kubexms.plan.conceal import Concealer, hide
from kubexms.plan.decide import summary_of
from kubexms.plan.model import Change, Reason
from kubexms.plan.questions import Seen
from kubexms.plan.working import HostWork
from kubexms.state.model import StepState
from kubexms.step.contract import ActionKind
from kubexms.step.observation import Presence


def drifted(work: HostWork, conceal: Concealer) -> list[Change]:
    """The drift of one host, as changes from the recorded attributes to the observed ones.

    Unknown observations, tainted entries and reinstalled hosts are no drift: other reasons speak for them.
    """
    answer = work.answer
    if answer is None or answer.error is not None:
        return []
    machine = str(answer.facts.get("machine_id", ""))
    found: list[Change] = []
    for address, entry in work.entries.items():
        seen = answer.seen.get(address)
        if seen is None or entry.tainted or address in work.intents:
            continue
        if entry.machine_id and machine and entry.machine_id != machine:
            continue
        change = drift_of(address, entry, seen, conceal, _ignored(work, address))
        if change is not None:
            found.append(change)
    return found


def drift_of(
    address: str, entry: StepState, seen: Seen, conceal: Concealer, ignore: tuple[str, ...] = ()
) -> Change | None:
    """The drift of one address, or None."""
    executor, observation = seen.rendered.executor, seen.observation
    if observation.presence is Presence.UNKNOWN or executor.runs(seen.rendered.spec) != "observed":
        return None
    was_there = bool(entry.attributes)
    if observation.presence is Presence.ABSENT:
        if not was_there:
            return None
        return _change(address, entry, seen, tuple(entry.attributes), ActionKind.DELETE)
    if not was_there:
        wanted_absent = executor.desired(seen.rendered.spec) is None
        return (
            _change(address, entry, seen, tuple(observation.attributes), ActionKind.CREATE)
            if wanted_absent
            else None
        )
    changed: list[str] = []
    for name, recorded in entry.attributes.items():
        if name in ignore:
            continue
        now = observation.attributes.get(name)
        redacted = conceal.same_redacted(recorded, now)
        if redacted is False or (
            redacted is None and not (recorded == now or executor.same(name, recorded, now))
        ):
            changed.append(name)
    return _change(address, entry, seen, tuple(changed), ActionKind.UPDATE) if changed else None


def _change(
    address: str, entry: StepState, seen: Seen, changed: tuple[str, ...], action: ActionKind
) -> Change:
    sensitive = {*seen.rendered.sensitive_attributes} | {
        name for name, value in entry.attributes.items() if isinstance(value, dict) and "$keyed" in value
    }
    now = {name: seen.observation.attributes.get(name) for name in changed}
    was = {name: entry.attributes.get(name) for name in changed}
    return Change(
        address=address,
        kind=entry.kind,
        action=action,
        reason=Reason.DRIFT,
        before=hide(was, sensitive) if action is not ActionKind.CREATE else None,
        after=hide(now, sensitive) if action is not ActionKind.DELETE else None,
        sensitive=tuple(sorted(sensitive & set(changed))),
        changed=changed,
        summary=summary_of(seen.rendered),
    )


def _ignored(work: HostWork, address: str) -> tuple[str, ...]:
    step = work.steps.get(address)
    return step.instance.step.ignore_changes if step is not None else ()
