"""Steps found already right: recorded too, so that drift can be told from them later."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime

from kubexms.executor.entries import adopted_entry, resolved_entry
from kubexms.plan.conceal import Concealer
from kubexms.plan.former import about_another
from kubexms.plan.model import Plan
from kubexms.plan.working import HostWork, Planned, PlannedStep
from kubexms.state.model import HostState, StepState
from kubexms.step.observation import Observation, Presence


def next_order(planned: Planned) -> int:
    """The sequence number for the first new entry."""
    return max((entry.order for entry in planned.snapshot.steps.values()), default=0) + 1


def observation_of(work: HostWork, address: str) -> Observation | None:
    """What was seen of a step, if it was."""
    seen = work.answer.seen.get(address) if work.answer is not None else None
    return seen.observation if seen is not None else None


def observed_digests(planned: Planned) -> Iterator[tuple[str, str]]:
    """Observation digests of every step that was seen."""
    for work in planned.hosts.values():
        for address, step in work.steps.items():
            observation = observation_of(work, address)
            rendered = step.instance.rendered
            if observation is not None and rendered.unknown_identity is None:
                yield address, planned.conceal.observation_digest(rendered, observation)


def adoptions(planned: Planned, selected: set[str], *, run: str, first_order: int) -> list[StepState]:
    """Entries for steps that need nothing and that state does not know, or knows otherwise."""
    found: list[StepState] = []
    order = first_order
    for work in planned.hosts.values():
        machine = str(work.answer.facts.get("machine_id", "")) if work.answer else ""
        for address, step in work.steps.items():
            observation = observation_of(work, address)
            if address not in selected or step.change.effective or observation is None:
                continue
            if observation.presence is Presence.UNKNOWN:
                continue
            previous = step.entry
            if previous is not None and previous.machine_id and machine and previous.machine_id != machine:
                previous = None
            if previous is not None and about_another(previous, step.instance.rendered):
                previous = None
            sources = _source_digests(planned, work, step)
            if (
                previous is not None
                and step.intent is None
                and not _differs(step, previous, observation, planned.conceal)
                and not _knows_more(step, previous, observation, sources)
            ):
                continue
            entry = adopted_entry(
                step,
                observation,
                planned.conceal,
                run=run,
                machine_id=machine,
                order=previous.order if previous else order,
                source_digests=sources,
                previous=previous,
            )
            found.append(resolved_entry(entry, step.intent, observation))
            order += 0 if previous else 1
    return found


def _differs(step: PlannedStep, entry: StepState, observation: Observation, conceal: Concealer) -> bool:
    rendered = step.instance.rendered
    return (
        entry.spec_digest != conceal.spec_digest(rendered)
        or entry.observation_digest != conceal.observation_digest(rendered, observation)
        or entry.inputs != step.inputs
        or entry.tainted
        or entry.trigger_digest != conceal.trigger_digest(step.instance)
    )


def _knows_more(
    step: PlannedStep, entry: StepState, observation: Observation, sources: Mapping[str, str]
) -> bool:
    """Whether the kind would remember something else by now, and makes use of that when it asks."""
    rendered = step.instance.rendered
    if not rendered.executor.recalls or rendered.unknown_identity is not None:
        return False
    return rendered.executor.remember(rendered.spec, observation, sources) != entry.remembered


def _source_digests(planned: Planned, work: HostWork, step: PlannedStep) -> dict[str, str]:
    digests: dict[str, str] = {}
    for name, addresses in step.sources.items():
        parts: list[str] = []
        for address in addresses:
            source, observation = work.steps.get(address), observation_of(work, address)
            if source is None or observation is None:
                parts.append("")
            else:
                parts.append(planned.conceal.observation_digest(source.instance.rendered, observation))
        digests[name] = "+".join(parts)
    return digests


def host_states(planned: Planned, now: datetime) -> list[HostState]:
    """What is remembered of every host that answered."""
    return [
        HostState(
            name=work.name,
            connection=work.host.connection.to_json(),
            machine_id=str(work.answer.facts.get("machine_id", "")),
            facts=dict(work.answer.facts),
            facts_at=now,
            missed_at=_missed_at(planned, work.name),
        )
        for work in planned.hosts.values()
        if work.usable and work.answer is not None and not work.removed
    ]


def _missed_at(planned: Planned, host: str) -> datetime | None:
    known = planned.snapshot.hosts.get(host)
    return known.missed_at if known is not None else None


def attendance(
    hosts: Iterable[HostState], missed: Collection[str], plan: Plan, now: datetime
) -> list[HostState]:
    """The hosts of an apply whose record of having missed one changes by it.

    Who took part in all of a whole plan has caught up; a narrowed one (`--target`) makes up for nothing.
    Who was left out by `--limit` has missed it.
    """
    narrowed = bool(plan.options.targets or plan.options.excludes)
    present = {report.name for report in plan.hosts}
    gone = {removal.host for removal in plan.removals}
    found: list[HostState] = []
    for host in hosts:
        if host.name in gone:
            continue
        at = now if host.name in missed or host.name not in present else host.missed_at if narrowed else None
        if at != host.missed_at:
            found.append(host.model_copy(update={"missed_at": at}))
    return found
