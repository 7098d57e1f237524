"""Deciding about one step of one host: what was seen, what is wanted, what state recorded."""

from __future__ import annotations

from collections.abc import Mapping

from kubexms.plan.conceal import Concealer
from kubexms.plan.decide import Evidence, decide, summary_of
from kubexms.plan.flow import changed_before, explicit, outputs_of, runs_users_shell, same_object
from kubexms.plan.former import former_of
from kubexms.plan.inputs import input_digests
from kubexms.plan.model import PlanOptions
from kubexms.plan.questions import Seen
from kubexms.plan.rendered import Instance
from kubexms.plan.working import HostWork, PlannedStep
from kubexms.runtime.protocol import GuardMode
from kubexms.step.observation import Observation
from kubexms.step.registry import Registry


class Decider:
    """Puts together the evidence about a step, and the change that follows from it. Stateless."""

    def __init__(
        self,
        registry: Registry,
        conceal: Concealer,
        options: PlanOptions,
        *,
        previous: Mapping[str, str],
        phases: Mapping[str, tuple[str, ...]],
    ) -> None:
        """`previous`: addresses that `moved` renamed, to the old ones; `phases`: see `PlannedStep.phases`."""
        self._registry = registry
        self._conceal = conceal
        self._options = options
        self._previous = previous
        self._phases = phases

    def decide(
        self,
        work: HostWork,
        instance: Instance,
        sources: dict[str, tuple[str, ...]],
        scope: Mapping[str, object],
    ) -> PlannedStep:
        """The step's place in the plan; `sources` are the addresses it watches, by its names for them.

        What the steps before it come to is known from `work`.
        """
        answer = work.answer
        assert answer is not None
        address = str(instance.address)
        seen = answer.seen.get(address)
        notes: tuple[str, ...] = ()
        if seen is None:
            untrusted = self._options.untrusted and runs_users_shell(instance)
            why = "its check is not run with --untrusted" if untrusted else "it is not known yet what to ask"
            observation = Observation.unknown(why)
        elif not same_object(seen.rendered.spec, instance):
            observation = Observation.unknown("what to ask depends on facts that became known too late")
        else:
            if seen.record is not None and seen.rendered.spec != instance.rendered.spec:
                # facts became known after the question was put: the answer is read with them
                found = instance.rendered.executor.observe(instance.rendered.spec, seen.record)
                seen = answer.seen[address] = Seen(instance.rendered, seen.record, found, seen.guard)
            first = changed_before(work, instance)
            if first:
                not_yet = Observation.unknown(f"it is looked at when {first} has run")
                seen = answer.seen[address] = Seen(seen.rendered, None, not_yet, seen.guard)
            observation = seen.observation
            if seen.guard is GuardMode.UNAVAILABLE:
                notes = ("its check ran unguarded: the host offers no read-only guard to this user",)
        notes += observation.notes
        entry = work.entries.get(address)
        reads = instance.reads | instance.rendered.reads
        inputs = input_digests(reads, scope, self._conceal)
        pending = tuple(
            name
            for name, addresses in sources.items()
            if any(a in work.steps and work.steps[a].change.effective for a in addresses)
        )
        digests = {
            name: "+".join(
                work.steps[a].change.binding.observation or self._observed(work, a)
                for a in addresses
                if a in work.steps
            )
            for name, addresses in sources.items()
        }
        machine = str(answer.facts.get("machine_id", ""))
        former = former_of(entry, instance, work.siblings, machine, self._registry)
        if former is not None:
            notes += (f"{summary_of(former.rendered)} is undone first: the step was about that",)
        change = decide(
            Evidence(
                instance,
                observation,
                entry,
                work.intents.get(address),
                machine,
                pending,
                digests,
                inputs,
                replace=self._replaced(instance),
                notes=notes,
                former=former,
            ),
            self._conceal,
        )
        if address in self._previous:
            change = change.model_copy(update={"previous_address": self._previous[address]})
        data = tuple(a for addresses in sources.values() for a in addresses)
        return PlannedStep(
            change,
            instance,
            entry,
            work.intents.get(address),
            sources,
            inputs,
            depends_on=explicit(instance, work.siblings),
            phases=self._phases.get(instance.address.module, ()),
            data=tuple(dict.fromkeys(data + outputs_of(reads, work.name))),
            former=former,
        )

    def _observed(self, work: HostWork, address: str) -> str:
        step = work.steps[address]
        seen = work.answer.seen.get(address) if work.answer else None
        return self._conceal.observation_digest(step.instance.rendered, seen.observation) if seen else ""

    def _replaced(self, instance: Instance) -> bool:
        return any(instance.address.matches(pattern) for pattern in self._options.replace)
