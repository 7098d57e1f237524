"""Runs every case of `tests/steps/<kind>/*.yaml`; see `cases.py` for what a case may say."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from kubexms.runtime.protocol import Action, Fragment
from kubexms.step.contract import ActionKind, ChangeRequest, StepExecutor
from kubexms.step.observation import Observation, Presence
from kubexms.step.registry import default_registry
from tests.steps.cases import Case, Expected, ExpectedAction, case_files

FILES = case_files()
REGISTRY = default_registry(plugins=False)
CASES = [
    pytest.param(file.kind, case, id=f"{file.kind}-{case.name}") for file in FILES for case in file.cases
]


@pytest.mark.parametrize(("kind", "case"), CASES)
def test_case(kind: str, case: Case) -> None:
    executor = REGISTRY.get(kind)
    if case.invalid is not None:
        with pytest.raises(ValidationError) as caught:
            executor.spec.from_json(case.spec)
        assert case.invalid in str(caught.value)
        return
    spec = executor.spec.from_json(case.spec)
    assert type(spec).from_json(spec.to_json()) == spec
    _check_spec(executor, spec, case)
    observation = Observation.absent()
    if case.record is not None:
        observation = executor.observe(spec, case.record.record())
        if case.observe is not None:
            _check_observation(observation, case.observe)
    change, differing = _compare(executor, spec, observation)
    if case.change is not None:
        assert change.value == case.change, (differing, observation)
    if case.differs is not None:
        assert differing == set(case.differs), observation
    if case.awaits is not None:
        assert executor.awaits(spec, observation) == set(case.awaits)
    if case.verdict is not None:
        message = executor.verdict(spec, observation)
        assert (case.verdict in message if case.verdict else False) if message else case.verdict == "", (
            message
        )
    request = ChangeRequest(change, observation, frozenset(differing), case.triggered_by)
    if case.disruption is not None:
        assert executor.disruption(spec, request).value == case.disruption
    if case.action is not None:
        _check_action(executor.action(spec, request), case.action)
    for undo in case.undo:
        prior = Observation(
            presence=Presence(undo.prior.presence), attributes=undo.prior.attributes, extra=undo.prior.extra
        )
        _check_action(executor.undo(spec, prior), undo)
        if undo.disruption is not None:
            going = ChangeRequest(ActionKind.DELETE, observation, prior=prior)
            assert executor.disruption(spec, going).value == undo.disruption


def _check_spec(executor: StepExecutor[Any], spec: Any, case: Case) -> None:
    if case.absent:
        assert executor.desired(spec) is None
    if case.desired is not None:
        assert executor.desired(spec) == case.desired
    if case.runs is not None:
        assert executor.runs(spec) == case.runs
    if case.secrets is not None:
        assert executor.secrets_from(spec) == set(case.secrets)
    if case.watches is not None:
        assert executor.watches(spec) == case.watches
    if case.probe is not None:
        fragments = [probe.fragment for probe in executor.probe([spec])]
        _check_script("".join(fragment.script for fragment in fragments), case.probe)
        if case.probe.user is not None:
            assert {fragment.user for fragment in fragments} == {case.probe.user}


def _compare(executor: StepExecutor[Any], spec: Any, seen: Observation) -> tuple[ActionKind, set[str]]:
    """What the framework's differ would find."""
    desired = executor.desired(spec)
    if desired is None:
        gone = seen.presence is Presence.ABSENT
        return (ActionKind.NO_OP if gone else ActionKind.DELETE), set()
    if seen.presence is not Presence.PRESENT:
        return (ActionKind.CREATE if seen.presence is Presence.ABSENT else ActionKind.UPDATE), set(desired)
    changed = {
        name
        for name, value in desired.items()
        if name not in seen.attributes or not executor.same(name, value, seen.attributes[name])
    }
    if not changed:
        return ActionKind.NO_OP, changed
    replaces = executor.replaces(spec, seen, frozenset(changed))
    return (ActionKind.REPLACE if replaces else ActionKind.UPDATE), changed


def _check_observation(observation: Observation, expected: Expected) -> None:
    assert observation.presence.value == expected.presence, observation
    if expected.attributes is not None:
        assert observation.attributes == expected.attributes
    for name, value in (expected.extra or {}).items():
        assert observation.extra.get(name) == value
    assert expected.reason in observation.reason


def _check_action(action: Action | None, expected: ExpectedAction) -> None:
    if expected.none:
        assert action is None
        return
    assert action is not None
    _check_script(action.script, expected)
    if expected.payloads is not None:
        known = {name: (payload.data or b"").decode() for name, payload in action.payloads.items()}
        assert known == expected.payloads
    if expected.backup is not None:
        assert action.backup == expected.backup
    if expected.user is not None:
        assert action.user == expected.user
    if expected.timeout is not None:
        assert action.timeout == expected.timeout
    assert action.expect_disconnect == expected.expect_disconnect


def _check_script(script: str, expected: ExpectedAction) -> None:
    for text in expected.contains:
        assert text in script, script
    for text in expected.lacks:
        assert text not in script, script


def test_fragments_are_read_only_questions_of_each_kind() -> None:
    """Every kind with cases answers for all its valid specs in fragments that promise one record each."""
    for file in FILES:
        executor = REGISTRY.get(file.kind)
        specs = [executor.spec.from_json(case.spec) for case in file.cases if case.invalid is None]
        probes = executor.probe(specs)
        assert sorted(index for probe in probes for index in probe.indexes) == list(range(len(specs)))
        for probe in probes:
            fragment: Fragment = probe.fragment
            assert fragment.records == len(probe.indexes)
