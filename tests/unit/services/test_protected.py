"""`preventDestroy` holds while the documents have the step: for destroy, `when` and `forEach`, too."""

from __future__ import annotations

from pathlib import Path

import pytest

from kubexms.plan.model import PlanOptions
from kubexms.services.planning import plan
from tests.unit.services.drifting import Drifting


@pytest.fixture
def here(tmp_path: Path) -> Drifting:
    return Drifting(tmp_path)


def refused(here: Drifting, **options: str) -> list[str]:
    with here.project() as project:
        made = plan(project, PlanOptions.model_validate(options), listener=lambda event: None)
    return [item.summary for item in made.diagnostics if item.severity == "error"]


def test_destroy_is_refused_while_something_is_to_stay(here: Drifting) -> None:
    here.steps(here.file("a", "a\n", preventDestroy=True), here.file("b", "b\n"))
    here.apply()
    assert refused(here, operation="destroy") == [
        "m/t/a@here has preventDestroy, and the plan would delete it"
    ]
    here.steps(here.file("a", "a\n"), here.file("b", "b\n"))
    assert not refused(here, operation="destroy")


def test_what_is_to_stay_is_not_removed_by_a_condition_or_a_list(here: Drifting) -> None:
    each = {"forEach": {"x": 1, "y": 2}, "path": str(here.target / "{{ each.key }}")}
    here.steps(here.file("a", "a\n", preventDestroy=True), here.file("b", "b\n", preventDestroy=True) | each)
    here.apply()
    assert not refused(here)
    here.steps(
        here.file("a", "a\n", preventDestroy=True, when="false"),
        here.file("b", "b\n", preventDestroy=True) | each | {"forEach": {"x": 1}},
    )
    assert refused(here) == [
        "m/t/a@here has preventDestroy, and the plan would delete it",
        'm/t/b["y"]@here has preventDestroy, and the plan would delete it',
    ]
    here.steps(here.file("c", "c\n"))
    assert not refused(here)
