"""What a plan asks of each host: first with the facts of last time, then again as far as new facts matter."""

from __future__ import annotations

from kubexms.config.project import LoadedProject
from kubexms.errors import ConfigError
from kubexms.plan.conceal import Concealer
from kubexms.plan.flow import asked_alike, mentions_facts, runs_users_shell
from kubexms.plan.instances import Instances
from kubexms.plan.lastapplied import besides, settle
from kubexms.plan.model import PlanOptions
from kubexms.plan.observe import HostAnswer
from kubexms.plan.passing import pass_on
from kubexms.plan.questions import Questioner, Questions
from kubexms.plan.recorded import leaving, recorded_instance
from kubexms.plan.rendered import Instance
from kubexms.plan.working import HostWork
from kubexms.spec.address import Address
from kubexms.state.model import StepState
from kubexms.step.registry import Registry


class Asker:
    """Makes the questions of one plan, and notes in each host's work what they are about. Not thread-safe."""

    def __init__(
        self,
        project: LoadedProject,
        registry: Registry,
        instances: Instances,
        conceal: Concealer,
        options: PlanOptions,
    ) -> None:
        self._registry = registry
        self._instances = instances
        self._conceal = conceal
        self._options = options
        self._questioner = Questioner()
        self._facts_matter = mentions_facts(project)
        self.recorded: dict[str, Instance] = {}
        """Address -> the step as it is asked about because state alone knows it."""

    def first(self, work: HostWork) -> Questions:
        """What can be asked before the host has told its facts: steps of the documents and of state."""
        self._expand(work)
        present = {str(instance.address) for instance in work.siblings}
        asked = list(work.siblings)
        for address, entry in work.recorded.items():
            if address not in present:
                instance = recorded_instance(entry, self._registry) or self._unchanged(work, entry)
                if instance is not None:
                    self.recorded[address] = leaving(instance)
                    asked.append(self.recorded[address])
        applied = besides(work, self.recorded, self._registry, self._conceal)
        trusted = {name: instance for name, instance in applied.items() if self._trusted([instance])}
        return self._questioner.ask_for(self._trusted(asked), trusted)

    def more(self, work: HostWork, answer: HostAnswer) -> Questions | None:
        """What the facts, now known, decide to ask besides or otherwise; None: nothing."""
        settle(work, answer)
        scopes = self._instances.scopes
        if not answer.facts or scopes.facts_of(work.name) == answer.facts:
            return None
        scopes.learn(work.name, answer.facts)
        if not self._has_documents(work) or not self._facts_matter:
            return None
        before = {str(instance.address): instance for instance in work.siblings}
        self._expand(work)
        changed = [
            instance
            for instance in work.siblings
            if not asked_alike(before.get(str(instance.address)), instance)
            and str(instance.address) not in self.recorded
        ]
        return self._questioner.ask_for(self._trusted(changed)) if changed else None

    def _has_documents(self, work: HostWork) -> bool:
        """Whether the documents want anything of the host in this plan."""
        return not work.removed and self._options.operation != "destroy"

    def _unchanged(self, work: HostWork, entry: StepState) -> Instance | None:
        """What the documents say, if that is still exactly what was applied: they know its secrets."""
        if work.removed or self._options.operation != "destroy":
            return None
        address = Address.parse(entry.address)
        for placement in self._instances.placements(work.host):
            if placement.path != f"{address.module}/{address.task}/{address.step}":
                continue
            try:
                found = self._instances.of_placement(work, placement)
            except ConfigError:
                continue  # who destroys need not mend the documents first
            for instance in found if isinstance(found, list) else ():
                same = instance.address == address and not instance.rendered.unknown
                if same and self._conceal.spec_digest(instance.rendered) == entry.spec_digest:
                    return instance
        return None

    def _expand(self, work: HostWork) -> None:
        """The host's instances with the facts known so far; what is unselected is not asked."""
        if not self._has_documents(work):
            return
        work.siblings, work.left_out = self._instances.of_host(work)
        if self._options.operation == "apply":
            pass_on(work)

    def _trusted(self, instances: list[Instance]) -> list[Instance]:
        """Those that may be asked about: of strangers' documents nothing is run, on no host."""
        if not self._options.untrusted:
            return instances
        return [instance for instance in instances if not runs_users_shell(instance)]
