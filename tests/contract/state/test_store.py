"""What every store does."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest

from kubexms.errors import StateError, StateLocked, StateVersionError
from kubexms.state.history import KEPT, Findings
from kubexms.state.model import (
    HostState,
    Intent,
    LockInfo,
    OpenScope,
    RunRecord,
    StepRecord,
    StepState,
)
from kubexms.state.protocol import StateStore
from kubexms.step.observation import Observation
from tests.contract.state.conftest import Make

NOW = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)


def info(number: str = "1") -> LockInfo:
    return LockInfo(id=number, operation="apply", who="ann@desk", created=NOW, pid=7)


def step(address: str, **more: object) -> StepState:
    return StepState.model_validate(
        {"address": address, "kind": "file", "spec": {"path": "/x"}, "spec_digest": "v1:0", **more}
    )


def intent(address: str) -> Intent:
    return Intent(address=address, run="r1", kind="file", action="create", prior=Observation.absent(), at=NOW)


def record(address: str, status: str = "ok") -> StepRecord:
    return StepRecord(address=address, kind="file", action="create", status=status)


def run(number: str, minutes: int = 0) -> RunRecord:
    return RunRecord(id=number, actor="ann", started=NOW + timedelta(minutes=minutes))


def test_a_new_state_is_empty(store: StateStore) -> None:
    snapshot = store.snapshot()
    assert (snapshot.steps, snapshot.hosts, snapshot.meta.serial) == ({}, {}, 0)
    assert snapshot.meta.workspace == "prod"
    assert snapshot.meta == store.meta()
    assert len(store.key()) == 32
    assert store.runs() == ()


def test_the_first_write_keeps_lineage_and_key(store: StateStore) -> None:
    lineage, key = store.meta().lineage, store.key()
    with store.lock(info(), timeout=0) as writer:
        writer.put_steps([step("m/t/s@n1")])
    assert (store.meta().lineage, store.key()) == (lineage, key)


def test_two_states_differ(make: Make) -> None:
    first, second = make(), make()
    assert first.meta().lineage != second.meta().lineage
    assert first.key() != second.key()


def test_an_intent_is_seen_until_its_result(store: StateStore) -> None:
    with store.lock(info(), timeout=0) as writer:
        writer.begin_run(run("r1"))
        writer.open_intent(intent("m/t/s@n1"))
        assert list(store.snapshot().intents) == ["m/t/s@n1"]
        writer.close_intent(record("m/t/s@n1"), run="r1", entry=step("m/t/s@n1"))
        snapshot = store.snapshot()
    assert snapshot.intents == {}
    assert snapshot.steps["m/t/s@n1"] == step("m/t/s@n1")
    assert store.run("r1")[1] == (record("m/t/s@n1"),)


def test_a_failed_step_keeps_its_entry(store: StateStore) -> None:
    with store.lock(info(), timeout=0) as writer:
        writer.put_steps([step("m/t/s@n1", order=4)])
        writer.open_intent(intent("m/t/s@n1"))
        writer.close_intent(record("m/t/s@n1", "failed"), run="r1")
    assert store.snapshot().steps["m/t/s@n1"].order == 4
    assert store.snapshot().intents == {}


def test_a_removed_step_is_gone(store: StateStore) -> None:
    with store.lock(info(), timeout=0) as writer:
        writer.put_steps([step("m/t/s@n1")])
        writer.open_intent(intent("m/t/s@n1"))
        writer.close_intent(record("m/t/s@n1"), run="r1", remove=True)
    assert store.snapshot().steps == {}


def test_an_intent_can_outlive_its_result(store: StateStore) -> None:
    with store.lock(info(), timeout=0) as writer:
        writer.begin_run(run("r1"))
        writer.open_intent(intent("m/t/s@n1"))
        writer.keep_intent(record("m/t/s@n1", "interrupted"), run="r1")
        writer.record([record("m/t/z@n1", "skipped")], run="r1")
    assert store.snapshot().intents["m/t/s@n1"] == intent("m/t/s@n1")
    assert [item.status for item in store.run("r1")[1]] == ["interrupted", "skipped"]


def test_the_serial_rises_once_per_session_that_changes_something(store: StateStore) -> None:
    with store.lock(info(), timeout=0) as writer:
        writer.begin_run(run("r1"))
        writer.record([record("m/t/s@n1", "skipped")], run="r1")
        writer.finish_run(run("r1"))
    assert store.meta().serial == 0
    with store.lock(info(), timeout=0) as writer:
        writer.put_steps([step("m/t/s@n1")])
        writer.put_steps([step("m/t/r@n1")])
    assert store.meta().serial == 1


def test_moves_are_all_or_none(store: StateStore) -> None:
    with store.lock(info(), timeout=0) as writer:
        writer.put_steps([step("a/t/s@n1"), step("a/t/r@n1"), step("c/t/s@n1")])
        writer.open_intent(intent("a/t/s@n1"))
        with pytest.raises(StateError, match="already"):
            writer.move([("a/t/r@n1", "b/t/r@n1"), ("a/t/s@n1", "c/t/s@n1")])
        assert set(store.snapshot().steps) == {"a/t/s@n1", "a/t/r@n1", "c/t/s@n1"}
        with pytest.raises(StateError, match="not in the state"):
            writer.move([("x/t/s@n1", "y/t/s@n1")])
        writer.move([("a/t/s@n1", "b/t/s@n1")])
        writer.open_intent(intent("a/t/begun@n1"))
        with pytest.raises(StateError, match="already"):
            writer.move([("c/t/s@n1", "a/t/begun@n1")])
        writer.move([("a/t/begun@n1", "b/t/begun@n1")])
    assert "b/t/begun@n1" in store.snapshot().intents, "what was begun has a name, too, and no entry yet"
    snapshot = store.snapshot()
    assert snapshot.steps["b/t/s@n1"].address == snapshot.intents["b/t/s@n1"].address == "b/t/s@n1"
    assert "a/t/s@n1" not in snapshot.steps


def test_hosts_go_with_everything_on_them(store: StateStore) -> None:
    with store.lock(info(), timeout=0) as writer:
        writer.put_hosts([HostState(name="n1", machine_id="a"), HostState(name="n11")])
        writer.put_steps([step("m/t/s@n1"), step("m/t/s@n11"), step('m/t/s["x@n1"]@n2')])
        writer.open_intent(intent("m/t/s@n1"))
        writer.remove_host("n1")
    snapshot = store.snapshot()
    assert (set(snapshot.hosts), snapshot.intents) == ({"n11"}, {})
    assert set(snapshot.steps) == {"m/t/s@n11", 'm/t/s["x@n1"]@n2'}


def test_scopes_and_applied_plans(store: StateStore) -> None:
    scope = OpenScope(scope="m/t@n1", run="r1", at=NOW)
    with store.lock(info(), timeout=0) as writer:
        writer.open_scope(scope)
        writer.open_scope(OpenScope(scope="", run="r1", at=NOW))
        writer.mark_applied("v1:b")
        writer.mark_applied("v1:a")
        writer.mark_applied("v1:a")
        assert store.snapshot().scopes["m/t@n1"] == scope
        writer.close_scope("")
    assert set(store.snapshot().scopes) == {"m/t@n1"}
    assert store.snapshot().applied_plans == ("v1:a", "v1:b")


def test_runs_newest_first_and_by_prefix(store: StateStore) -> None:
    with store.lock(info(), timeout=0) as writer:
        for number, name in enumerate(("aa1", "aa2", "aa", "b")):
            writer.begin_run(run(name, number), plan={"changes": []})
    assert [item.id for item in store.runs()] == ["b", "aa", "aa2", "aa1"]
    assert [item.id for item in store.runs(limit=1)] == ["b"]
    assert store.run("b")[0].id == "b"
    assert store.run("aa")[0].id == "aa", "the whole id, although it begins others"
    with pytest.raises(StateError, match="3 runs"):
        store.run("a")
    with pytest.raises(StateError, match="no run zz"):
        store.run("zz")


def test_nobody_writes_beside_the_holder(store: StateStore) -> None:
    waits: list[LockInfo] = []
    with store.lock(info("first"), timeout=0):
        with pytest.raises(StateLocked, match="ann@desk"), store.lock(info("second"), timeout=0):
            pass
        with (
            pytest.raises(StateLocked),
            store.lock(info("second"), timeout=0.01, waiting=waits.append),
        ):
            pass
        with pytest.raises(StateError, match="first"):
            store.unlock("first")
    assert [item.id for item in waits] == ["first"]
    with store.lock(info("third"), timeout=0), pytest.raises(StateError, match="no lock"):
        store.unlock("first")


def test_reading_takes_no_lock(store: StateStore) -> None:
    with store.lock(info(), timeout=0) as writer:
        writer.put_steps([step("m/t/s@n1")])
        seen: list[int] = []
        reader = threading.Thread(target=lambda: seen.append(len(store.snapshot().steps)))
        reader.start()
        reader.join(20)
    assert seen == [1]


def test_a_writer_ends_with_its_lock(store: StateStore) -> None:
    with store.lock(info(), timeout=0) as writer:
        pass
    with pytest.raises(StateError, match="released"):
        writer.put_steps([step("m/t/s@n1")])


def test_many_threads_write_at_once(store: StateStore) -> None:
    errors: list[Exception] = []

    def work(host: int) -> None:
        try:
            for number in range(10):
                address = f"m/t/s{number}@n{host}"
                writer.open_intent(intent(address))
                writer.close_intent(record(address), run="r1", entry=step(address, order=number))
        except Exception as error:  # noqa: BLE001 - the test's own thread tells of it
            errors.append(error)

    with store.lock(info(), timeout=0) as writer:
        writer.begin_run(run("r1"))
        threads = [threading.Thread(target=work, args=(host,)) for host in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert errors == []
    assert len(store.snapshot().steps) == 80
    assert store.snapshot().intents == {}
    assert len(store.run("r1")[1]) == 80
    assert store.meta().serial == 1


def test_one_refused_call_does_not_fail_its_neighbours(store: StateStore) -> None:
    refused: list[str] = []

    def work(number: int) -> None:
        writer.put_steps([step(f"m/t/s{number}@n1")])
        try:
            writer.move([("gone/t/s@n1", "x/t/s@n1")])
        except StateError as error:
            refused.append(str(error))

    with store.lock(info(), timeout=0) as writer:
        threads = [threading.Thread(target=work, args=(number,)) for number in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(refused) == 10
    assert len(store.snapshot().steps) == 10


def filled(store: StateStore) -> None:
    with store.lock(info(), timeout=0) as writer:
        writer.begin_run(run("r1"))
        writer.put_steps(
            [step("m/t/s@n1", prior=Observation.present({"mode": "0644"}), outputs={"a": [1, None]})]
        )
        writer.put_hosts([HostState(name="n1", facts={"arch": "x86_64"}, facts_at=NOW)])
        writer.open_intent(intent("m/t/r@n1"))
        writer.open_scope(OpenScope(scope="m", run="r1", at=NOW))
        writer.mark_applied("v1:a")
        writer.finish_run(run("r1"))


def test_push_of_pull_is_identity(make: Make) -> None:
    source, target = make(), make()
    filled(source)
    document = source.pull()
    assert {"version", "lineage", "serial"} <= set(document)
    target.push(document)
    assert target.snapshot() == source.snapshot()
    assert target.key() == source.key()
    assert target.pull() == document
    source.push(document)
    assert source.pull() == document


def test_push_refuses_another_lineage_and_an_older_serial(make: Make) -> None:
    first, second = make(), make()
    filled(first)
    filled(second)
    with pytest.raises(StateError, match="lineage"):
        first.push(second.pull())
    old = first.pull()
    with first.lock(info(), timeout=0) as writer:
        writer.remove_steps(["m/t/s@n1"])
        writer.put_steps([step("m/t/q@n1")])
    with pytest.raises(StateError, match="serial"):
        first.push(old)
    assert set(first.snapshot().steps) == {"m/t/q@n1"}
    first.push(old, force=True)
    assert set(first.snapshot().steps) == {"m/t/s@n1"}
    first.push(second.pull(), force=True)
    assert first.meta().lineage == second.meta().lineage


def test_push_refuses_what_is_no_state(store: StateStore) -> None:
    with pytest.raises(StateVersionError, match="99"):
        store.push({**store.pull(), "version": 99}, force=True)
    with pytest.raises(StateError, match="not a state document"):
        store.push({"version": 1})
    with pytest.raises(StateError, match="not a state document"):
        store.push({**store.pull(), "key": "no hex"})
    with pytest.raises(StateError, match="not a state document"):
        store.push({**store.pull(), "version": "1"})


def test_push_waits_for_nobody(store: StateStore) -> None:
    filled(store)
    document = store.pull()
    with store.lock(info(), timeout=0), pytest.raises(StateLocked):
        store.push(document)


def found(number: int, *drifted: str, checked: tuple[str, ...] = ()) -> Findings:
    """The findings of the drift run of minute `number`."""
    at = NOW + timedelta(minutes=number)
    run = RunRecord(id=f"d{number:03}", operation="drift", actor="a", started=at, finished=at)
    records = tuple(
        StepRecord(address=address, kind="file", action="update", status="drifted", changed=("mode",))
        for address in drifted
    )
    return Findings(run, records, frozenset({*drifted, *checked}))


def test_drift_is_remembered_without_the_lock(make: Make) -> None:
    store = make()
    with store.lock(info(), timeout=0) as writer:
        writer.put_steps([step("m/t/a@n1")])
    serial = store.meta().serial
    with store.lock(info(), timeout=0):
        first = store.record_drift(found(0, "m/t/a@n1"))
    assert first is not None
    assert not first.folded
    again = store.record_drift(found(1, "m/t/a@n1"))
    assert again is not None
    assert again.folded
    (run,) = store.runs()
    assert (run.id, run.repeats, run.last) == ("d000", 1, NOW + timedelta(minutes=1))
    ended = store.record_drift(found(2, checked=("m/t/a@n1",)))
    assert ended is not None
    assert [(record.status, record.since) for record in ended.results] == [("ended", NOW)]
    assert [run.id for run in store.runs()] == ["d002", "d000"]
    assert store.run("d002")[1] == ended.results
    assert store.meta().serial == serial


def test_only_the_latest_drift_runs_are_kept(make: Make) -> None:
    store = make()
    store.ensure()
    for number in range(KEPT + 3):
        store.record_drift(found(number, *([f"m/t/s{number}@n1"]), checked=(f"m/t/s{number - 1}@n1",)))
    runs = store.runs(limit=1000)
    assert (len(runs), runs[-1].id) == (KEPT, "d003")


def test_the_holder_of_the_lock_is_told_without_trying_for_it(make: Make) -> None:
    store = make()
    assert store.holder() is None
    with store.lock(info(), timeout=0):
        assert store.holder() == info()
    assert store.holder() is None
