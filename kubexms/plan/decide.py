"""The decision about one step on one host: which action, and for which reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kubexms.plan.compare import Comparison, compare
from kubexms.plan.conceal import Concealer, hide
from kubexms.plan.model import Binding, Change, Reason, TextDiff
from kubexms.plan.rendered import Instance, Rendered
from kubexms.state.digest import digest
from kubexms.state.model import Intent, StepState
from kubexms.step.contract import ActionKind, ChangeRequest, Disruption
from kubexms.step.observation import Observation, Presence

TEXT_LIMIT = 64 * 1024
"""Characters of each side of a text diff; longer texts are compared by digest only."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that the decision about one instance rests on."""

    instance: Instance
    observation: Observation
    entry: StepState | None = None
    intent: Intent | None = None
    machine_id: str = ""
    pending_sources: tuple[str, ...] = ()
    """Names of watched steps that have a change in this plan."""
    source_digests: Mapping[str, str] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)
    """What its templates read -> digest of the value now."""
    replace: bool = False
    notes: tuple[str, ...] = ()
    foreign_owner: str | None = None
    former: Instance | None = None
    """What the step was about before its fields named another object."""


def decide(evidence: Evidence, conceal: Concealer) -> Change:
    """The change (or no-op) for one instance."""
    instance, rendered = evidence.instance, evidence.instance.rendered
    executor, spec = rendered.executor, rendered.spec
    entry = _valid_entry(evidence)
    found = compare(rendered, evidence.observation, instance.step.ignore_changes if entry else ())
    policy = executor.runs(spec)
    triggered = _triggered_by(evidence, entry, conceal)
    if policy != "observed":
        found = _imperative(policy, found, evidence, entry, conceal, triggered)
    elif executor.imperative and found.action in (ActionKind.CREATE, ActionKind.UPDATE):
        found = Comparison(
            ActionKind.RUN, found.changed, found.before, found.after, found.after_unknown, found.waits_for
        )
    if found.action is ActionKind.NO_OP and triggered and rendered.desired is not None:
        action = ActionKind.RUN if executor.imperative else ActionKind.UPDATE
        found = Comparison(action, (), found.before, found.after)
    elif found.action is ActionKind.NO_OP and evidence.replace and rendered.desired is not None:
        found = Comparison(ActionKind.REPLACE, tuple(rendered.desired), found.before, rendered.desired)
    elif found.action is ActionKind.NO_OP and evidence.intent is not None and executor.resumes(spec):
        # what it did is there, and what it printed, or how it ended, has been taken by nobody
        found = Comparison(ActionKind.RUN, (), found.before, found.after)
    if evidence.former is not None and found.action is not ActionKind.REPLACE:
        found = Comparison(
            ActionKind.REPLACE, found.changed, found.before, found.after, found.after_unknown, found.waits_for
        )
    return _change(evidence, found, entry, triggered, conceal)


def _valid_entry(evidence: Evidence) -> StepState | None:
    """The state's entry, unless the host was reinstalled since: then nothing of it holds."""
    entry = evidence.entry
    if entry is None or _reinstalled(entry, evidence.machine_id):
        return None
    return entry


def _reinstalled(entry: StepState, machine_id: str) -> bool:
    return bool(entry.machine_id and machine_id and entry.machine_id != machine_id)


def _triggered_by(evidence: Evidence, entry: StepState | None, conceal: Concealer) -> tuple[str, ...]:
    instance, rendered = evidence.instance, evidence.instance.rendered
    if rendered.unknown_identity is not None:
        return ()
    names = list(evidence.pending_sources)
    if evidence.observation.presence is Presence.PRESENT:
        recorded = entry.remembered if entry else None
        stale = rendered.executor.stale(
            rendered.spec, evidence.observation, recorded, evidence.source_digests
        )
        names += [name for name in stale if name not in names]
    if instance.step.triggers and entry is not None:
        if instance.trigger_unknown is not None:
            names.append(instance.trigger_unknown)
        elif entry.trigger_digest not in ("", conceal.trigger_digest(instance), digest(instance.trigger)):
            names.append("triggers")
    return tuple(names)


def _imperative(
    policy: str,
    found: Comparison,
    evidence: Evidence,
    entry: StepState | None,
    conceal: Concealer,
    triggered: tuple[str, ...],
) -> Comparison:
    run = Comparison(
        ActionKind.RUN, ("run",), found.before, found.after, found.after_unknown, found.waits_for
    )
    if policy == "always" or entry is None:
        return run
    if policy == "on-change" and (
        triggered or entry.spec_digest != conceal.spec_digest(evidence.instance.rendered)
    ):
        return run
    return Comparison(ActionKind.NO_OP, (), found.before, found.before)


def _reason(
    evidence: Evidence,
    found: Comparison,
    entry: StepState | None,
    triggered: tuple[str, ...],
    conceal: Concealer,
) -> tuple[Reason, tuple[str, ...]]:
    """Why, and the names that go with it: a restart that is due is not forgotten over another reason."""
    if evidence.replace:
        return Reason.REPLACE_REQUESTED, triggered
    if evidence.intent is not None and evidence.intent.living:
        return Reason.IN_PROGRESS, ()
    if evidence.intent is not None or (entry is not None and entry.tainted):
        return Reason.INTERRUPTED, triggered
    if evidence.entry is not None and entry is None:
        return Reason.REINSTALLED, triggered
    if entry is None:
        return Reason.NEW, triggered
    rendered = evidence.instance.rendered
    if entry.spec_digest != conceal.spec_digest(rendered):
        names = sorted(
            name
            for name, value in evidence.inputs.items()
            if name.startswith(("facts.", "outputs.")) and entry.inputs.get(name, value) != value
        )
        names += [waits for waits in found.waits_for if waits not in names]
        return (Reason.INPUTS_CHANGED, tuple(names)) if names else (Reason.SPEC_CHANGED, triggered)
    if rendered.executor.runs(rendered.spec) == "always":
        return Reason.TRIGGERED, (*triggered, "runs: always")
    if found.changed and not triggered:
        if found.waits_for:
            return Reason.INPUTS_CHANGED, found.waits_for
        blind = evidence.observation.presence is Presence.UNKNOWN
        return (Reason.UNOBSERVED if blind else Reason.DRIFT), ()
    if (
        found.changed
        and conceal.observation_digest(rendered, evidence.observation) != entry.observation_digest
    ):
        return Reason.DRIFT, triggered
    return Reason.TRIGGERED, triggered


