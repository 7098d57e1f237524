"""From the pipeline to the steps of one host: roles, `when`, `forEach`, `runOnce`."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from pydantic import JsonValue

from kubexms.config.project import LoadedProject
from kubexms.config.template import TemplateEngine
from kubexms.errors import ConfigError
from kubexms.plan.blame import Blame, kind_of
from kubexms.plan.render import StepRenderer
from kubexms.plan.rendered import Instance, Unselected
from kubexms.spec.address import Address
from kubexms.spec.inventory import Host
from kubexms.spec.pipeline import ModuleSpec, StepSpec, TaskSpec

MakeScope = Callable[[str, "Mapping[str, JsonValue] | None"], dict[str, object]]
"""(module, each) -> the names that its templates see."""


@dataclass(frozen=True, slots=True)
class Placement:
    """One source step on one host by role and name, before conditions."""

    module: ModuleSpec
    task: TaskSpec
    step: StepSpec
    host: str
    position: int

    @property
    def path(self) -> str:
        """The address without host and key."""
        return f"{self.module.name}/{self.task.name}/{self.step.name}"


def selects(module: ModuleSpec, task: TaskSpec, host: Host) -> bool:
    """Whether roles and host globs place a task on a host."""
    for roles in (module.run_on_roles, task.run_on_roles):
        if roles and not set(roles) & set(host.roles):
            return False
    if task.run_on_hosts:
        return any(fnmatch.fnmatchcase(host.name, pattern) for pattern in task.run_on_hosts)
    return True


class Expander:
    """Places and expands steps. Not thread-safe."""

    def __init__(self, project: LoadedProject, renderer: StepRenderer, recorded: Iterable[str] = ()) -> None:
        self._project = project
        self._renderer = renderer
        self._once = self._place_once(recorded)
        self._by_roles: dict[object, tuple[tuple[ModuleSpec, TaskSpec], ...]] = {}

    def placements(self, host: Host) -> Iterator[Placement]:
        """Every step that roles and names place on `host`, in the order of the document."""
        for module in self._project.pipeline.modules:
            for task in module.tasks:
                if not selects(module, task, host):
                    continue
                for position, step in enumerate(task.steps):
                    path = (module.name, task.name, step.name)
                    if step.run_once and self._once.get(path) != host.name:
                        continue
                    yield Placement(module, task, step, host.name, position)

    def expand(self, placement: Placement, make_scope: MakeScope) -> list[Instance] | Unselected:
        """The instances of one placement (one, or one per `forEach` entry), or why there is none."""
        module, step = placement.module, placement.step
        base = self._project.scopes[module.name].base_dir
        engine = self._renderer.engine(base)
        conditions = [when for when in (module.when, placement.task.when) if when is not None]
        reads: set[str] = set()
        scope: dict[str, object] | None = None
        for when in conditions:
            scope = scope or make_scope(module.name, None)
            verdict = self._condition(when, scope, base, placement)
            reads |= verdict.reads
            if not verdict.chosen:
                return Unselected(placement.path, placement.host, verdict.by_fact, verdict.unknown)
        entries: list[tuple[str | None, Mapping[str, JsonValue] | None]] = [(None, None)]
        if step.for_each is not None:
            with self._blame(placement).field("forEach"):
                result = engine.render(_plain(step.for_each), make_scope(module.name, None))
                if result.sensitive:
                    raise ConfigError(
                        f"forEach of {placement.path} reads a sensitive value",
                        detail="Its keys are parts of addresses, which everybody sees. Loop over names that "
                        'are no secrets, and read the secret in the step: "{{ vars.secrets[each.key] }}".',
                    )
                if not result.unknown:
                    entries = list(_entries(result.value, placement))
            reads |= result.reads
            if result.unknown:
                return Unselected(placement.path, placement.host, unknown=min(result.unknown))
        instances: list[Instance] = []
        rejected: list[Unselected] = []
        for key, each in entries:
            scope = make_scope(module.name, each)
            if step.when is not None:
                with self._blame(placement).field("when"):
                    verdict = self._condition(step.when, scope, base, placement)
                if not verdict.chosen:
                    rejected.append(
                        Unselected(placement.path, placement.host, verdict.by_fact, verdict.unknown)
                    )
                    continue
                reads |= verdict.reads
            instances.append(self._instance(placement, key, each, scope, frozenset(reads)))
        if not instances and rejected:
            unknown = next((item.unknown for item in rejected if item.unknown), None)
            return Unselected(placement.path, placement.host, any(item.by_fact for item in rejected), unknown)
        if not instances:
            return Unselected(placement.path, placement.host, any(read.startswith("facts") for read in reads))
        return instances

    def _blame(self, placement: Placement) -> Blame:
        step = placement.step
        address = Address(placement.module.name, placement.task.name, step.name, placement.host)
        return Blame(self._project.sources, address, step.sensitive)

    def _instance(
        self,
        placement: Placement,
        key: str | None,
        each: Mapping[str, JsonValue] | None,
        scope: dict[str, object],
        reads: frozenset[str],
    ) -> Instance:
        step = placement.step
        base = self._project.scopes[placement.module.name].base_dir
        address = Address(placement.module.name, placement.task.name, step.name, placement.host, key)
        blame = Blame(self._project.sources, address, step.sensitive)
        rendered = self._renderer.render(step, scope, base, blame, (placement.host, key or ""))
        instance = Instance(address, step, rendered, placement.position, reads, each=each)
        with blame.field("triggers"):
            return triggered(instance, self._renderer.engine(base), scope)

    def _condition(
        self, when: str | bool, scope: dict[str, object], base: object, placement: Placement
    ) -> _Verdict:
        if isinstance(when, bool):
            return _Verdict(when)
        engine = self._renderer.engine(self._project.scopes[placement.module.name].base_dir)
        result = engine.evaluate(when, scope)
        by_fact = any(name.startswith(("facts", "outputs", "hosts")) for name in result.reads)
        if result.unknown:
            return _Verdict(False, result.reads, by_fact, min(result.unknown))
        return _Verdict(bool(result.value), result.reads, by_fact)

    def _place_once(self, recorded: Iterable[str]) -> dict[tuple[str, str, str], str]:
        known: dict[tuple[str, str, str], set[str]] = {}
        for text in recorded:
            address = Address.parse(text)
            known.setdefault((address.module, address.task, address.step), set()).add(address.host)
        chosen: dict[tuple[str, str, str], str] = {}
        for module in self._project.pipeline.modules:
            for task in module.tasks:
                eligible: list[str] | None = None
                for step in task.steps:
                    if not step.run_once:
                        continue
                    if eligible is None:
                        hosts = self._project.inventory.hosts
                        eligible = [host.name for host in hosts if selects(module, task, host)]
                    path = (module.name, task.name, step.name)
                    before = [name for name in eligible if name in known.get(path, set())]
                    if eligible:
                        chosen[path] = (before or eligible)[0]
        return chosen


def triggered(instance: Instance, engine: TemplateEngine, scope: Mapping[str, object]) -> Instance:
    """The instance with its `triggers` as they are known by now. Raises `ConfigError`."""
    if not instance.step.triggers:
        return instance
    result = engine.render(list(instance.step.triggers), scope)
    return replace(
        instance,
        reads=instance.reads | {name for name in result.reads if name.startswith("outputs.")},
        trigger=result.value,
        trigger_unknown=min(result.unknown) if result.unknown else None,
        trigger_secret=result.sensitive or instance.step.sensitive,
    )


@dataclass(frozen=True, slots=True)
class _Verdict:
    chosen: bool
    reads: frozenset[str] = frozenset()
    by_fact: bool = False
    unknown: str | None = None


def _plain(value: object) -> JsonValue:
    return list(value) if isinstance(value, tuple) else value  # type: ignore[return-value]


def _entries(value: JsonValue, placement: Placement) -> Iterator[tuple[str, Mapping[str, JsonValue]]]:
    seen: set[str] = set()
    pairs: Iterable[tuple[str, JsonValue]]
    if isinstance(value, dict):
        pairs = value.items()
    elif isinstance(value, list):
        pairs = ((_key(item, placement), item) for item in value)
    else:
        raise ConfigError(
            f"forEach of {placement.path} is {kind_of(value)}, not a list or a mapping",
            detail="Give a list, a mapping, or an expression for one.",
        )
    for key, item in pairs:
        if key in seen:
            raise ConfigError(
                f"forEach of {placement.path} has the key '{key}' twice", detail="Keys must be unique."
            )
        seen.add(key)
        yield key, {"key": key, "value": item}


def _key(item: JsonValue, placement: Placement) -> str:
    if isinstance(item, bool) or item is None or isinstance(item, list):
        raise ConfigError(
            f"forEach of {placement.path}: {item!r} cannot be a key", detail="Use strings, or a mapping."
        )
    if isinstance(item, dict):
        name = item.get("name", item.get("key"))
        if not isinstance(name, str):
            raise ConfigError(
                f"forEach of {placement.path}: an entry has no 'name'",
                detail="An object in a list needs a 'name' (or 'key'): it becomes part of the address.",
            )
        return name
    return str(item)
