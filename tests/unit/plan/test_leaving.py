"""Kinds that ask another question about what is to be undone, and that put nothing back."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from kubexms.executor.wanted import loses_more
from kubexms.plan.checks import losing
from kubexms.plan.conceal import Concealer
from kubexms.plan.lastapplied import PREFIX, besides
from kubexms.plan.model import Change
from kubexms.plan.observe import HostAnswer
from kubexms.plan.questions import Seen
from kubexms.plan.recorded import leaving, recorded_instance
from kubexms.plan.removals import removals
from kubexms.plan.working import HostWork, PlannedStep
from kubexms.spec.inventory import Host
from kubexms.state.model import StepState
from kubexms.step.contract import ActionKind, ChangeRequest, Disruption
from kubexms.step.observation import Observation
from kubexms.step.registry import Registry
from tests.unit.plan.toys import TOY, ToyExecutor, ToySpec, instance, rendered

CONCEAL = Concealer(b"k" * 32)
ENTRY = StepState.from_json(
    {
        "address": "m/t/s@n1",
        "kind": "toy",
        "spec": {"thing": "a", "colour": "red"},
        "specDigest": "v1:x",
        "touched": True,
        "prior": {"presence": "present", "attributes": {"colour": "blue"}},
        "attributes": {"colour": "red"},
        "objectId": "o",
    }
)


class BoxExecutor(ToyExecutor):
    """When it goes, the whole box goes; nothing comes back."""

    puts_back: ClassVar[bool] = False

    def leaving(self, spec: ToySpec) -> ToySpec:
        return spec.model_copy(update={"colour": "every"})

    def disruption(self, spec: ToySpec, request: ChangeRequest) -> Disruption:
        return Disruption.DATA_LOSS if request.before.extra.get("full") else Disruption.NONE


def removal(executor: ToyExecutor) -> Change:
    instance = recorded_instance(ENTRY, Registry({"toy": executor}))
    assert instance is not None
    asked = leaving(instance)
    work = HostWork(Host(name="n1"), {ENTRY.address: ENTRY}, {})
    work.answer = HostAnswer("n1", facts={"machine_id": "m1"})
    seen = Observation.present({"colour": "red"}, {"notes": ["the ball goes too"], "full": True})
    work.answer.seen[ENTRY.address] = Seen(asked.rendered, None, seen)
    [planned] = removals(work, {ENTRY.address: asked}, CONCEAL)
    return planned.change


def test_a_removal_says_what_goes_along_and_what_does_not_come_back() -> None:
    change = removal(BoxExecutor())
    assert (change.action, change.disruption) == (ActionKind.DELETE, Disruption.DATA_LOSS)
    assert change.notes == ("the ball goes too",)
    assert change.after is None


def test_data_that_a_removal_takes_needs_a_word() -> None:
    planned = PlannedStep(removal(BoxExecutor()), instance(rendered(ToySpec(thing="a"))), ENTRY, None)
    [found] = losing(planned, ["other/*"])
    assert found.summary == "m/t/s@n1 would lose data"
    assert "--allow-destroy 'm/t/s@n1'" in found.detail
    assert losing(planned, ["m/*"]) == []
    assert losing(replace(planned, change=removal(TOY)), []) == []


def test_what_was_there_before_comes_back_where_the_kind_puts_it_back() -> None:
    change = removal(TOY)
    assert change.notes == ("what was there before comes back", "the ball goes too")
    assert change.after == {"colour": "blue"}


def test_drift_is_about_what_was_applied_and_not_about_what_is_to_go() -> None:
    registry = Registry({"toy": BoxExecutor()})
    instance = recorded_instance(ENTRY, registry)
    assert instance is not None
    work = HostWork(Host(name="n1"), {ENTRY.address: ENTRY}, {})
    found = besides(work, {ENTRY.address: leaving(instance)}, registry, CONCEAL)
    assert list(found) == [PREFIX + ENTRY.address]
    assert found[PREFIX + ENTRY.address].rendered.spec == ToySpec(thing="a", colour="red")
    assert work.settled == set()


def test_one_question_does_where_both_are_the_same() -> None:
    registry = Registry({"toy": TOY})
    instance = recorded_instance(ENTRY, registry)
    assert instance is not None
    assert leaving(instance) is instance
    work = HostWork(Host(name="n1"), {ENTRY.address: ENTRY}, {})
    assert besides(work, {ENTRY.address: instance}, registry, CONCEAL) == {}
    assert work.settled == {ENTRY.address}


def test_what_a_plan_did_not_see_is_not_lost() -> None:
    instance = recorded_instance(ENTRY, Registry({"toy": BoxExecutor()}))
    assert instance is not None
    full = ChangeRequest(ActionKind.UPDATE, Observation.present({}, {"full": True}))
    change = Change(address=ENTRY.address, kind="toy", action=ActionKind.UPDATE)
    planned = PlannedStep(change, instance, ENTRY, None)
    assert loses_more(full, instance.rendered, planned)
    assert not loses_more(replace(full, before=Observation.absent()), instance.rendered, planned)
    said = PlannedStep(change.model_copy(update={"disruption": Disruption.DATA_LOSS}), instance, ENTRY, None)
    assert not loses_more(full, instance.rendered, said)
