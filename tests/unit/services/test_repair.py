"""Repairs put back exactly what was last applied, within their bounds, and record it so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kubexms.errors import PlanError, StateLocked
from kubexms.executor.stop import StopSignal
from kubexms.plan.model import PlanOptions
from kubexms.services.repairing import RepairOptions, RepairOutcome, repair
from kubexms.services.state import lock_info
from tests.unit.services.drifting import Drifting, addresses
from tests.unit.services.test_drift import SECRET


@pytest.fixture
def here(tmp_path: Path) -> Drifting:
    drifting = Drifting(tmp_path)
    drifting.steps(drifting.file("a", "one\n", mode="0644"), drifting.file("b", "two\n"))
    drifting.apply()
    return drifting


def mend(
    here: Drifting, *allow: str, limit: int = 10, approved: bool = True, **options: Any
) -> RepairOutcome:
    with here.project() as project:
        return repair(
            project,
            PlanOptions(operation="drift", **options),
            RepairOptions(limit, frozenset(allow)),
            approve=lambda plan: approved,
            listener=lambda event: None,
            stop=StopSignal(),
        )


def entries(here: Drifting) -> dict[str, dict[str, Any]]:
    """What state holds of each step, without what every run renews."""
    renewed = {"run", "updated", "remembered"}
    with here.project() as project:
        steps = project.store.snapshot().steps
    return {a: {k: v for k, v in e.to_json().items() if k not in renewed} for a, e in steps.items()}


def test_what_drifted_is_put_back_and_nothing_else_is_touched(here: Drifting) -> None:
    before = entries(here)
    (here.target / "a").write_text("vandal\n")
    (here.target / "a").chmod(0o600)
    (here.target / "b").unlink()
    done = mend(here)
    assert (done.report.repaired, done.report.drifted) == (("m/t/a@here", "m/t/b@here"), ())
    assert (here.target / "a").read_text() == "one\n"
    assert (here.target / "b").read_text() == "two\n"
    assert entries(here) == before
    assert not here.plan().effective
    with here.project() as project:
        runs = [(run.operation, run.status) for run in project.store.runs()]
    assert runs[:2] == [("drift", "succeeded"), ("repair", "succeeded")]


def test_uncommitted_edits_are_not_applied(here: Drifting) -> None:
    before = entries(here)
    moved = {**here.file("b", "two\n"), "path": str(here.target / "elsewhere")}
    here.steps(here.file("a", "edited\n", mode="0600"), moved, here.file("new", "new\n"))
    (here.target / "a").write_text("vandal\n")
    (here.target / "b").write_text("vandal\n")
    done = mend(here)
    assert done.report.exit_code == 0
    assert (here.target / "a").read_text() == "one\n"
    assert (here.target / "b").read_text() == "two\n"
    assert sorted(path.name for path in here.target.iterdir()) == ["a", "b"]
    assert entries(here) == before
    assert [c.address for c in here.drift().pending] == ["m/t/a@here", "m/t/b@here"]


def test_steps_that_waited_for_another_module_are_put_back(here: Drifting) -> None:
    modules = [
        {"name": name, "tasks": [{"name": "t", "steps": [here.file(name, "one\n")]}]}
        for name in ("os", "app")
    ]
    here.steps(modules=modules)
    here.apply()
    before = entries(here)
    (here.target / "app").write_text("vandal\n")
    assert mend(here).report.repaired == ("app/t/app@here",)
    assert (here.target / "app").read_text() == "one\n"
    assert entries(here) == before
    assert "os" in before["app/t/app@here"]["dependsOn"]


def test_steps_of_tasks_that_are_gone_are_put_back_too(here: Drifting) -> None:
    before = entries(here)
    here.steps(here.file("c", "three\n"), module="other")
    (here.target / "a").write_text("vandal\n")
    assert mend(here).report.repaired == ("m/t/a@here",)
    assert (here.target / "a").read_text() == "one\n"
    assert entries(here) == before


@pytest.mark.parametrize("hooks", [False, True])
def test_edits_that_turn_the_order_round_are_no_obstacle(here: Drifting, hooks: bool) -> None:
    first, then = here.file("a", "1\n"), here.file("b", "2\n", dependsOn=["a"])
    here.steps(first, then)
    here.apply()
    assert entries(here)["m/t/b@here"]["dependsOn"] == ["m/t/a@here"]
    around: dict[str, Any] = {"hooks": {"pre": [{"name": "h", "run": "true"}]}} if hooks else {}
    here.steps({**then, "dependsOn": []}, first, **around)
    (here.target / "a").write_text("vandal\n")
    (here.target / "b").write_text("vandal\n")
    done = mend(here)
    assert (done.report.repaired, done.report.drifted) == (("m/t/a@here", "m/t/b@here"), ())
    assert (here.target / "a").read_text() == "1\n"
    assert (here.target / "b").read_text() == "2\n"


def test_more_changes_than_allowed_are_none(here: Drifting) -> None:
    (here.target / "a").write_text("vandal\n")
    (here.target / "b").write_text("vandal\n")
    done = mend(here, limit=1)
    assert (done.result, done.report.exit_code) == (None, 2)
    assert set(done.report.left) == {"m/t/a@here", "m/t/b@here"}
    assert "takes 2 changes, and --max-changes allows 1" in done.report.left["m/t/a@here"]
    assert (here.target / "a").read_text() == "vandal\n"


def test_nothing_is_done_unless_approved(here: Drifting) -> None:
    (here.target / "a").write_text("vandal\n")
    done = mend(here, approved=False)
    assert (done.approved, done.result, addresses(done.report)) == (False, None, ["m/t/a@here"])
    assert (here.target / "a").read_text() == "vandal\n"


def test_nothing_drifted_is_nothing_to_do(here: Drifting) -> None:
    done = mend(here)
    assert (done.result, done.report.exit_code, done.plan.effective) == (None, 0, ())


def test_commands_run_again_only_if_that_is_allowed(here: Drifting) -> None:
    made = here.target / "made"
    here.steps({"name": "c", "kind": "command", "run": f"touch {made}", "creates": str(made)})
    here.apply()
    made.unlink()
    done = mend(here)
    assert addresses(done.report) == ["m/t/c@here"]
    assert "--allow-disruption command allows that" in done.report.left["m/t/c@here"]
    assert not made.exists()
    assert mend(here, "command").report.repaired == ("m/t/c@here",)
    assert made.exists()


def test_a_secret_that_is_not_kept_cannot_be_put_back_once_documents_changed(here: Drifting) -> None:
    here.steps(here.file("s", "{{ vars.password }}\n", mode="0600"), **SECRET)
    here.apply()
    (here.target / "s").write_text("vandal\n")
    assert mend(here).report.repaired == ("m/t/s@here",)
    assert (here.target / "s").read_text() == "hunter2\n"
    (here.target / "s").write_text("vandal\n")
    here.steps(here.file("s", "x{{ vars.password }}\n", mode="0600"), **SECRET)
    done = mend(here)
    assert "a secret that is not kept" in done.report.left["m/t/s@here"]
    assert (here.target / "s").read_text() == "vandal\n"


def test_a_source_that_changed_on_the_controller_is_not_taken_for_what_was_applied(here: Drifting) -> None:
    source = here.root / "motd"
    source.write_text("first\n")
    step = {"name": "m", "kind": "file", "path": str(here.target / "m"), "source": "motd"}
    here.steps(step)
    here.apply()
    source.write_text("second\n")
    (here.target / "m").write_text("vandal\n")
    done = mend(here)
    assert "is not the file any more that was applied" in done.report.left["m/t/m@here"]
    source.write_text("first\n")
    assert mend(here).report.repaired == ("m/t/m@here",)
    assert (here.target / "m").read_text() == "first\n"


def test_triggers_that_were_not_applied_still_wait(here: Drifting) -> None:
    here.steps({**here.file("a", "one\n"), "triggers": ["v1"]})
    here.apply()
    here.steps({**here.file("a", "one\n"), "triggers": ["v2"]})
    (here.target / "a").write_text("vandal\n")
    assert mend(here).report.repaired == ("m/t/a@here",)
    assert [change.reason for change in here.plan().effective] == ["triggered"]


def test_what_has_appeared_goes_again(here: Drifting) -> None:
    here.steps({"name": "no", "kind": "file", "path": str(here.target / "no"), "state": "absent"})
    here.apply()
    (here.target / "no").write_text("back\n")
    assert mend(here).report.repaired == ("m/t/no@here",)
    assert not (here.target / "no").exists()


def test_a_repair_that_fails_leaves_drift_and_says_why(here: Drifting) -> None:
    here.steps(here.file("a", "one\n"), {**here.file("d/x", "y\n"), "name": "x"})
    (here.target / "d").mkdir()
    here.apply()
    (here.target / "d/x").unlink()
    (here.target / "d").rmdir()
    (here.target / "a").write_text("vandal\n")
    done = mend(here)
    assert done.report.repaired == ("m/t/a@here",)
    assert done.report.left["m/t/x@here"].startswith("it failed: ")
    assert done.report.exit_code == 2


def test_the_lock_is_needed(here: Drifting) -> None:
    (here.target / "a").write_text("vandal\n")
    with (
        here.project() as project,
        project.store.lock(lock_info(project, "apply"), timeout=0),
        pytest.raises(StateLocked),
    ):
        mend(here)
    with pytest.raises(PlanError, match="does not go with --untrusted"):
        mend(here, untrusted=True)


def test_what_follows_from_something_is_right_with_it(here: Drifting) -> None:
    check = f"grep -q one {here.target}/a"
    here.steps(
        here.file("a", "one\n", mode="0644"),
        {"name": "z", "kind": "command", "run": "true", "unless": check},
    )
    here.apply()
    (here.target / "a").write_text("vandal\n")
    done = mend(here)
    assert (done.report.repaired, done.report.left) == (("m/t/a@here", "m/t/z@here"), {})
    assert done.report.exit_code == 0
    assert done.result is not None
    assert [item.address for item in done.result.results] == ["m/t/a@here"]
