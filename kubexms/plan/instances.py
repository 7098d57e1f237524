"""Steps of hosts as instances, rendered with what is known by then: facts, outputs of other steps."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from pydantic import JsonValue

from kubexms.config.project import LoadedProject
from kubexms.config.secrets import SecretResolver
from kubexms.config.template import TemplateEngine
from kubexms.plan.bind import Binder, Bound
from kubexms.plan.expand import Expander, Placement, triggered
from kubexms.plan.outputs import Outputs, declared_outputs
from kubexms.plan.recall import Recaller
from kubexms.plan.render import StepRenderer
from kubexms.plan.rendered import Instance, Unselected
from kubexms.plan.scope import Scopes
from kubexms.plan.working import HostWork, PlannedStep
from kubexms.spec.inventory import Host
from kubexms.state.model import StateSnapshot
from kubexms.step.registry import Registry


class Instances:
    """Makes the instances of all hosts: for the plan, and again while it is applied. Not thread-safe."""

    def __init__(
        self,
        project: LoadedProject,
        registry: Registry,
        snapshot: StateSnapshot,
        works: Mapping[str, HostWork],
        resolver: SecretResolver,
    ) -> None:
        """`works`: the hosts of the plan, whose outputs and siblings are read as they are by then."""
        self._project = project
        self._steps = snapshot.steps
        self._works = works
        self._declared = declared_outputs(project.pipeline)
        self._renderer = StepRenderer(registry)
        self._expander = Expander(project, self._renderer, snapshot.steps)
        self._binder = Binder()
        self._recaller = Recaller(snapshot.steps)
        facts = {name: host.facts for name, host in snapshot.hosts.items() if host.facts}
        self.scopes = Scopes(project, facts, resolver)

    @property
    def modules(self) -> Collection[str]:
        """Names of the modules that have scopes: those of the documents."""
        return self._project.scopes.keys()

    def engine(self, module: str) -> TemplateEngine:
        """The template engine for a module's documents."""
        return self._renderer.engine(self._project.scopes[module].base_dir)

    def placements(self, host: Host) -> list[Placement]:
        """Every step that roles and names place on `host`, in the order of the document."""
        return list(self._expander.placements(host))

    def of_host(self, work: HostWork) -> tuple[list[Instance], set[str]]:
        """All instances of a host, as `bound` gives them, and the paths of steps that are left out."""
        found: list[Instance] = []
        left_out: set[str] = set()
        for placement in self._expander.placements(work.host):
            result = self.of_placement(work, placement)
            if isinstance(result, Unselected):
                left_out.add(result.path)
            else:
                found += result
        return [self._recaller.recalled(bound.instance) for bound in self._binder.bind(found)], left_out

    def of_placement(self, work: HostWork, placement: Placement) -> list[Instance] | Unselected:
        """The instances of one placement, not bound yet, or why there is none."""
        return self._expander.expand(placement, lambda module, each: self.scope(work, module, each))

    def bound(self, work: HostWork, instance: Instance) -> Bound:
        """An instance of a host with what it needs to know of those it watches, and what it remembers."""
        bound = self._binder.bind_one(instance, work.siblings)
        return replace(bound, instance=self._recaller.recalled(bound.instance))

    def scope(
        self, work: HostWork, module: str, each: Mapping[str, JsonValue] | None = None
    ) -> dict[str, object]:
        """The names that a module's templates see on a host at this point of its plan."""
        outputs, unknown = self._outputs(work.name), work.unknown_facts
        return self.scopes.scope(module, work.name, outputs=outputs, unknown_facts=unknown, each=each)

    def again(self, step: PlannedStep, outputs: Mapping[str, Mapping[str, object]]) -> Instance:
        """A planned step rendered with the facts known by now and the outputs of this run, by address."""
        instance = step.instance
        module = instance.address.module
        work = self._works[instance.address.host]
        scope = self.scopes.scope(
            module, work.name, outputs=self._outputs(work.name, outputs), each=instance.each
        )
        base = self._project.scopes[module].base_dir
        rendered = self._renderer.render(instance.step, scope, base)
        now = triggered(replace(instance, rendered=rendered), self._renderer.engine(base), scope)
        return self.bound(work, now).instance

    def _outputs(self, host: str, fresh: Mapping[str, Mapping[str, object]] | None = None) -> Outputs:
        """What templates on a host see of outputs; `fresh` are those of this run, by address."""

        def known(other: str, path: str) -> Mapping[str, object] | None:
            address = f"{path}@{other}"
            if fresh is not None and address in fresh:
                return fresh[address]
            work = self._works.get(other)
            if work is not None:
                return work.outputs.get(path)
            entry = self._steps.get(address)  # a host that this plan leaves out
            return entry.outputs or None if entry is not None else None

        return Outputs(host, known, self._declared)
