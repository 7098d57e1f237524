"""One script per host: the fragments of all its steps, and whose answer each record is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kubexms.plan.rendered import Instance, Rendered
from kubexms.runtime.protocol import Answer, Failure, Fragment, GuardMode, Record
from kubexms.step.contract import Probe, StepExecutor
from kubexms.step.observation import Observation


@dataclass(frozen=True, slots=True)
class Questions:
    """What one host is asked: `slots[i]` are the steps that the records of `fragments[i]` answer."""

    fragments: tuple[Fragment, ...] = ()
    slots: tuple[tuple[str, ...], ...] = ()
    asked: dict[str, Rendered] = field(default_factory=dict)
    """Address -> the rendered step with which it is asked."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One step's answer: the record and what it means."""

    rendered: Rendered
    """The rendered step with which was asked: guards must ask with the same."""
    record: Record | None
    observation: Observation
    guard: GuardMode = GuardMode.OFF


class Questioner:
    """Makes questions. Hosts with the same steps share one set of fragments. Not thread-safe."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, ...], tuple[Rendered, ...]] = {}
        self._probes: dict[tuple[int, ...], Sequence[Probe]] = {}

    def ask_for(
        self, instances: Iterable[Instance], besides: Mapping[str, Instance] | None = None
    ) -> Questions:
        """Questions about every instance whose identity is known; `besides` are asked under other names."""
        by_kind: dict[str, list[tuple[str, Instance]]] = {}
        named = [(str(instance.address), instance) for instance in instances]
        for name, instance in [*named, *(besides or {}).items()]:
            if instance.rendered.unknown_identity is None:
                by_kind.setdefault(instance.rendered.executor.kind, []).append((name, instance))
        fragments: list[Fragment] = []
        slots: list[tuple[str, ...]] = []
        asked: dict[str, Rendered] = {}
        for members in by_kind.values():
            names = [name for name, _ in members]
            for probe in self._probe(tuple(member.rendered for _, member in members)):
                fragments.append(probe.fragment)
                slots.append(tuple(names[index] for index in probe.indexes))
            asked.update((name, member.rendered) for name, member in members)
        return Questions(tuple(fragments), tuple(slots), asked)

    def _probe(self, rendered: tuple[Rendered, ...]) -> Sequence[Probe]:
        key = tuple(id(item) for item in rendered)
        if key not in self._probes:
            executor: StepExecutor[Any] = rendered[0].executor
            self._known[key] = rendered
            self._probes[key] = executor.probe([item.spec for item in rendered])
        return self._probes[key]


def read(questions: Questions, answers: Sequence[Answer]) -> dict[str, Seen]:
    """What the answers say of each step. A missing answer is an unknown observation, never an error."""
    seen: dict[str, Seen] = {}
    for slot, answer in zip(questions.slots, answers, strict=True):
        for index, name in enumerate(slot):
            rendered = questions.asked[name]
            if index < len(answer.records):
                record = answer.records[index]
                observation = rendered.executor.observe(rendered.spec, record)
                seen[name] = Seen(rendered, record, observation, answer.guard)
            else:
                seen[name] = Seen(rendered, None, Observation.unknown(why(answer)), answer.guard)
    return seen


def why(answer: Answer) -> str:
    """Why a record is missing, for a person."""
    reasons = {
        Failure.TIMEOUT: "the check took too long",
        Failure.DEADLINE: "the host did not answer before its deadline",
        Failure.CAPPED: "the answer was too long",
        Failure.MALFORMED: "the check did not run to its end",
        Failure.DENIED: "the check needs another user, and sudo refused",
    }
    reason = reasons[answer.failure] if answer.failure is not None else "no answer"
    detail = answer.detail.strip().splitlines()
    return f"{reason}: {detail[-1][:200]}" if detail else reason


def single(rendered: Rendered) -> tuple[Fragment, ...]:
    """The questions about one step alone: what its guard and its verification ask."""
    return tuple(probe.fragment for probe in rendered.executor.probe([rendered.spec]))


def read_single(rendered: Rendered, answers: Sequence[Answer]) -> Seen:
    """The answer to `single`."""
    name = "step"
    probes = rendered.executor.probe([rendered.spec])
    questions = Questions(tuple(p.fragment for p in probes), tuple((name,) for _ in probes), {name: rendered})
    return read(questions, answers)[name]


def joint(rendered: Sequence[Rendered]) -> Questions:
    """The questions about several steps of one kind at once; they are named by their position."""
    probes = rendered[0].executor.probe([item.spec for item in rendered])
    return Questions(
        tuple(probe.fragment for probe in probes),
        tuple(tuple(str(index) for index in probe.indexes) for probe in probes),
        {str(index): item for index, item in enumerate(rendered)},
    )
