"""Whether a saved plan still holds."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from kubexms.plan.model import HIDDEN, Binding, Change, HostReport, HostStatus, Plan
from kubexms.plan.staleness import moved_since
from kubexms.step.contract import ActionKind

PLANNED = Change(
    address="m/t/s@n1",
    kind="toy",
    action=ActionKind.UPDATE,
    before={"colour": "red"},
    after={"colour": "blue"},
    changed=("colour",),
    binding=Binding(spec="v1:s", observation="v1:o", state="v1:e"),
)


def plan(*changes: Change, status: HostStatus = HostStatus.OK) -> Plan:
    return Plan(
        tool_version="0",
        created=datetime(2026, 1, 1, tzinfo=UTC),
        workspace="default",
        lineage="l",
        serial=1,
        spec_digest="v1:p",
        hosts=(HostReport(name="n1", status=status, error="no route"),),
        changes=changes,
    )


def test_nothing_moved() -> None:
    assert moved_since(plan(PLANNED), plan(PLANNED), {}) == []


@pytest.mark.parametrize("what", ["spec", "observation", "state"])
def test_each_binding_is_checked_and_named(what: str) -> None:
    now = PLANNED.model_copy(update={"binding": PLANNED.binding.model_copy(update={what: "v1:else"})})
    assert [item.what for item in moved_since(plan(PLANNED), plan(now), {})] == [what]


def test_a_moved_observation_shows_its_three_values() -> None:
    binding = PLANNED.binding.model_copy(update={"observation": "v1:else"})
    now = PLANNED.model_copy(update={"before": {"colour": "green"}, "binding": binding})
    (item,) = moved_since(plan(PLANNED), plan(now), {})
    assert item.detail == 'colour: planned from "red", observed now "green", desired "blue"'


@pytest.mark.parametrize("prefix", ["", "sha256:"])
def test_digests_are_shown_by_their_first_digits(prefix: str) -> None:
    binding = PLANNED.binding.model_copy(update={"observation": "v1:else"})
    was, now = ({"before": {"colour": prefix + digit * 64}} for digit in "ab")
    moved = PLANNED.model_copy(update={**now, "binding": binding})
    (item,) = moved_since(plan(PLANNED.model_copy(update=was)), plan(moved), {})
    assert item.detail == (
        f'colour: planned from "{prefix}aaaaaaaaaaaa…", observed now "{prefix}bbbbbbbbbbbb…", desired "blue"'
    )


def test_a_moved_spec_shows_what_was_and_what_is_desired() -> None:
    binding = PLANNED.binding.model_copy(update={"spec": "v1:else"})
    now = PLANNED.model_copy(update={"after": {"colour": "black"}, "binding": binding})
    (item,) = moved_since(plan(PLANNED), plan(now), {})
    why, values = item.detail.split("\n")
    assert why.startswith("its rendered fields changed")
    assert values == (
        'colour: planned from "red", observed now "red", desired "blue" in the plan and "black" now'
    )


@pytest.mark.parametrize(
    ("update", "expected"),
    [
        ({"before": None}, 'colour: planned from "red", observed now absent, desired "blue"'),
        (
            {"before": None, "unknown": "permission denied"},
            'colour: planned from "red", observed now unknown, desired "blue"',
        ),
        (
            {"after": {}, "after_unknown": ("colour",)},
            (
                'colour: planned from "red", observed now "red", '
                'desired "blue" in the plan and known after apply now'
            ),
        ),
        (
            {"before": {"colour": HIDDEN}},
            f'colour: planned from "red", observed now {HIDDEN}, desired "blue"',
        ),
        ({}, 'colour: planned from "red", observed now "red", desired "blue"'),
    ],
)
def test_values_that_are_none_are_told_apart(update: dict[str, Any], expected: str) -> None:
    binding = PLANNED.binding.model_copy(update={"observation": "v1:else"})
    now = PLANNED.model_copy(update={"binding": binding, **update})
    (item,) = moved_since(plan(PLANNED), plan(now), {})
    assert item.detail == expected


def test_a_step_that_is_right_by_now_has_moved() -> None:
    now = PLANNED.model_copy(update={"action": ActionKind.NO_OP, "binding": Binding()})
    (item,) = moved_since(plan(PLANNED), plan(now), {})
    assert item.what == "observation"


def test_a_step_that_left_the_spec_has_moved() -> None:
    (item,) = moved_since(plan(PLANNED), plan(), {})
    assert item.what == "spec"


def test_an_unreachable_host_has_moved() -> None:
    (item,) = moved_since(plan(PLANNED), plan(status=HostStatus.UNREACHABLE), {})
    assert (item.what, item.detail) == ("unreachable", "no route")


def test_changes_of_others_do_not_matter_unless_depended_on() -> None:
    other = PLANNED.model_copy(update={"address": "m/t/other@n1"})
    assert moved_since(plan(PLANNED), plan(PLANNED, other), {}) == []
    (item,) = moved_since(plan(PLANNED), plan(PLANNED, other), {"m/t/s@n1": ("m/t/other@n1",)})
    assert item.what == "dependency"
