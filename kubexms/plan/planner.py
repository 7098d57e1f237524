"""The planner: observe all hosts, decide about every step, and put it into one plan."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from pydantic import JsonValue

from kubexms.config.project import LoadedProject
from kubexms.config.secrets import SecretResolver
from kubexms.config.template import TemplateEngine
from kubexms.plan.bind import Binder
from kubexms.plan.checks import check, kept, never_known, reviewed
from kubexms.plan.conceal import Concealer
from kubexms.plan.deciding import Decider
from kubexms.plan.expand import Expander, Placement
from kubexms.plan.flow import (
    asked_alike,
    flow,
    mentions_facts,
    runs_users_shell,
    undecidable,
)
from kubexms.plan.lastapplied import besides, settle
from kubexms.plan.model import PlanDiagnostic, PlanOptions
from kubexms.plan.observe import Connector, HostAnswer, observe_all
from kubexms.plan.odds import at_odds
from kubexms.plan.order import phases_before
from kubexms.plan.outputs import Outputs, declared_outputs
from kubexms.plan.passing import passed_on
from kubexms.plan.questions import Questioner, Questions
from kubexms.plan.recorded import apply_moves, by_host, leaving, orphan, recorded_instance
from kubexms.plan.removals import removals
from kubexms.plan.render import StepRenderer
from kubexms.plan.rendered import Instance, Unselected
from kubexms.plan.scope import Scopes
from kubexms.plan.selection import limited
from kubexms.plan.working import HostWork, PlannedStep
from kubexms.spec.inventory import Host
from kubexms.state.model import StateSnapshot
from kubexms.step.registry import Registry


@dataclass(slots=True)
class Planned:
    """A plan's working form: every host with its planned steps. Never leaves the process."""

    hosts: dict[str, HostWork]
    snapshot: StateSnapshot
    previous: Mapping[str, str]
    conceal: Concealer
    diagnostics: list[PlanDiagnostic] = field(default_factory=list)

    def steps(self) -> dict[str, PlannedStep]:
        """Every planned step by address."""
        return {address: step for work in self.hosts.values() for address, step in work.steps.items()}


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
        self._project = project
        self._registry = registry
        self._snapshot, self._previous = apply_moves(snapshot, project.pipeline.moved)
        self._conceal = conceal
        self._connector = connector
        self._options = options
        self._parallelism = parallelism
        self._listener = listener or PlanListener()
        self._renderer = StepRenderer(registry)
        self._expander = Expander(project, self._renderer, self._snapshot.steps)
        self._binder = Binder()
        self._questioner = Questioner()
        self._recorded: dict[str, Instance] = {}
        self._facts_matter = mentions_facts(project)
        self._works_by_name: dict[str, HostWork] = {}
        self._declared = declared_outputs(project.pipeline)
        phases = phases_before(project.pipeline)
        self._decider = Decider(registry, conceal, options, previous=self._previous, phases=phases)
        self._destroy = options.operation == "destroy"
        facts = {name: host.facts for name, host in self._snapshot.hosts.items() if host.facts}
        self.scopes = Scopes(project, facts, resolver)

    @property
    def modules(self) -> Collection[str]:
        """Names of the modules that have scopes: those of the documents."""
        return self._project.scopes.keys()

    def engine(self, module: str) -> TemplateEngine:
        """The template engine for a module's documents."""
        return self._renderer.engine(self._project.scopes[module].base_dir)

    def render_again(self, step: PlannedStep, outputs: Mapping[str, Mapping[str, object]]) -> Instance:
        """A step rendered with the outputs and facts known by now; not thread-safe."""
        instance = step.instance
        module = instance.address.module
        work = self._works_by_name[instance.address.host]
        scope = self.scopes.scope(
            module, work.name, outputs=self._outputs(work.name, outputs), each=instance.each
        )
        base = self._project.scopes[module].base_dir
        rendered = self._renderer.render(instance.step, scope, base)
        return self._binder.bind_one(replace(instance, rendered=rendered), work.siblings).instance

    def plan(self) -> Planned:
        """Observe and decide. A host that fails is reported, not raised.

        Raises `ConfigError` and `PlanError`.
        """
        works = self._works_by_name = self._works()
        asked = [name for name, work in works.items() if work.host.maintenance is None or work.removed]
        answers = observe_all(
            asked,
            self._connector,
            prepare=lambda host: self._first_questions(works[host]),
            again=lambda answer: self._more_questions(works[answer.host], answer),
            parallelism=self._parallelism,
            deadline=self._project.spec.plan_deadline,
            started=self._listener.started,
            finished=self._listener.finished,
        )
        for name, answer in answers.items():
            works[name].answer = answer
        planned = Planned(works, self._snapshot, self._previous, self._conceal)
        if not self._destroy:
            self._decide_all(planned)
            planned.diagnostics += never_known(works)
            planned.diagnostics += at_odds(works)
        protected = self._protected()
        for work in works.values():
            if work.usable:
                for step in removals(work, self._recorded, self._conceal, destroy=self._destroy):
                    work.steps[step.change.address] = step
                    place = step.instance.address
                    if (place.module, place.task, place.step) in protected:
                        planned.diagnostics += kept(step)
        planned.diagnostics += reviewed(works)
        return planned

    def _protected(self) -> set[tuple[str, str, str]]:
        """Steps of the documents that are not to be taken away, whatever the reason."""
        return {
            (module.name, task.name, step.name)
            for module in self._project.pipeline.modules
            for task in module.tasks
            for step in task.steps
            if step.prevent_destroy
        }

    # hosts --------------------------------------------------------------------------------
    def _works(self) -> dict[str, HostWork]:
        entries = by_host(self._snapshot.steps.values())
        known = {host.name for host in self._project.inventory.hosts}
        hosts = [(host, False) for host in limited(self._project.inventory.hosts, self._options.limit)]
        hosts += [(gone, True) for gone in self._departed(known)]
        works: dict[str, HostWork] = {}
        for host, removed in hosts:
            own = {entry.address: entry for entry in entries.get(host.name, [])}
            intents = {a: i for a, i in self._snapshot.intents.items() if a.rpartition("@")[2] == host.name}
            works[host.name] = HostWork(host, own, intents, removed=removed, stated=own)
            works[host.name].orphans = {a: orphan(i) for a, i in intents.items() if a not in own}
            works[host.name].outputs = {
                address.rpartition("@")[0]: dict(entry.outputs)
                for address, entry in own.items()
                if entry.outputs
            }
        return works

    def _outputs(self, host: str, fresh: Mapping[str, Mapping[str, object]] | None = None) -> Outputs:
        """What templates on a host see of outputs; `fresh` are those of this run, by address."""

        def known(other: str, path: str) -> Mapping[str, object] | None:
            address = f"{path}@{other}"
            if fresh is not None and address in fresh:
                return fresh[address]
            work = self._works_by_name.get(other)
            if work is not None:
                return work.outputs.get(path)
            entry = self._snapshot.steps.get(address)  # a host that this plan leaves out
            return entry.outputs or None if entry is not None else None

        return Outputs(host, known, self._declared)

    def _departed(self, known: set[str]) -> list[Host]:
        """Hosts of the state that left the inventory and whose removal was allowed."""
        import fnmatch

        gone = sorted({text.rpartition("@")[2] for text in self._snapshot.steps} - known)
        allowed = [
            name
            for name in gone
            if self._destroy
            or any(fnmatch.fnmatchcase(name, pattern) for pattern in self._options.allow_destroy)
        ]
        hosts: list[Host] = []
        for name in allowed:
            state = self._snapshot.hosts.get(name)
            connection = state.connection if state else {}
            hosts.append(Host.model_validate({"name": name, "connection": connection}))
        return hosts

    def _pass_on(self, work: HostWork) -> None:
        """Entries follow their objects; drift is about what was applied, and where."""
        if work.removed or self._options.operation != "apply":
            return
        own = dict(work.stated)
        begun = {a: orphan(i) for a, i in work.intents.items() if a not in own}
        work.passed = passed_on({**begun, **own}, work.siblings, work.left_out)
        about = {str(item.address): item.rendered for item in work.siblings}
        for address, entry in begun.items():  # what was begun under a step that is about another object now
            now = about.get(address)
            if now is not None and now.unknown_identity is None and now.object_id != entry.object_id:
                own[address] = entry
        own |= {address: entry for address, entry in work.passed.items() if entry is not None}
        gone = {address for address, entry in work.passed.items() if entry is None}
        entries = (entry for address, entry in own.items() if address not in gone)
        work.entries = {entry.address: entry for entry in sorted(entries, key=lambda item: item.order)}
        work.orphans = {a: e for a, e in begun.items() if a not in work.entries}

    # asking -------------------------------------------------------------------------------
    def _expand(self, work: HostWork) -> list[Instance]:
        """The host's instances with the facts known so far; what is unselected is not asked."""
        if work.removed or self._destroy:
            return []
        found: list[Instance] = []
        left_out: set[str] = set()
        known = self._outputs(work.name)
        for placement in self._expander.placements(work.host):
            result = self._expander.expand(
                placement,
                lambda module, each: self.scopes.scope(module, work.name, outputs=known, each=each),
            )
            if isinstance(result, Unselected):
                left_out.add(result.path)
            else:
                found += result
        work.left_out = left_out
        return [bound.instance for bound in self._binder.bind(found)]

    def _first_questions(self, work: HostWork) -> Questions:
        work.siblings = self._expand(work)
        self._pass_on(work)
        present = {str(instance.address) for instance in work.siblings}
        asked = list(work.siblings)
        for address, entry in work.recorded.items():
            if address not in present:
                instance = recorded_instance(entry, self._registry)
                if instance is not None:
                    self._recorded[address] = leaving(instance)
                    asked.append(self._recorded[address])
        applied = besides(work, self._recorded, self._registry, self._conceal)
        trusted = {name: instance for name, instance in applied.items() if self._trusted([instance])}
        return self._questioner.ask_for(self._trusted(asked), trusted)

    def _more_questions(self, work: HostWork, answer: HostAnswer) -> Questions | None:
        """What the facts, now known, decide to ask besides or otherwise."""
        settle(work, answer)
        if not answer.facts or self.scopes.facts_of(work.name) == answer.facts:
            return None
        self.scopes.learn(work.name, answer.facts)
        if work.removed or self._destroy or not self._facts_matter:
            return None
        before = {str(instance.address): instance for instance in work.siblings}
        work.siblings = self._expand(work)
        self._pass_on(work)
        changed = [
            instance
            for instance in work.siblings
            if not asked_alike(before.get(str(instance.address)), instance)
            and str(instance.address) not in self._recorded
        ]
        return self._questioner.ask_for(self._trusted(changed)) if changed else None

    def _trusted(self, instances: list[Instance]) -> list[Instance]:
        """Those that may be asked about: of strangers' documents nothing is run, on no host."""
        if not self._options.untrusted:
            return instances
        return [instance for instance in instances if not runs_users_shell(instance)]

    # deciding -----------------------------------------------------------------------------
    def _decide_all(self, planned: Planned) -> None:
        """Step by step in the order of the document, on every host: outputs and facts flow forward."""
        works = planned.hosts
        order: dict[tuple[int, int, int], list[Placement]] = {}
        modules = {id(m): i for i, m in enumerate(self._project.pipeline.modules)}
        tasks = {id(t): i for m in self._project.pipeline.modules for i, t in enumerate(m.tasks)}
        for work in works.values():
            if work.usable and not work.removed:
                for placement in self._expander.placements(work.host):
                    key = (modules[id(placement.module)], tasks[id(placement.task)], placement.position)
                    order.setdefault(key, []).append(placement)
        for key in sorted(order):
            for placement in order[key]:
                self._decide_placement(planned, works[placement.host], placement)

    def _decide_placement(self, planned: Planned, work: HostWork, placement: Placement) -> None:
        known = self._outputs(work.name)

        def make_scope(module: str, each: Mapping[str, JsonValue] | None) -> dict[str, object]:
            return self.scopes.scope(
                module, work.name, outputs=known, unknown_facts=work.unknown_facts, each=each
            )

        result = self._expander.expand(placement, make_scope)
        if isinstance(result, Unselected):
            work.unselected.append(result)
            if result.unknown is not None:
                planned.diagnostics.append(undecidable(result))
            return
        for instance in result:
            bound = self._binder.bind_one(instance, work.siblings)
            scope = make_scope(placement.module.name, None)
            step = self._decider.decide(work, bound.instance, bound.sources, scope)
            work.steps[step.change.address] = step
            planned.diagnostics += check(work, step, self._snapshot.meta.lineage, self._options.allow_destroy)
            flow(work, step)


class PlanListener:
    """Is told of hosts being asked. Override what is of interest; called in the planner's thread."""

    def started(self, host: str) -> None:
        """A host is being asked."""

    def finished(self, answer: HostAnswer) -> None:
        """A host has answered, or not."""
