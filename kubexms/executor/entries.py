"""State entries from what was planned and observed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from kubexms.plan.conceal import Concealer
from kubexms.plan.working import PlannedStep
from kubexms.state.model import Intent, StepState
from kubexms.step.observation import Observation


def adopted_entry(
    planned: PlannedStep,
    observation: Observation,
    conceal: Concealer,
    *,
    run: str,
    machine_id: str,
    order: int,
    source: str = "",
    source_digests: Mapping[str, str] | None = None,
    previous: StepState | None = None,
) -> StepState:
    """The entry of a step that is as desired. Keeps what `previous` knew of prior, outputs and order."""
    instance = planned.instance
    rendered = instance.rendered
    compared = conceal.compared(rendered, observation)
    return StepState(
        address=planned.change.address,
        kind=rendered.executor.kind,
        spec=conceal.spec(rendered),
        spec_digest=conceal.spec_digest(rendered),
        prior=previous.prior if previous else None,
        touched=previous.touched if previous else False,
        observation_digest=conceal.observation_digest(rendered, observation),
        attributes=conceal.redact(compared, rendered.sensitive_attributes),
        outputs=previous.outputs if previous else {},
        inputs=planned.inputs,
        remembered=rendered.executor.remember(rendered.spec, observation, source_digests or {}),
        trigger_digest=conceal.trigger_digest(instance),
        ignore_changes=instance.step.ignore_changes,
        depends_on=(*planned.depends_on, *planned.data, *planned.phases),
        object_id=rendered.object_id,
        machine_id=machine_id,
        order=order,
        run=run,
        updated=datetime.now(UTC),
        source=source,
    )


def resolved_entry(entry: StepState, intent: Intent | None, observation: Observation) -> StepState:
    """The entry of a step found right whose last run never recorded how it ended.

    If the host is not as it was before that run, the run did it: its prior is kept, so that what
    kubexms made is not taken for what was there before.
    """
    if intent is None or entry.touched or intent.object_id != entry.object_id:
        return entry
    prior = intent.prior
    same = prior is not None and prior.presence == observation.presence
    if (
        same
        and prior is not None
        and all(observation.attributes.get(n) == v for n, v in prior.attributes.items())
    ):
        return entry
    return entry.model_copy(update={"touched": True, "prior": prior})


def applied_entry(entry: StepState, *, prior: Observation | None, outputs: Mapping[str, str]) -> StepState:
    """The entry of a step that kubexms has just changed on its host."""
    kept: dict[str, object] = {"touched": True, "prior": prior}
    if outputs:
        kept["outputs"] = dict(outputs)
    return entry.model_copy(update=kept)


def reverted_entry(entry: StepState, previous: StepState | None) -> StepState:
    """The entry of a step that was put back as it was last applied: new is only what was seen of it, or said.

    What the documents say by now (triggers, inputs, dependencies) has not been applied by that.
    """
    if previous is None:
        return entry
    new = ("observation_digest", "attributes", "remembered", "run", "updated", "machine_id")
    kept = ("prior", "touched", "tainted", "outputs")
    return previous.model_copy(update={name: getattr(entry, name) for name in (*new, *kept)})
