"""What only state still knows: moves, removals, forgets."""

from __future__ import annotations

import pytest

from kubexms.plan.conceal import Concealer
from kubexms.plan.model import Reason
from kubexms.plan.observe import HostAnswer
from kubexms.plan.questions import Seen
from kubexms.plan.recorded import apply_moves, recorded_instance
from kubexms.plan.removals import removals
from kubexms.plan.rendered import Unselected
from kubexms.plan.working import HostWork
from kubexms.spec.inventory import Host
from kubexms.spec.pipeline import Moved
from kubexms.state.model import Intent, StateMeta, StateSnapshot, StepState
from kubexms.step.contract import ActionKind
from kubexms.step.observation import Observation
from kubexms.step.registry import Registry
from tests.unit.plan.toys import TOY

REGISTRY = Registry({"toy": TOY})
META = StateMeta(lineage="l", serial=1, workspace="default")
CONCEAL = Concealer(b"k" * 32)
RED = Observation.present({"colour": "red", "secret": ""})


def known(address: str = "m/t/s@n1", **more: object) -> StepState:
    data = {
        "address": address,
        "kind": "toy",
        "spec": {"thing": "a", "colour": "red"},
        "specDigest": "v1:x",
        "touched": True,
        "prior": {"presence": "absent"},
        "attributes": {"colour": "red"},
        "objectId": "o",
        **more,
    }
    return StepState.from_json(data)


def removed(
    entry: StepState, seen: Observation = RED, unselected: list[Unselected] | None = None
) -> list[tuple[ActionKind, Reason]]:
    found = recorded_instance(entry, REGISTRY)
    work = HostWork(Host(name="n1"), {entry.address: entry}, {}, unselected=unselected or [])
    work.answer = HostAnswer("n1", facts={"machine_id": "m1"})
    if found is not None:
        work.answer.seen[entry.address] = Seen(found.rendered, None, seen)
    planned = removals(work, {entry.address: found} if found else {}, CONCEAL)
    return [(step.change.action, step.change.reason) for step in planned if step.change.reason is not None]


def test_what_left_the_spec_is_deleted() -> None:
    assert removed(known()) == [(ActionKind.DELETE, Reason.REMOVED_FROM_SPEC)]


def test_what_was_only_adopted_is_forgotten() -> None:
    assert removed(known(touched=False)) == [(ActionKind.FORGET, Reason.REMOVED_FROM_SPEC)]


def test_what_a_fact_deselected_is_forgotten() -> None:
    off = [Unselected("m/t/s", "n1", by_fact=True)]
    assert removed(known(), unselected=off) == [(ActionKind.FORGET, Reason.DESELECTED)]


def test_an_unknown_condition_neither_deletes_nor_forgets() -> None:
    assert removed(known(), unselected=[Unselected("m/t/s", "n1", unknown="outputs.x")]) == []


def test_nothing_is_undone_on_a_reinstalled_host() -> None:
    assert removed(known(machineId="another")) == [(ActionKind.FORGET, Reason.REMOVED_FROM_SPEC)]


@pytest.mark.parametrize("kind", ["gone", "toy"])
def test_a_record_that_cannot_be_read_is_forgotten(kind: str) -> None:
    assert removed(known(kind=kind, spec={"nonsense": 1})) == [(ActionKind.FORGET, Reason.REMOVED_FROM_SPEC)]


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ({"nonsense": 1}, "this kubexms cannot read the recorded toy"),
        ({"thing": {"$keyed": "v1k:1"}, "state": {}}, "this toy was applied with a secret that is not kept"),
    ],
)
def test_it_is_said_why_a_record_cannot_be_read(spec: dict[str, object], why: str) -> None:
    entry = known(spec=spec)
    assert recorded_instance(entry, REGISTRY) is None
    work = HostWork(Host(name="n1"), {entry.address: entry}, {})
    (planned,) = removals(work, {}, CONCEAL)
    assert planned.change.notes == (f"{why}; the host keeps what it has",)


def test_a_recorded_step_without_its_secret_can_still_be_asked() -> None:
    found = recorded_instance(known(spec={"thing": "a", "secret": {"$keyed": "v1k:1"}}), REGISTRY)
    assert found is not None
    assert found.rendered.sensitive == {"secret"}


@pytest.mark.parametrize(
    ("source", "target", "old", "new"),
    [
        ("m", "n", "m/t/s@n1", "n/t/s@n1"),
        ("m/t", "m/u", "m/t/s@n1", "m/u/s@n1"),
        ("m/t/s", "m/t/r", 'm/t/s["k"]@n1', 'm/t/r["k"]@n1'),
    ],
)
def test_moves_rename_whole_names(source: str, target: str, old: str, new: str) -> None:
    snapshot = StateSnapshot(meta=META, steps={old: known(old), "mm/t/s@n1": known("mm/t/s@n1")})
    moved, previous = apply_moves(snapshot, [Moved.from_json({"from": source, "to": target})])
    assert previous == {new: old}
    assert set(moved.steps) == {new, "mm/t/s@n1"}
    assert moved.steps[new].address == new


def test_a_move_that_was_done_is_left_alone() -> None:
    snapshot = StateSnapshot(meta=META, steps={"m/t/s@n1": known(), "n/t/s@n1": known("n/t/s@n1")})
    _, previous = apply_moves(snapshot, [Moved.from_json({"from": "m", "to": "n"})])
    assert previous == {}


def test_what_a_run_began_goes_along() -> None:
    when = "2026-01-02T03:04:05Z"
    data = {"address": "m/t/s@n1", "run": "r", "kind": "toy", "action": "create", "spec": {}, "at": when}
    begun = Intent.model_validate({**data, "specDigest": "v1:x"})
    other = begun.model_copy(update={"address": "m/t/r@n1"})
    snapshot = StateSnapshot(
        meta=META, steps={"m/t/s@n1": known()}, intents={"m/t/s@n1": begun, "m/t/r@n1": other}
    )
    moved, previous = apply_moves(snapshot, [Moved.from_json({"from": "m", "to": "n"})])
    assert previous == {"n/t/s@n1": "m/t/s@n1", "n/t/r@n1": "m/t/r@n1"}
    assert [(name, intent.address) for name, intent in moved.intents.items()] == [(n, n) for n in previous]
    assert set(moved.steps) == {"n/t/s@n1"}
