"""A toy kind, so that the planner's rules are tested without any real kind's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from kubexms.plan.rendered import Instance, Rendered
from kubexms.runtime.protocol import Action, Fragment, Record
from kubexms.spec.address import Address
from kubexms.spec.pipeline import StepSpec
from kubexms.step.contract import (
    Attributes,
    Observation,
    Presence,
    Probe,
    RunsPolicy,
    StepArgs,
    StepExecutor,
)


class ToySpec(StepArgs):
    """A thing with a name and a colour."""

    thing: str
    """Its name."""
    colour: str = "grey"
    """Its colour."""
    secret: str | None = None
    """Shown nowhere."""
    state: str = "present"
    """present or absent."""
    policy: RunsPolicy = "observed"
    """When it runs."""


class ToyExecutor(StepExecutor[ToySpec]):
    """Answers are `absent`, `unknown` or `COLOUR[ SECRET]`."""

    kind: ClassVar[str] = "toy"
    spec: ClassVar[type[StepArgs]] = ToySpec
    identity: ClassVar[tuple[str, ...]] = ("thing",)

    def probe(self, specs: Sequence[ToySpec]) -> Sequence[Probe]:
        script = "".join(f"toy {spec.thing}\n" for spec in specs)
        return (Probe(Fragment(script, records=len(specs)), tuple(range(len(specs)))),)

    def observe(self, spec: ToySpec, record: Record) -> Observation:
        text = record.text.decode()
        if text == "absent":
            return Observation.absent()
        if text == "unknown":
            return Observation.unknown("the toy box is locked")
        colour, _, secret = text.partition(" ")
        return Observation.present({"colour": colour, "secret": secret})

    def desired(self, spec: ToySpec) -> Attributes | None:
        if spec.state == "absent":
            return None
        wanted: dict[str, str] = {"colour": spec.colour}
        if spec.secret is not None:
            wanted["secret"] = spec.secret
        return dict(wanted)

    def runs(self, spec: ToySpec) -> RunsPolicy:
        return spec.policy

    def action(self, spec: ToySpec, request: object) -> Action:
        return Action(f"paint {spec.thing} {spec.colour}")

    def undo(self, spec: ToySpec, prior: Observation) -> Action | None:
        return Action(f"drop {spec.thing}" if prior.presence is Presence.ABSENT else f"restore {spec.thing}")


TOY = ToyExecutor()


def rendered(
    spec: ToySpec, unknown: Mapping[str, str] | None = None, sensitive: frozenset[str] = frozenset()
) -> Rendered:
    """A rendered toy."""
    return Rendered(TOY, spec, unknown or {}, sensitive)


def instance(made: Rendered, step: StepSpec | None = None, address: str = "m/t/s@n1") -> Instance:
    """A toy on a host."""
    return Instance(Address.parse(address), step or StepSpec(name="s", kind="toy"), made, 0)
