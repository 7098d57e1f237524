"""What documents are warned of is told with every plan, not by `validate` alone."""

from __future__ import annotations

from pathlib import Path

from kubexms.plan.model import PlanOptions
from kubexms.services.planning import plan
from tests.unit.services.drifting import GONE, Drifting


def test_a_role_without_hosts_is_told_with_the_plan(tmp_path: Path) -> None:
    here = Drifting(tmp_path)
    here.inventory("here", here={"roles": ["there"]})
    document = tmp_path / "inventory.yaml"
    document.write_text(document.read_text().replace('"hosts"', '"roles": {"empty": {}}, "hosts"', 1))
    task = {"name": "t", "runOnRoles": ["empty"], "steps": [here.file("a", "a\n")]}
    here.steps(here.file("b", "b\n"), modules=[{"name": "m", "tasks": [task]}])
    [told] = here.plan().diagnostics
    assert (told.severity, told.summary) == ("warning", "task 'm/t' runs on role 'empty', which no host has")
    assert told.detail == "In pipeline.yaml line 1. It does nothing."
    with here.project() as project:
        made = plan(project, PlanOptions(operation="destroy"), listener=lambda event: None)
    assert not made.diagnostics


def test_a_condition_on_a_silent_host_says_whom_it_waits_for_and_removes_nothing(tmp_path: Path) -> None:
    here = Drifting(tmp_path)
    here.steps(here.file("a", "a\n"), here.file("b", "b\n"))
    here.apply()
    here.inventory("here", "lost", lost={"connection": GONE})
    here.steps(here.file("a", "a\n"), here.file("b", "b\n", when="hosts.byName.lost.facts.arch == 'x86_64'"))
    made = here.plan()
    assert not made.effective
    told = {item.summary: item.detail for item in made.diagnostics}
    detail = told["whether m/t/b runs on here is known only when lost answers"]
    assert detail == "It depends on facts of lost. Nothing is planned for it now; plan again after that."