def _change(
    evidence: Evidence,
    found: Comparison,
    entry: StepState | None,
    triggered: tuple[str, ...],
    conceal: Concealer,
) -> Change:
    instance, rendered, observation = evidence.instance, evidence.instance.rendered, evidence.observation
    effective = found.action is not ActionKind.NO_OP
    reason, names = _reason(evidence, found, entry, triggered, conceal) if effective else (None, ())
    sensitive = rendered.sensitive_attributes
    if instance.step.sensitive:
        sensitive = frozenset({*(found.before or {}), *(found.after or {}), "content"})
    action = found.action
    if evidence.former is not None:  # that is undone, and not what the step is about now
        action = ActionKind.CREATE if observation.presence is Presence.ABSENT else ActionKind.UPDATE
    request = ChangeRequest(action, observation, frozenset(found.changed), triggered)
    known = rendered.unknown_identity is None
    disruption = (
        rendered.executor.disruption(rendered.spec, request) if effective and known else Disruption.NONE
    )
    if _loses_former(evidence):
        disruption = Disruption.DATA_LOSS
    text = _text(rendered, observation, found, sensitive) if effective else {}
    return Change.model_construct(
        address=str(instance.address),
        kind=rendered.executor.kind,
        action=found.action,
        reason=reason,
        before=hide(found.before, sensitive),
        after=hide(found.after, sensitive),
        after_unknown=found.after_unknown,
        sensitive=tuple(sorted(sensitive & {*(found.before or {}), *(found.after or {})})),
        changed=found.changed,
        text=text,
        disruption=disruption,
        triggered_by=names,
        unknown=observation.reason if effective and observation.presence is Presence.UNKNOWN else "",
        notes=(*evidence.notes, *_remarks(rendered, found, reason)) if effective else evidence.notes,
        summary=summary_of(rendered),
        binding=Binding.model_construct(
            spec=conceal.spec_digest(rendered),
            observation=conceal.observation_digest(rendered, observation),
            state=digest(evidence.entry.to_json()) if evidence.entry else "",
        )
        if effective
        else Binding(),
    )


def _loses_former(evidence: Evidence) -> bool:
    """Whether data may go with what the step was about before; what is there of it is not asked."""
    if evidence.former is None or evidence.entry is None:
        return False
    former, before = evidence.former.rendered, Observation.unknown("it is not asked about any more")
    request = ChangeRequest(ActionKind.DELETE, before, prior=evidence.entry.prior)
    return former.executor.disruption(former.spec, request) is Disruption.DATA_LOSS


def summary_of(rendered: Rendered) -> str:
    """What identifies the object, for a person."""
    if rendered.unknown_identity is not None:
        return ""
    plain = not rendered.sensitive and not rendered.unknown
    said = rendered.executor.summary(rendered.spec) if plain else ""
    if said:
        return said
    values = (
        getattr(rendered.spec, name) for name in rendered.executor.identity if name not in rendered.sensitive
    )
    flat = (
        ", ".join(map(str, value)) if isinstance(value, tuple) else str(value) for value in values if value
    )
    return " ".join(flat)


def _remarks(rendered: Rendered, found: Comparison, reason: Reason | None) -> tuple[str, ...]:
    """What the change itself does not tell: what it waits for, and why something is hidden."""
    waits = () if reason is Reason.INPUTS_CHANGED else found.waits_for
    return (*((f"waits for {', '.join(waits)}",) if waits else ()), *_why_hidden(rendered, found))


def _why_hidden(rendered: Rendered, found: Comparison) -> tuple[str, ...]:
    """Said where something would be shown if it were not for the kind's own prudence."""
    if rendered.unknown_identity is not None or not rendered.sensitive_attributes & {*found.changed}:
        return ()
    own = rendered.executor.secrets_from(rendered.spec)
    why = rendered.executor.why_hidden(rendered.spec)
    return (why,) if why and rendered.sensitive_attributes == own else ()


def _text(
    rendered: Rendered, observation: Observation, found: Comparison, sensitive: frozenset[str]
) -> dict[str, TextDiff]:
    """The line diff of a file-like object, where both sides are text of reasonable size and may be seen."""
    make = getattr(rendered.executor, "desired_text", None)
    said = observation.extra.get("wanted")  # what the host itself says that it would become
    if (make is None and said is None) or sensitive & {"sha256", "content"} or found.after_unknown:
        return {}
    after = None
    if found.action is not ActionKind.DELETE:
        after = said if make is None else make(rendered.spec)
    before = observation.extra.get("content")
    before = before if isinstance(before, str) else None
    if observation.presence is Presence.PRESENT and before is None and found.action is not ActionKind.CREATE:
        return {}
    if not isinstance(after, str) and after is not None:
        return {}
    if before == after or len(before or "") > TEXT_LIMIT or len(after or "") > TEXT_LIMIT:
        return {}
    return {"content": TextDiff(before=before, after=after)}
