"""Entries that tell of another object than their step's now."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from kubexms.executor.attempt import Attempt, HostRun
from kubexms.plan.former import about_another, former_of
from kubexms.plan.model import Change
from kubexms.plan.working import PlannedStep
from kubexms.runtime.fake import ScriptedConnection
from kubexms.state.model import StepState
from kubexms.step.contract import ActionKind
from kubexms.step.observation import Observation
from kubexms.step.registry import Registry
from tests.unit.plan.toys import TOY, ToyExecutor, ToySpec, instance, rendered


class PartingToy(ToyExecutor):
    """A toy that does not stay behind."""

    parts = True


def entry(thing: str, *, touched: bool = True) -> StepState:
    """What state has of a toy that was not there before."""
    return StepState(
        address="m/t/s@n1",
        kind="toy",
        spec={"thing": thing},
        spec_digest="v1:s",
        prior=Observation.absent(),
        touched=touched,
        object_id=TOY.object_id(ToySpec(thing=thing)),
        run="r",
        updated=datetime(2026, 3, 1, tzinfo=UTC),
    )


@pytest.mark.parametrize(("was", "kept"), [("car", True), ("ball", False)])
def test_what_was_there_before_is_not_taken_from_another_object(was: str, kept: bool) -> None:
    now = instance(rendered(ToySpec(thing="car", colour="red")))
    known = entry(was)
    assert about_another(known, now.rendered) is not kept
    change = Change(address="m/t/s@n1", kind="toy", action=ActionKind.UPDATE)
    host = HostRun("n1", ScriptedConnection("n1", {}), "", {})
    attempt = Attempt(PlannedStep(change, now, known, None), host, None, instance=now)
    assert attempt.valid_entry() is (known if kept else None)


def test_a_kind_that_parts_has_the_one_before_undone_unless_somebody_has_it() -> None:
    parting = PartingToy()
    registry = Registry({"toy": parting})
    now, other = (
        instance(type(rendered(ToySpec(thing=name)))(parting, ToySpec(thing=name)))
        for name in ("car", "ball")
    )
    found = former_of(entry("ball"), now, [now], "", registry)
    assert found is not None
    assert found.rendered.spec == ToySpec(thing="ball")
    assert former_of(entry("ball"), now, [now, other], "", registry) is None
    assert former_of(entry("ball", touched=False), now, [now], "", registry) is None
    assert former_of(entry("car"), now, [now], "", registry) is None
    assert former_of(None, now, [now], "", registry) is None
    assert former_of(entry("ball"), instance(rendered(ToySpec(thing="car"))), [], "", registry) is None
    assert not about_another(entry("ball"), now.rendered)
