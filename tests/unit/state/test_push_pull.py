"""Whatever a state holds, pushing what was pulled changes nothing."""

from __future__ import annotations

import json
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import JsonValue

from kubexms.spec.address import Address
from kubexms.spec.base import FrozenModel
from kubexms.state.memory import MemoryStore
from kubexms.state.model import HostState, Intent, LockInfo, OpenScope, RunRecord, StepState
from kubexms.state.store import open_store
from kubexms.step.observation import Observation

M = TypeVar("M", bound=FrozenModel)
NOW = datetime(2030, 1, 2, tzinfo=UTC)
NAMES = st.sampled_from(["a", "b", "c-d", "e.f"])
VALUES: st.SearchStrategy[JsonValue] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
ATTRIBUTES = st.dictionaries(st.text(max_size=8), VALUES, max_size=4)
ADDRESSES = st.builds(
    Address, NAMES, NAMES, NAMES.filter(lambda name: name != "hook"), NAMES, st.none() | st.text(max_size=6)
).map(str)
OBSERVATIONS = st.one_of(
    st.builds(Observation.present, ATTRIBUTES, ATTRIBUTES), st.just(Observation.absent())
)


def models(kind: type[M], /, **fields: st.SearchStrategy[object]) -> st.SearchStrategy[M]:
    return st.fixed_dictionaries(fields).map(kind.model_validate)


STEPS = models(
    StepState,
    address=ADDRESSES,
    kind=NAMES,
    spec=ATTRIBUTES,
    spec_digest=st.just("v1:0"),
    prior=st.none() | OBSERVATIONS,
    touched=st.booleans(),
    outputs=ATTRIBUTES,
    remembered=VALUES,
    depends_on=st.lists(ADDRESSES, max_size=3).map(tuple),
    order=st.integers(0, 10**9),
    updated=st.none() | st.just(NOW),
)
INTENTS = models(
    Intent,
    address=ADDRESSES,
    run=NAMES,
    kind=NAMES,
    action=NAMES,
    prior=st.none() | OBSERVATIONS,
    at=st.just(NOW),
)
HOSTS = models(HostState, name=NAMES, connection=ATTRIBUTES, facts=ATTRIBUTES)
SCOPES = models(OpenScope, scope=st.sampled_from(["", "m", "m/t@n1"]), run=NAMES, at=st.just(NOW))
RUNS = models(RunRecord, id=NAMES, actor=st.text(max_size=5), started=st.just(NOW))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(STEPS, max_size=5),
    st.lists(INTENTS, max_size=3),
    st.lists(HOSTS, max_size=3),
    st.lists(SCOPES, max_size=3),
    st.lists(RUNS, max_size=3),
)
def test_push_of_pull_is_identity(
    steps: list[StepState],
    intents: list[Intent],
    hosts: list[HostState],
    scopes: list[OpenScope],
    runs: list[RunRecord],
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        source, target, memory = (
            open_store(Path(directory), "prod"),
            open_store(Path(directory) / "other", "prod"),
            MemoryStore("prod"),
        )
        with source.lock(LockInfo(id="1", operation="x", who="y", created=NOW), timeout=0) as writer:
            writer.put_steps(steps)
            writer.put_hosts(hosts)
            for intent in intents:
                writer.open_intent(intent)
            for scope in scopes:
                writer.open_scope(scope)
            for run in runs:
                writer.begin_run(run)
        document = json.loads(json.dumps(source.pull()))
        for other in (target, memory):
            other.push(document)
            assert other.snapshot() == source.snapshot()
            assert other.pull() == source.pull()
            assert other.runs() == source.runs()
        assert source.snapshot().steps == {entry.address: entry for entry in steps}
        source.close()
        target.close()
