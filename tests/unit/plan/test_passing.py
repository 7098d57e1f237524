"""Which entry goes where when steps pass their objects on to each other."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kubexms.plan.passing import passed_on
from kubexms.plan.rendered import Instance
from kubexms.spec.address import Address
from kubexms.state.model import StepState
from tests.unit.plan.test_former import entry
from tests.unit.plan.toys import ToySpec, instance, rendered


def recorded(**things: str) -> dict[str, StepState]:
    found = {}
    for order, (name, thing) in enumerate(things.items()):
        address = f"m/t/{name}@n1"
        found[address] = entry(thing).model_copy(update={"address": address, "order": order})
    return found


def present(**things: str) -> list[Instance]:
    return [
        replace(instance(rendered(ToySpec(thing=thing))), address=Address.parse(f"m/t/{name}@n1"))
        for name, thing in things.items()
    ]


@pytest.mark.parametrize(
    ("was", "now", "passed"),
    [
        ({"a": "car", "b": "ball"}, {"a": "car", "b": "ball"}, {}),
        ({"a": "car"}, {"a": "ball"}, {}),
        ({"a": "car", "b": "ball"}, {"a": "ball", "b": "car"}, {"a": "ball", "b": "car"}),
        ({"a": "car", "b": "ball"}, {"a": "ball", "b": "doll"}, {"a": "ball", "b": "car"}),
        ({"a": "car", "b": "ball"}, {"a": "ball"}, {"a": "ball", "b": "car"}),
        ({"a": "car"}, {"new": "car", "a": "ball"}, {"new": "car", "a": None}),
        ({"a": "car"}, {"new": "car"}, {}),
        ({"a": "car", "b": "ball"}, {"a": "ball", "b": "ball"}, {}),
        ({"a": "car", "b": "ball", "c": "ball"}, {"a": "ball", "c": "ball"}, {}),
    ],
)
def test_entries_follow_their_objects(
    was: dict[str, str], now: dict[str, str], passed: dict[str, str | None]
) -> None:
    before = recorded(**was)
    found = passed_on(before, present(**now), ())
    told = {Address.parse(a).step: e and e.spec["thing"] for a, e in found.items()}
    assert told == passed
    for address, moved in found.items():
        assert moved is None or moved.address == address
        assert moved is None or address not in before or moved.order == before[address].order


def test_a_step_that_is_only_not_selected_keeps_what_is_known_of_its_object() -> None:
    was = recorded(a="car", b="ball")
    assert passed_on(was, present(a="ball"), ())
    assert not passed_on(was, present(a="ball"), {"m/t/b"})
