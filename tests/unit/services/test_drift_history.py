"""The history of drift: kept without the lock, bounded, and silent where nothing can be written."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from kubexms.plan.model import PlanOptions
from kubexms.services.drift import drift
from kubexms.state.history import KEPT, Findings
from kubexms.state.model import LockInfo, RunRecord, StepRecord
from tests.unit.services.drifting import Drifting, addresses


@pytest.fixture
def here(tmp_path: Path) -> Drifting:
    drifting = Drifting(tmp_path)
    drifting.steps(drifting.file("a", "one\n"), drifting.file("b", "two\n"))
    drifting.apply()
    return drifting


def history(here: Drifting) -> list[tuple[RunRecord, list[tuple[str, str]]]]:
    """Drift runs, oldest first, each with its addresses and what became of them."""
    with here.project() as project:
        runs = [run for run in project.store.runs(limit=1000) if run.operation == "drift"]
        found = [(run, project.store.run(run.id)[1]) for run in reversed(runs)]
    return [(run, [(record.address, record.status) for record in results]) for run, results in found]


def test_a_run_is_kept_when_something_is_new_and_counted_when_not(here: Drifting) -> None:
    for _ in range(3):
        here.drift()
    ((clean, nothing),) = history(here)
    assert (clean.repeats, clean.summary["drifted"], nothing) == (2, 0, [])
    (here.target / "a").write_text("vandal\n")
    first = here.drift()
    since = first.since["m/t/a@here"]
    assert since == first.started
    (here.target / "b").write_text("vandal\n")
    second = here.drift()
    assert second.since["m/t/a@here"] == since
    assert second.since["m/t/b@here"] == second.started
    (here.target / "a").write_text("one\n")
    assert here.drift().since == {"m/t/b@here": second.started}
    runs = history(here)
    assert [results for _, results in runs[1:]] == [
        [("m/t/a@here", "drifted")],
        [("m/t/a@here", "drifted"), ("m/t/b@here", "drifted")],
        [("m/t/a@here", "ended"), ("m/t/b@here", "drifted")],
    ]
    assert [(run.summary["began"], run.summary["ended"]) for run, _ in runs] == [
        (0, 0),
        (1, 0),
        (1, 0),
        (0, 1),
    ]


def test_what_was_not_looked_at_is_what_it_was(here: Drifting) -> None:
    (here.target / "a").write_text("vandal\n")
    since = here.drift().since["m/t/a@here"]
    here.drift(targets=("m/t/b",))
    assert here.drift().since["m/t/a@here"] == since


def test_an_apply_in_between_begins_a_new_record(here: Drifting) -> None:
    here.drift()
    (here.target / "a").write_text("vandal\n")
    here.apply()
    here.drift()
    assert [run.repeats for run, _ in history(here)] == [0, 0]


def test_history_is_bounded(here: Drifting) -> None:
    moment = datetime.now(UTC) + timedelta(days=1)
    for number in range(KEPT + 5):
        (here.target / "a").write_text(f"{'one' if number % 2 else 'vandal'}\n")
        with here.project() as project:
            clock = partial(moment.__add__, timedelta(days=number))
            drift(project, PlanOptions(operation="drift"), listener=lambda event: None, now=clock)
    with here.project() as project:
        runs = project.store.runs(limit=1000)
    assert sum(1 for run in runs if run.operation == "drift") == KEPT
    assert sum(1 for run in runs if run.operation == "apply") == 1
    database = sqlite3.connect(here.root / "state/default.db")
    orphans = "SELECT count(*) FROM results WHERE run NOT IN (SELECT id FROM runs)"
    assert database.execute(orphans).fetchone() == (0,)
    database.close()


def test_the_lock_is_neither_taken_nor_waited_for(here: Drifting) -> None:
    (here.target / "a").write_text("vandal\n")
    info = LockInfo(id="l", operation="apply", who="somebody@elsewhere", created=datetime.now(UTC))
    with here.project() as project, project.store.lock(info, timeout=0):
        before = project.store.meta().serial
        assert addresses(here.drift()) == ["m/t/a@here"]
        assert len(history(here)) == 1
        assert project.store.meta().serial == before


def test_nothing_is_made_where_nothing_was_applied(tmp_path: Path) -> None:
    fresh = Drifting(tmp_path)
    fresh.steps(fresh.file("a", "one\n"))
    report = fresh.drift()
    assert (report.exit_code, report.untracked) == (0, ("m/t/a@here",))
    assert not (tmp_path / "state").exists()


def test_a_state_that_a_newer_layout_awaits_is_left_alone(here: Drifting) -> None:
    database = sqlite3.connect(here.root / "state/default.db")
    database.execute("UPDATE meta SET value = '0' WHERE name = 'version'")
    database.commit()
    with here.project() as project:
        run = RunRecord(id="r", operation="drift", actor="a", started=datetime.now(UTC))
        assert project.store.record_drift(Findings(run, (), ())) is None
    assert database.execute("SELECT count(*) FROM runs WHERE id = 'r'").fetchone() == (0,)
    database.close()


def test_records_say_what_changed(here: Drifting) -> None:
    (here.target / "a").write_text("vandal\n")
    here.drift()
    with here.project() as project:
        (run,) = [run for run in project.store.runs() if run.operation == "drift"]
        _, (record,) = project.store.run(run.id)
    assert isinstance(record, StepRecord)
    assert (record.action, record.changed, record.reason) == ("update", ("sha256",), "drift")


def test_a_state_that_cannot_be_written_is_looked_at_all_the_same(here: Drifting) -> None:
    (here.target / "a").write_text("vandal\n")
    state = here.root / "state"
    code = "import sys; from kubexms.cli.main import main; sys.exit(main(sys.argv[1:]))"
    argv = [sys.executable, "-c", code, "-C", str(here.root), "drift", "--json"]
    if os.geteuid() == 0:
        if shutil.which("unshare") is None:
            pytest.skip("root writes everywhere, and there is no unshare to take that away")
        script = f'mount --bind "{state}" "{state}" && mount -o remount,bind,ro "{state}" && exec "$@"'
        argv = ["unshare", "--mount", "sh", "-c", script, "sh", *argv]
    state.chmod(0o555)
    try:
        done = subprocess.run(argv, env={**os.environ, **here.environ}, capture_output=True, text=True)
    finally:
        state.chmod(0o700)
    if "unshare" in argv[0] and "denied" in done.stderr:
        pytest.skip("no mount namespaces here")
    assert (done.returncode, done.stderr) == (2, "")
    found = json.loads(done.stdout)
    assert [entry["address"] for entry in found["drifted"]] == ["m/t/a@here"]
    assert (found["drifted"][0]["since"], found["notes"]) == (None, [])
    assert history(here) == []
