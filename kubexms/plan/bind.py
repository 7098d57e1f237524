"""Steps that watch other steps of their host (`restartOn`): finds the sources, and binds them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from kubexms.errors import ConfigError
from kubexms.plan.rendered import Instance, Rendered
from kubexms.step.contract import Source, StepArgs


@dataclass(frozen=True, slots=True)
class Bound:
    """An instance whose sources are known; `sources` are addresses by watched name."""

    instance: Instance
    sources: dict[str, tuple[str, ...]]


class Binder:
    """Binds watchers to their sources, host by host. Equal bindings share one rendered step."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, tuple[Source, ...]], tuple[Rendered, Rendered]] = {}

    def bind(self, instances: Sequence[Instance]) -> list[Bound]:
        """All instances of one host, watchers bound. Raises `ConfigError` for a name that is nowhere."""
        return [self.bind_one(instance, instances) for instance in instances]

    def bind_one(self, instance: Instance, everything: Iterable[Instance]) -> Bound:
        """One instance, its sources looked for among all instances of its host."""
        rendered = instance.rendered
        names = rendered.executor.watches(rendered.spec)
        if not names:
            return Bound(instance, {})
        siblings = [item for item in everything if item.address.module == instance.address.module]
        sources: dict[str, tuple[str, ...]] = {}
        found: list[Source] = []
        for name in names:
            watched = _named(name, instance, siblings)
            paths = tuple(
                path for item in watched for path in item.rendered.executor.paths(item.rendered.spec)
            )
            sources[name] = tuple(str(item.address) for item in watched)
            found.append(Source(name, paths))
        key = (id(rendered), tuple(found))
        if key not in self._known:
            spec: StepArgs = rendered.executor.bind(rendered.spec, found)
            self._known[key] = (rendered, replace(rendered, spec=spec))
        return Bound(replace(instance, rendered=self._known[key][1]), sources)


def _named(name: str, watcher: Instance, siblings: Sequence[Instance]) -> list[Instance]:
    """The steps that `name` means: `step` of the same task, else of the module; or `task/step`.

    A step that conditions deselected on this host is no source there: an empty list.
    """
    task, slash, step = name.rpartition("/")
    if slash:
        return [item for item in siblings if (item.address.task, item.address.step) == (task, step)]
    own = [s for s in siblings if s.address.step == name and s.address.task == watcher.address.task]
    found = own or [s for s in siblings if s.address.step == name]
    if any(item.address == watcher.address for item in found):
        raise ConfigError(
            f"{watcher.address.path} watches itself", detail="Remove its own name from restartOn/reloadOn."
        )
    return found
