"""The planner: observe all hosts, decide about every step, and put it into one plan."""

from __future__ import annotations

from kubexms.config.project import LoadedProject
from kubexms.config.secrets import SecretResolver
from kubexms.plan.asking import Asker
from kubexms.plan.checks import check, kept, losing, never_known, reviewed
from kubexms.plan.conceal import Concealer
from kubexms.plan.deciding import Decider
from kubexms.plan.expand import Placement
from kubexms.plan.flow import flow, undecidable
from kubexms.plan.instances import Instances
from kubexms.plan.model import PlanOptions
from kubexms.plan.observe import Connector, HostAnswer, observe_all
from kubexms.plan.odds import at_odds
from kubexms.plan.order import phases_before
from kubexms.plan.recorded import apply_moves
from kubexms.plan.removals import removals
from kubexms.plan.rendered import Unselected
from kubexms.plan.roster import roster
from kubexms.plan.working import HostWork, Planned
from kubexms.state.model import StateSnapshot
from kubexms.step.registry import Registry


class PlanListener:
    """Is told of hosts being asked. Override what is of interest; called in the planner's thread."""

    def started(self, host: str) -> None:
        """A host is being asked."""

    def finished(self, answer: HostAnswer) -> None:
        """A host has answered, or not."""


class Planner:
    """Makes one plan. Not thread-safe; use once."""

    def __init__(
        self,
        project: LoadedProject,
        registry: Registry,
        snapshot: StateSnapshot,
        conceal: Concealer,
        connector: Connector,
        options: PlanOptions,
        *,
        resolver: SecretResolver,
        parallelism: int,
        listener: PlanListener | None = None,
    ) -> None:
        """Raises `PlanError` for options that match no host."""
        self._project = project
        self._connector = connector
        self._parallelism = parallelism
        self._listener = listener or PlanListener()
        self._options = options
        self._destroy = options.operation == "destroy"
        moved, previous = apply_moves(snapshot, project.pipeline.moved)
        self._planned = Planned(roster(project.inventory.hosts, moved, options), moved, previous, conceal)
        self.instances = Instances(project, registry, moved, self._planned.hosts, resolver)
        """Stays of use when the plan is made: to render steps again while it is applied."""
        self._asker = Asker(project, registry, self.instances, conceal, options)
        phases = phases_before(project.pipeline)
        self._decider = Decider(registry, conceal, options, previous=previous, phases=phases)

    def plan(self) -> Planned:
        """Observe and decide. A host that fails is reported, not raised.

        Raises `ConfigError` and `PlanError`.
        """
        planned = self._planned
        self._observe_all()
        if not self._destroy:
            self._decide_all()
            planned.diagnostics += never_known(planned.hosts)
            planned.diagnostics += at_odds(planned.hosts)
        self._remove_all()
        planned.diagnostics += reviewed(planned.hosts)
        return planned

    def _observe_all(self) -> None:
        works = self._planned.hosts
        asked = [name for name, work in works.items() if work.host.maintenance is None or work.removed]
        answers = observe_all(
            asked,
            self._connector,
            prepare=lambda host: self._asker.first(works[host]),
            again=lambda answer: self._asker.more(works[answer.host], answer),
            parallelism=self._parallelism,
            deadline=self._project.spec.plan_deadline,
            started=self._listener.started,
            finished=self._listener.finished,
        )
        for name, answer in answers.items():
            works[name].answer = answer

    def _decide_all(self) -> None:
        """Step by step in the order of the document, on every host: outputs and facts flow forward."""
        works = self._planned.hosts
        order: dict[tuple[int, int, int], list[Placement]] = {}
        modules = {id(m): i for i, m in enumerate(self._project.pipeline.modules)}
        tasks = {id(t): i for m in self._project.pipeline.modules for i, t in enumerate(m.tasks)}
        for work in works.values():
            if work.usable and not work.removed:
                for placement in self.instances.placements(work.host):
                    key = (modules[id(placement.module)], tasks[id(placement.task)], placement.position)
                    order.setdefault(key, []).append(placement)
        for key in sorted(order):
            for placement in order[key]:
                self._decide(works[placement.host], placement)

    def _decide(self, work: HostWork, placement: Placement) -> None:
        planned = self._planned
        result = self.instances.of_placement(work, placement)
        if isinstance(result, Unselected):
            work.unselected.append(result)
            if result.unknown is not None:
                planned.diagnostics.append(undecidable(result))
            return
        for instance in result:
            bound = self.instances.bound(work, instance)
            scope = self.instances.scope(work, placement.module.name)
            step = self._decider.decide(work, bound.instance, bound.sources, scope)
            work.steps[step.change.address] = step
            lineage = planned.snapshot.meta.lineage
            planned.diagnostics += check(work, step, lineage, self._options.allow_destroy)
            flow(work, step)

    def _remove_all(self) -> None:
        """What state knows and the documents do not, or all of it."""
        planned = self._planned
        protected = self._protected()
        for work in planned.hosts.values():
            if work.usable:
                for step in removals(work, self._asker.recorded, planned.conceal, destroy=self._destroy):
                    work.steps[step.change.address] = step
                    place = step.instance.address
                    if (place.module, place.task, place.step) in protected:
                        planned.diagnostics += kept(step)
                    if not self._destroy and not work.removed:
                        planned.diagnostics += losing(step, self._options.allow_destroy)

    def _protected(self) -> set[tuple[str, str, str]]:
        """Steps of the documents that are not to be taken away, whatever the reason."""
        return {
            (module.name, task.name, step.name)
            for module in self._project.pipeline.modules
            for task in module.tasks
            for step in task.steps
            if step.prevent_destroy
        }
