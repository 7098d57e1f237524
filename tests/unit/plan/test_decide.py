"""Actions and reasons of single steps."""

from __future__ import annotations

import pytest

from kubexms.plan.conceal import Concealer
from kubexms.plan.decide import Evidence, decide
from kubexms.plan.model import HIDDEN, Change, Reason
from kubexms.plan.rendered import Instance, Rendered
from kubexms.spec.pipeline import StepSpec
from kubexms.state.digest import digest
from kubexms.state.model import Intent, StepState
from kubexms.step.contract import ActionKind
from kubexms.step.observation import Observation
from tests.unit.plan.toys import ToySpec, instance, rendered

CONCEAL = Concealer(b"k" * 32)
RED = Observation.present({"colour": "red", "secret": ""})
BLUE = Observation.present({"colour": "blue", "secret": ""})


def entry(made: Rendered, seen: Observation, **more: object) -> StepState:
    """What state holds after `made` was applied and `seen` was observed."""
    return StepState.model_validate(
        {
            "address": "m/t/s@n1",
            "kind": "toy",
            "spec": CONCEAL.spec(made),
            "spec_digest": CONCEAL.spec_digest(made),
            "observation_digest": CONCEAL.observation_digest(made, seen),
            "attributes": CONCEAL.compared(made, seen),
            "machine_id": "m1",
            **more,
        }
    )


def decided(
    made: Rendered,
    seen: Observation,
    known: StepState | None = None,
    step: StepSpec | None = None,
    **more: object,
) -> Change:
    placed: Instance = instance(made, step)
    return decide(Evidence(placed, seen, known, machine_id="m1", **more), CONCEAL)  # type: ignore[arg-type]


RED_TOY = rendered(ToySpec(thing="a", colour="red"))


def test_a_step_that_state_does_not_know_is_new() -> None:
    assert decided(RED_TOY, BLUE).reason is Reason.NEW


def test_a_no_op_has_no_reason() -> None:
    change = decided(RED_TOY, RED, entry(RED_TOY, RED))
    assert (change.action, change.reason) == (ActionKind.NO_OP, None)


def test_the_host_changed_and_the_spec_did_not() -> None:
    assert decided(RED_TOY, BLUE, entry(RED_TOY, RED)).reason is Reason.DRIFT


def test_the_spec_changed() -> None:
    before = rendered(ToySpec(thing="a", colour="blue"))
    assert decided(RED_TOY, BLUE, entry(before, BLUE)).reason is Reason.SPEC_CHANGED


def test_a_fact_that_changed_is_named() -> None:
    before = rendered(ToySpec(thing="a", colour="blue"))
    known = entry(before, BLUE, inputs={"facts.cpus": digest(2)})
    change = decided(RED_TOY, BLUE, known, inputs={"facts.cpus": digest(4)})
    assert (change.reason, change.triggered_by) == (Reason.INPUTS_CHANGED, ("facts.cpus",))


def test_a_reinstalled_host_voids_what_state_knew() -> None:
    known = entry(RED_TOY, RED, machine_id="another")
    assert decided(RED_TOY, Observation.absent(), known).reason is Reason.REINSTALLED


def test_a_restart_that_is_due_is_not_forgotten_over_another_reason() -> None:
    """What it restarts for comes with the step, whatever else the plan says of it."""
    for known, reason in (
        (entry(RED_TOY, RED, machine_id="another"), Reason.REINSTALLED),
        (entry(RED_TOY, RED, tainted=True), Reason.INTERRUPTED),
        (entry(rendered(ToySpec(thing="a", colour="blue")), BLUE), Reason.SPEC_CHANGED),
    ):
        change = decided(RED_TOY, BLUE, known, pending_sources=("config",))
        assert (change.reason, change.triggered_by) == (reason, ("config",))


def test_what_cannot_be_seen_is_no_drift() -> None:
    change = decided(RED_TOY, Observation.unknown("the API is down"), entry(RED_TOY, RED))
    assert (change.reason, change.unknown) == (Reason.UNOBSERVED, "the API is down")


def test_an_open_intent_says_interrupted() -> None:
    intent = Intent.model_validate(
        {"address": "m/t/s@n1", "run": "r", "kind": "toy", "action": "create", "at": "2026-01-01T00:00:00Z"}
    )
    assert decided(RED_TOY, BLUE, None, intent=intent).reason is Reason.INTERRUPTED


def test_a_tainted_entry_says_interrupted() -> None:
    assert decided(RED_TOY, BLUE, entry(RED_TOY, RED, tainted=True)).reason is Reason.INTERRUPTED


def test_a_watched_step_with_a_change_triggers() -> None:
    change = decided(RED_TOY, RED, entry(RED_TOY, RED), pending_sources=("config",))
    assert (change.action, change.reason, change.triggered_by) == (
        ActionKind.UPDATE,
        Reason.TRIGGERED,
        ("config",),
    )


def test_a_changed_trigger_input_triggers_once_it_was_recorded() -> None:
    step = StepSpec(name="s", kind="toy", triggers=("v",))
    made = RED_TOY
    placed = Instance(instance(made).address, step, made, 0, trigger=["v2"])
    known = entry(made, RED, trigger_digest=digest(["v1"]))
    change = decide(Evidence(placed, RED, known, machine_id="m1"), CONCEAL)
    assert (change.action, change.reason) == (ActionKind.UPDATE, Reason.TRIGGERED)


@pytest.mark.parametrize(
    ("policy", "known", "same_spec", "action"),
    [
        ("once", False, True, ActionKind.RUN),
        ("once", True, False, ActionKind.NO_OP),
        ("on-change", True, True, ActionKind.NO_OP),
        ("on-change", True, False, ActionKind.RUN),
        ("always", True, True, ActionKind.RUN),
    ],
)
def test_imperative_steps_run_as_their_policy_says(
    policy: str, known: bool, same_spec: bool, action: ActionKind
) -> None:
    made = rendered(ToySpec.model_validate({"thing": "a", "policy": policy}))
    before = (
        made
        if same_spec
        else rendered(ToySpec.model_validate({"thing": "a", "policy": policy, "colour": "x"}))
    )
    seen = Observation.present({"colour": "grey"})
    assert decided(made, seen, entry(before, seen) if known else None).action is action


def test_sensitive_values_are_hidden_in_the_change_and_keyed_in_digests() -> None:
    made = rendered(ToySpec(thing="a", colour="red", secret="canary"), sensitive=frozenset({"secret"}))
    change = decided(made, Observation.present({"colour": "red", "secret": "older"}))
    assert change.before == {"colour": "red", "secret": HIDDEN}
    assert change.after == {"colour": "red", "secret": HIDDEN}
    assert "canary" not in change.model_dump_json()
    assert "canary" not in str(CONCEAL.spec(made))
    assert Concealer(b"z" * 32).spec_digest(made) != CONCEAL.spec_digest(made)


def test_replace_is_asked_for() -> None:
    change = decided(RED_TOY, RED, entry(RED_TOY, RED), replace=True)
    assert (change.action, change.reason) == (ActionKind.REPLACE, Reason.REPLACE_REQUESTED)
