"""What a plan says of what it cannot show, and of hosts that it could not ask."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kubexms.errors import PlanError
from kubexms.plan.model import Plan, PlanOptions, Reason
from kubexms.services.planning import plan
from tests.unit.services.drifting import GONE, Drifting


@pytest.fixture
def here(tmp_path: Path) -> Drifting:
    return Drifting(tmp_path)


def made(here: Drifting, **options: Any) -> Plan:
    with here.project() as project:
        return plan(project, PlanOptions(**options), listener=lambda event: None)


def test_content_that_a_mode_hides_is_hidden_with_the_reason(here: Drifting) -> None:
    here.steps(
        here.file("open", "a\n", mode="0644"),
        here.file("close", "b\n", mode="0640"),
        here.file("shown", "c\n", mode="0640", showDiff=True),
        here.file("asked", "d\n", showDiff=False),
    )
    notes = {change.address: change.notes for change in made(here).effective}
    why = "its content is hidden, as mode 0640 hides it from others; showDiff: true shows it"
    assert {address for address, said in notes.items() if said} == {"m/t/close@here"}
    assert notes["m/t/close@here"] == (why,)


def test_steps_of_a_silent_host_may_be_named(here: Drifting) -> None:
    here.inventory("here", "lost", lost={"connection": GONE})
    here.steps(here.file("a", "one\n"))
    for pattern in ("@lost", "m/t/a@lost"):
        assert made(here, targets=(pattern,)).changes == ()
    assert [change.address for change in made(here, excludes=("@lost",)).changes] == ["m/t/a@here"]
    with pytest.raises(PlanError, match="--target m/t/b matches nothing"):
        made(here, targets=("m/t/b",))


def test_a_destroy_says_what_comes_back(here: Drifting) -> None:
    for name in ("old", "gone"):
        (here.target / name).write_text("before\n")
        (here.target / name).chmod(0o604)
    here.steps(
        here.file("old", "ours\n", mode="0644"),
        {"name": "gone", "kind": "file", "path": str(here.target / "gone"), "state": "absent"},
        here.file("new", "ours\n"),
    )
    here.apply()
    changes = {change.address: change for change in made(here, operation="destroy").effective}
    comes_back = ("what was there before comes back",)
    assert {address: change.notes for address, change in changes.items()} == {
        "m/t/old@here": comes_back,
        "m/t/gone@here": comes_back,
        "m/t/new@here": (),
    }
    gone, old = changes["m/t/gone@here"], changes["m/t/old@here"]
    assert (gone.before, (gone.after or {})["mode"]) == (None, "0604")
    assert [(side or {})["mode"] for side in (old.before, old.after)] == ["0644", "0604"]


def test_a_command_that_always_runs_is_no_drift(here: Drifting) -> None:
    here.steps({"name": "c", "kind": "command", "run": "true", "runs": "always"})
    here.apply()
    (change,) = made(here).effective
    assert (change.reason, change.triggered_by) == (Reason.TRIGGERED, ("runs: always",))
