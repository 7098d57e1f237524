"""The generic differ."""

from __future__ import annotations

from kubexms.plan.compare import compare
from kubexms.step.contract import ActionKind
from kubexms.step.observation import Observation
from tests.unit.plan.toys import ToySpec, rendered

RED = Observation.present({"colour": "red", "secret": ""})


def test_nothing_to_do_when_every_desired_attribute_is_as_observed() -> None:
    found = compare(rendered(ToySpec(thing="a", colour="red")), RED)
    assert (found.action, found.changed) == (ActionKind.NO_OP, ())


def test_an_absent_object_is_created_with_all_desired_attributes() -> None:
    found = compare(rendered(ToySpec(thing="a", colour="red")), Observation.absent())
    assert (found.action, found.before, found.after) == (ActionKind.CREATE, None, {"colour": "red"})


def test_only_attributes_that_differ_are_changed() -> None:
    found = compare(rendered(ToySpec(thing="a", colour="blue", secret="")), RED)
    assert (found.action, found.changed) == (ActionKind.UPDATE, ("colour",))
    assert found.after == {"colour": "blue", "secret": ""}


def test_ignored_attributes_count_only_on_creation() -> None:
    made = rendered(ToySpec(thing="a", colour="blue"))
    assert compare(made, RED, ("colour",)).action is ActionKind.NO_OP
    assert compare(made, Observation.absent(), ("colour",)).after == {"colour": "blue"}


def test_what_is_to_be_absent_is_deleted_only_if_it_is_there() -> None:
    made = rendered(ToySpec(thing="a", state="absent"))
    assert compare(made, Observation.absent()).action is ActionKind.NO_OP
    assert compare(made, RED).action is ActionKind.DELETE


def test_an_unknown_attribute_is_known_after_apply_and_never_guessed() -> None:
    made = rendered(ToySpec(thing="a", colour="unknown"), {"colour": "outputs.x.colour"})
    found = compare(made, RED)
    assert (found.action, found.after_unknown) == (ActionKind.UPDATE, ("colour",))
    assert "colour" not in (found.after or {})
    assert found.waits_for == ("outputs.x.colour",)


def test_an_unknown_identity_makes_everything_unknown() -> None:
    found = compare(
        rendered(ToySpec(thing="unknown"), {"thing": "facts.os.id"}), Observation.unknown("not asked")
    )
    assert (found.action, found.after, found.after_unknown) == (ActionKind.CREATE, {}, ("colour",))


def test_an_unknown_observation_is_no_error_and_no_no_op() -> None:
    found = compare(rendered(ToySpec(thing="a")), Observation.unknown("locked"))
    assert (found.action, found.before) == (ActionKind.UPDATE, None)
