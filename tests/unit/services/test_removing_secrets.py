"""Steps that had secrets in them go: state does not keep those, the documents may still have them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kubexms.plan.model import PlanOptions
from kubexms.services.planning import plan
from kubexms.step.contract import ActionKind
from tests.unit.services.drifting import Drifting
from tests.unit.services.test_swapped import destroy

SECRET: dict[str, Any] = {
    "variables": {"password": {"type": "string", "sensitive": True, "default": "hunter2"}}
}
NOT_KEPT = "was applied with a secret that is not kept; the host keeps what it has"


@pytest.fixture
def here(tmp_path: Path) -> Drifting:
    return Drifting(tmp_path)


def steps(here: Drifting) -> list[dict[str, Any]]:
    """A secret in what tells the object, in what is made, and in what both a check and the undo read."""
    at = here.target
    (at / "lines").write_text("first\nsecond\n")
    secret = "{{ vars.password }}"
    return [
        {"name": "line", "kind": "line", "path": f"{at}/lines", "line": f"pw={secret}"},
        {"name": "path", "kind": "file", "path": f"{at}/{secret}"},
        {"name": "link", "kind": "symlink", "path": f"{at}/link", "target": f"/{secret}"},
        {"name": "run", "kind": "command", "run": f"echo {secret} >{at}/run", "creates": f"{at}/run"}
        | {"undo": f"rm {at}/run"},
        {"name": "env", "kind": "command", "run": f'mkdir "{at}/of-$D"', "check": f'test -d "{at}/of-$D"'}
        | {"undo": f'rmdir "{at}/of-$D"', "env": {"D": secret}},
    ]


def names(here: Drifting) -> set[str]:
    return {path.name for path in here.target.iterdir()}


def test_destroy_knows_the_secrets_that_documents_still_have(here: Drifting) -> None:
    here.steps(*steps(here), **SECRET)
    here.apply()
    assert names(here) == {"lines", "hunter2", "link", "run", "of-hunter2"}
    with here.project() as project:
        made = plan(project, PlanOptions(operation="destroy"), listener=lambda event: None)
    assert {change.action for change in made.changes} == {ActionKind.DELETE}
    assert "hunter2" not in made.model_dump_json()
    destroy(here)
    assert names(here) == {"lines"}
    assert (here.target / "lines").read_text() == "first\nsecond\n"


def test_of_steps_that_left_only_those_go_whose_object_can_be_told(here: Drifting) -> None:
    here.steps(*steps(here), **SECRET)
    here.apply()
    here.steps(here.file("other", "x\n"))
    made = {change.address: change for change in here.plan().changes}
    for name in ("line", "path", "env"):
        change = made[f"m/t/{name}@here"]
        assert change.action is ActionKind.FORGET, name
        assert change.notes[0].endswith(NOT_KEPT), name
    here.apply()
    assert names(here) == {"lines", "hunter2", "of-hunter2", "other"}
    assert (here.target / "lines").read_text() == "first\nsecond\npw=hunter2\n"
