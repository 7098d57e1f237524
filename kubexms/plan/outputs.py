"""Outputs as templates see them: of this host's steps by path, of any host's by address."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

from kubexms.config.template import Sensitive, Unknown
from kubexms.plan.rendered import Instance
from kubexms.spec.pipeline import PipelineSpec
from kubexms.step.observation import Observation

Declared: TypeAlias = Mapping[str, tuple[str, ...]]
"""`module/task/step` -> the names of its outputs."""
Known: TypeAlias = Callable[[str, str], Mapping[str, object] | None]
"""Host and `module/task/step["key"]` -> its outputs as far as they are known, or None."""


class Outputs(Mapping[str, Mapping[str, object]]):
    """`outputs` of one host. What is declared and not known is `Unknown`; what nobody declares is missing.

    Iterating gives nothing: no template could tell which of them are known already.
    """

    def __init__(self, host: str, known: Known, declared: Declared) -> None:
        self._host = host
        self._known = known
        self._declared = declared

    def __getitem__(self, key: str) -> Mapping[str, object]:
        path, host = split(key)
        known = self._known(host or self._host, path)
        names = self._declared.get(path.partition('["')[0], ())
        if known is None and not names:
            raise KeyError(key)
        found = {**{name: Unknown("") for name in names}, **(known or {})}
        return {
            name: Unknown(f"outputs.{key}.{name}") if isinstance(value, Unknown) else value
            for name, value in found.items()
        }

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def split(key: str) -> tuple[str, str]:
    """The path and the host of `path` or `path@host`; a `forEach` key may hold an `@` of its own."""
    path, at, host = key.rpartition("@")
    return (path, host) if at and not set(host) & set('/]"') else (key, "")


def declared_outputs(pipeline: PipelineSpec) -> dict[str, tuple[str, ...]]:
    """What the steps of a pipeline say that they give."""
    return {
        f"{module.name}/{task.name}/{step.name}": tuple(map(str, outputs))
        for module in pipeline.modules
        for task in module.tasks
        for step in task.steps
        if isinstance(outputs := step.args.get("outputs"), dict)
    }


def named_outputs(instance: Instance) -> tuple[str, ...]:
    """Names of the outputs that a rendered step gives."""
    outputs = getattr(instance.rendered.spec, "outputs", None)
    return tuple(outputs) if outputs else ()


def observed_outputs(instance: Instance, observation: Observation) -> dict[str, object]:
    """The outputs that the host itself tells, whether or not the step runs."""
    rendered = instance.rendered
    if rendered.unknown_identity is not None:
        return {}
    told = rendered.executor.outputs(rendered.spec, observation)
    return {name: Sensitive(value) if instance.step.sensitive else value for name, value in told.items()}
