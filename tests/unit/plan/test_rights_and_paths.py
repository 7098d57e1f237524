"""What a host denies, and what is looked at only when an earlier step has changed it."""

from __future__ import annotations

import pytest
from pydantic import JsonValue

from kubexms.plan.flow import changed_before
from kubexms.plan.model import Change
from kubexms.plan.observe import HostAnswer
from kubexms.plan.questions import Seen
from kubexms.plan.rights import become_root, unseen_for_lack_of_rights
from kubexms.plan.working import HostWork, PlannedStep
from kubexms.spec.inventory import Host
from kubexms.step.contract import ActionKind
from kubexms.step.observation import Observation
from tests.unit.plan.toys import ToyExecutor, ToySpec, instance, rendered


class PathToy(ToyExecutor):
    """A toy that lies at a path, and looks at what is below others."""

    def paths(self, spec: ToySpec) -> tuple[str, ...]:
        return (spec.thing,)

    def looks_at(self, spec: ToySpec) -> tuple[str, ...]:
        return ("/etc/apt",) if spec.colour == "curious" else ()


def work(thing: str, action: ActionKind) -> HostWork:
    """A host with one step before."""
    spec = ToySpec(thing=thing)
    before = instance(type(rendered(spec))(PathToy(), spec))
    made = HostWork(Host(name="n1"), {}, {})
    change = Change(address="m/t/before@n1", kind="toy", action=action)
    made.steps["m/t/before@n1"] = PlannedStep(change, before, None, None)
    return made


@pytest.mark.parametrize(
    ("path", "action", "waits"),
    [
        ("/etc/apt/sources.list.d/a.list", ActionKind.CREATE, True),
        ("/etc/apt", ActionKind.UPDATE, True),
        ("/etc/apt/sources.list.d/a.list", ActionKind.NO_OP, False),
        ("/etc/aptitude", ActionKind.CREATE, False),
        ("/etc", ActionKind.UPDATE, False),
    ],
)
def test_a_check_waits_for_what_changes_below_its_paths(path: str, action: ActionKind, waits: bool) -> None:
    for colour in ("curious", "grey"):
        spec = ToySpec(thing="/x", colour=colour)
        now = instance(type(rendered(spec))(PathToy(), spec))
        expected = "m/t/before@n1" if waits and colour == "curious" else ""
        assert changed_before(work(path, action), now) == expected


@pytest.mark.parametrize(
    ("facts", "advice"),
    [
        ({"uid": 1000, "user": "ops"}, "It was ops, not root: with `become: {method: sudo}`"),
        ({"uid": 0, "user": "root"}, ""),
        ({}, ""),
    ],
)
def test_who_is_not_root_is_told_how_to_be(facts: dict[str, JsonValue], advice: str) -> None:
    assert become_root(facts).startswith(advice)
    assert bool(become_root(facts)) == bool(advice)
    made = HostWork(Host(name="n1"), {}, {})
    made.answer = HostAnswer("n1", facts=facts)
    unseen = rendered(ToySpec(thing="a"))
    for name, reason in (
        ("a", "Permission denied: /root"),
        ("b", "the toy box is locked"),
        ("c", "are you root?"),
    ):
        made.answer.seen[f"m/t/{name}@n1"] = Seen(unseen, None, Observation.unknown(reason))
    told = list(unseen_for_lack_of_rights({"n1": made}))
    assert [item.summary for item in told] == (
        ["n1 is not seen whole: m/t/a@n1 and 1 more could not be observed"] if advice else []
    )
