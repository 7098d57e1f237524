"""Steps that only state still knows: rendered again from what was last applied."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from pydantic import JsonValue, ValidationError

from kubexms.errors import ConfigError
from kubexms.plan.conceal import KEYED
from kubexms.plan.rendered import Instance, Rendered
from kubexms.runtime.protocol import Action, Record
from kubexms.spec.address import Address
from kubexms.spec.pipeline import Moved, StepSpec
from kubexms.state.model import Intent, StateSnapshot, StepState
from kubexms.step.contract import Attributes, ChangeRequest, Probe, StepArgs, StepExecutor
from kubexms.step.observation import Observation
from kubexms.step.registry import Registry

_ANYTHING = "/unknown"
"""Stands in a field that was secret and that nothing needs any more."""


def recorded_instance(entry: StepState, registry: Registry) -> Instance | None:
    """The step that `entry` records, askable again; None if its kind is gone or cannot read it.

    Sensitive fields were never stored: they are missing, and count as sensitive.
    """
    try:
        executor = registry.get(entry.kind)
    except ConfigError:
        return None
    model = executor.spec
    names = {info.alias or name: name for name, info in model.model_fields.items()}
    hidden = {alias for alias, value in entry.spec.items() if isinstance(value, dict) and KEYED in value}
    sensitive = frozenset(names[alias] for alias in hidden if alias in names)
    if sensitive & {*executor.identity} - executor.undone_without:
        return None  # asked without it, the host would tell of another object
    kept = {alias: value for alias, value in entry.spec.items() if alias not in hidden}
    needless = {alias: _ANYTHING for alias in hidden if names.get(alias) in executor.undone_without}
    for missing in (dict.fromkeys(hidden, ""), {}, needless):
        try:
            spec = model.model_validate({**kept, **missing}, context={"recorded": True})
        except ValidationError:
            continue
        break
    else:
        return None
    rendered = Rendered(executor, spec, {}, sensitive)
    return Instance(Address.parse(entry.address), recorded_step(entry), rendered, 0)


def leaving(instance: Instance) -> Instance:
    """The recorded step as it is asked about in order to be undone."""
    rendered = instance.rendered
    spec = rendered.executor.leaving(rendered.spec)
    return instance if spec is rendered.spec else replace(instance, rendered=replace(rendered, spec=spec))


def recorded_step(entry: StepState) -> StepSpec:
    """The document's step as far as state knows it."""
    args: dict[str, JsonValue] = dict(entry.spec)
    name = Address.parse(entry.address).step
    return StepSpec.model_construct(
        name=name, kind=entry.kind, args=args, ignore_changes=entry.ignore_changes
    )


def why_unreadable(entry: StepState) -> str:
    """Why `recorded_instance` has nothing for this entry, as the beginning of a sentence."""
    if any(isinstance(value, dict) and KEYED in value for value in entry.spec.values()):
        return f"this {entry.kind} was applied with a secret that is not kept"
    return f"this kubexms cannot read the recorded {entry.kind}"


class UnreadableExecutor(StepExecutor[StepArgs]):
    """Stands in for a kind that is gone: nothing can be asked, done or undone; it can only be forgotten."""

    spec = StepArgs
    can_undo = False

    def __init__(self, kind: str) -> None:
        self.kind = kind  # type: ignore[misc]  # of the instance: each stands for another kind

    def probe(self, specs: Sequence[StepArgs]) -> Sequence[Probe]:
        """Nothing."""
        return ()

    def observe(self, spec: StepArgs, record: Record) -> Observation:
        """Never known."""
        return Observation.unknown("its kind cannot be read")

    def desired(self, spec: StepArgs) -> Attributes | None:
        """Nothing."""
        return None

    def action(self, spec: StepArgs, request: ChangeRequest) -> Action:
        """Never asked for: forgetting does not reach the host."""
        raise AssertionError(f"a {self.kind} cannot be applied")


def unreadable_instance(entry: StepState) -> Instance:
    """A stand-in for a step that cannot be rendered again."""
    address = Address.parse(entry.address)
    step = StepSpec.model_construct(name=address.step, kind=entry.kind, args={})
    return Instance(address, step, Rendered(UnreadableExecutor(entry.kind), StepArgs()), 0)


def apply_moves(snapshot: StateSnapshot, moves: Sequence[Moved]) -> tuple[StateSnapshot, Mapping[str, str]]:
    """The snapshot as if the renames had been done, and new -> old addresses of what moved.

    A move whose target exists in state already is left alone (it was done before).
    """
    if not moves:
        return snapshot, {}
    steps, intents = dict(snapshot.steps), dict(snapshot.intents)
    previous: dict[str, str] = {}
    for move in moves:
        for old in [text for text in {**steps, **intents} if _within(text, move.from_)]:
            new = move.to + old[len(move.from_) :]
            if new in steps or new in intents:
                continue
            if old in steps:
                steps[new] = steps.pop(old).model_copy(update={"address": new})
            if old in intents:  # what a run began under the old name goes on under the new one
                intents[new] = intents.pop(old).model_copy(update={"address": new})
            previous[new] = previous.pop(old, old)
    return snapshot.model_copy(update={"steps": steps, "intents": intents}), previous


def _within(address: str, prefix: str) -> bool:
    return address.startswith(prefix) and address[len(prefix) : len(prefix) + 1] in ("/", "@", "[")


def orphan(intent: Intent) -> StepState:
    """What an open intent without an entry stands for: something that may have been made."""
    return StepState(
        address=intent.address,
        kind=intent.kind,
        spec=intent.spec,
        spec_digest=intent.spec_digest,
        prior=intent.prior,
        touched=True,
        tainted=True,
        object_id=intent.object_id,
        machine_id=intent.machine_id,
        run=intent.run,
        updated=intent.at,
    )


def by_host(entries: Iterable[StepState]) -> dict[str, list[StepState]]:
    """Entries per host, in recorded order."""
    hosts: dict[str, list[StepState]] = {}
    for entry in sorted(entries, key=lambda item: item.order):
        hosts.setdefault(entry.address.rpartition("@")[2], []).append(entry)
    return hosts
