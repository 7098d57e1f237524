"""Drift: what a host is against what was last applied to it, whatever the spec says now."""

from __future__ import annotations

import hashlib

from kubexms.plan.conceal import KEYED, Concealer, hide
from kubexms.plan.decide import TEXT_LIMIT, summary_of
from kubexms.plan.model import Change, Reason, TextDiff
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
    if answer is None:
        return []
    found: list[Change] = []
    for address, entry in comparable(work).items():
        seen = answer.applied.get(address)
        if seen is None:
            continue
        change = drift_of(address, entry, seen, conceal, ignored(work, address))
        if change is not None:
            found.append(change)
    return found


def comparable(work: HostWork) -> dict[str, StepState]:
    """The entries of a host that answered that can be held against it: finished, and of this installation."""
    answer = work.answer
    if answer is None or answer.error is not None:
        return {}
    machine = str(answer.facts.get("machine_id", ""))
    return {
        address: entry
        for address, entry in work.entries.items()
        if not entry.tainted
        and address not in work.intents
        and not (entry.machine_id and machine and entry.machine_id != machine)
    }


def not_observed(work: HostWork) -> dict[str, str]:
    """Comparable address -> why nothing can be said about it."""
    answer = work.answer
    found: dict[str, str] = {}
    for address in comparable(work):
        seen = answer.applied.get(address) if answer is not None else None
        if address in work.unaskable:
            found[address] = work.unaskable[address]
        elif seen is None:
            found[address] = "it was not asked about"
        elif seen.observation.presence is Presence.UNKNOWN:
            found[address] = seen.observation.reason
    return found


def drift_of(
    address: str, entry: StepState, seen: Seen, conceal: Concealer, ignore: tuple[str, ...] = ()
) -> Change | None:
    """The drift of one address, or None. `seen` answers about the last applied spec.

    An attribute drifted if it is neither as it was recorded nor as that spec wants it: what is allowed
    to move within the spec ("at least") is none.
    """
    executor, observation = seen.rendered.executor, seen.observation
    if observation.presence is Presence.UNKNOWN or executor.runs(seen.rendered.spec) != "observed":
        return None
    was_there = bool(entry.attributes)
    desired = seen.rendered.desired
    if observation.presence is Presence.ABSENT:
        if not was_there or desired is None:
            return None
        return _change(address, entry, seen, tuple(entry.attributes), ActionKind.DELETE)
    if not was_there:
        return (
            _change(address, entry, seen, tuple(observation.attributes), ActionKind.CREATE)
            if desired is None
            else None
        )
    changed: list[str] = []
    for name, recorded in entry.attributes.items():
        now = observation.attributes.get(name)
        if name in ignore or (now is None and isinstance(recorded, dict) and KEYED in recorded):
            continue
        redacted = conceal.same_redacted(recorded, now)
        as_recorded = redacted is True or (
            redacted is None and (recorded == now or executor.same(name, recorded, now))
        )
        wanted = desired is not None and name in desired and name not in seen.rendered.sensitive_attributes
        if not as_recorded and not (wanted and desired and executor.same(name, desired[name], now)):
            changed.append(name)
    return _change(address, entry, seen, tuple(changed), ActionKind.UPDATE) if changed else None


def _change(
    address: str, entry: StepState, seen: Seen, changed: tuple[str, ...], action: ActionKind
) -> Change:
    sensitive = {*seen.rendered.sensitive_attributes} | {
        name for name, value in entry.attributes.items() if isinstance(value, dict) and KEYED in value
    }
    if seen.rendered.sensitive & {*seen.rendered.executor.identity}:
        sensitive |= {*changed, *TEXTS}  # a step that is sensitive as a whole
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
        text=_text(seen, changed) if action is ActionKind.UPDATE and not sensitive & TEXTS else {},
        summary=summary_of(seen.rendered),
    )


TEXTS = frozenset({"sha256", "content"})
"""Attributes that stand for a text; where one is sensitive no text is shown."""


def _text(seen: Seen, changed: tuple[str, ...]) -> dict[str, TextDiff]:
    """The text that was applied and the one that is there, where both are at hand and short enough."""
    make = getattr(seen.rendered.executor, "desired_text", None)
    if make is None or not TEXTS & set(changed):
        return {}
    before, after = make(seen.rendered.spec), seen.observation.extra.get("content")
    if not isinstance(before, str) or not isinstance(after, str):
        return {}
    digest = (seen.rendered.desired or {}).get("sha256")
    if digest is not None and hashlib.sha256(before.encode()).hexdigest() != digest:
        return {}  # the controller's file is not any more the one that was applied
    if before == after or max(len(before), len(after)) > TEXT_LIMIT:
        return {}
    return {"content": TextDiff(before=before, after=after)}


def ignored(work: HostWork, address: str) -> tuple[str, ...]:
    """`ignoreChanges` of a step: the documents' word counts at once, without an apply."""
    step = work.steps.get(address)
    if step is not None:
        return step.instance.step.ignore_changes
    entry = work.entries.get(address)
    return entry.ignore_changes if entry is not None else ()
