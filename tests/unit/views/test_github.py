"""Annotations: on the lines of the documents, in GitHub's syntax, worst first, and none by injection."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubexms.plan.model import HostStatus, Plan, PlanDiagnostic
from kubexms.plan.origin import Origin, Place
from kubexms.step.contract import Disruption
from kubexms.views.github import MOST, github_annotations
from kubexms.views.gitlab import gitlab_report
from tests.golden.cases import CASES, create, host, plan, update
from tests.unit.cli.test_program import INVENTORY, PIPELINE, in_project

COMMAND = re.compile(r"^::(error|warning|notice) ([^:\r\n]*)::(.*)$")


def read(text: str) -> list[tuple[str, dict[str, str], str]]:
    """What GitHub's runner makes of it: level, properties, message."""
    found = []
    for line in text.split("\n"):
        match = COMMAND.match(line)
        if match is None:
            assert not line.startswith("::")
            continue
        properties = dict(item.split("=", 1) for item in match[2].split(","))
        found.append((match[1], {name: plain(value) for name, value in properties.items()}, plain(match[3])))
    return found


def plain(text: str) -> str:
    """The runner's way of undoing the escapes, `%25` last."""
    for escaped, char in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
        text = text.replace(escaped, char)
    return text


def placed(made: Plan, **places: Place) -> Plan:
    return made.model_copy(update={"origin": Origin(places={f"m/t/{name}": p for name, p in places.items()})})


ROUTINE = create("m/t/a@n1", "file", {"mode": "0644"}, summary="/etc/a")
RESTART = update("m/t/b@n1", "service", {"x": 1}, {"x": 2}, summary="b", disruption=Disruption.RESTART)


def test_each_step_is_marked_where_it_is_written() -> None:
    made = placed(
        plan(ROUTINE, RESTART, ROUTINE.model_copy(update={"address": "m/t/a@n2"})),
        a=Place(file="site.yaml", line=4, column=9, end_line=4, end_column=12),
        b=Place(file="more/b.yaml", line=7, column=3, end_line=9, end_column=2),
    )
    first, second = read(github_annotations(made, "infra"))
    assert first == (
        "warning",
        {"file": "infra/more/b.yaml", "line": "7", "endLine": "9", "title": "m/t/b"},
        "~ b will be updated in-place on n1: service b (the configuration changed; triggers restart)",
    )
    assert second == (
        "notice",
        {
            "file": "infra/site.yaml", "line": "4", "endLine": "4", "col": "9", "endColumn": "12",
            "title": "m/t/a",
        },
        "+ a will be created on n[1,2]: file /etc/a",
    )  # fmt: skip


def test_a_step_without_a_place_and_a_host_are_remarks_on_the_run() -> None:
    made = plan(ROUTINE, hosts=(host("n1"), host("n2", HostStatus.UNREACHABLE, "no route")))
    warning, notice = read(github_annotations(made))
    assert warning[:2] == ("warning", {"title": "host n2 could not be reached"})
    assert warning[2].startswith("no route\n")
    assert notice[1] == {"title": "m/t/a"}


def test_errors_of_the_plan_are_errors_on_the_step() -> None:
    error = PlanDiagnostic(severity="error", summary="refused", detail="why", address="m/t/a@n1")
    made = placed(plan(ROUTINE, diagnostics=(error,)), a=Place(file="site.yaml", line=4))
    assert read(github_annotations(made))[0] == (
        "error",
        {"file": "site.yaml", "line": "4", "title": "refused"},
        "m/t/a@n1\nwhy",
    )


def test_what_github_would_drop_is_counted_instead() -> None:
    changes = [create(f"m/t/s{number:02}@n1", "file", {}) for number in range(25)]
    text = github_annotations(plan(*changes, RESTART))
    assert [level for level, _, _ in read(text)] == ["warning"] + ["notice"] * MOST
    assert text.endswith("15 more annotations: GitHub shows 10 of each level.\n")


@given(st.text(), st.text(alphabet="%0AD:,=\r\n \x85\u2028"))
def test_nothing_that_a_plan_holds_makes_a_command(first: str, second: str) -> None:
    nasty = f"{first}\r\n::error file=x,line=1::{second}"
    made = placed(
        plan(
            ROUTINE.model_copy(update={"summary": nasty}),
            diagnostics=(PlanDiagnostic(severity="warning", summary=nasty, detail=nasty),),
        ),
        a=Place(file=nasty, line=1),
    )
    found = read(github_annotations(made))
    assert [level for level, _, _ in found] == ["warning", "notice"]
    assert set(found[0][1]) == {"title"}
    assert set(found[1][1]) == {"file", "line", "title"}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_gitlabs_report_has_its_three_figures(case: object) -> None:
    made = next(item for item in CASES if item is case).plan()
    text = gitlab_report(made)
    counts = made.counts()
    assert json.loads(text) == {"create": counts.add, "update": counts.change, "delete": counts.remove}
    assert text.endswith("}\n")


def test_the_program_writes_annotations_and_the_summary(tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    root = repository / "infra"
    root.mkdir(parents=True)
    (root / "pipeline.yaml").write_text(PIPELINE)
    (root / "inventory.yaml").write_text(INVENTORY)
    (root / "vars.yaml").write_text(f"target: {tmp_path / 'target'}\n")
    summary = tmp_path / "summary"
    summary.write_text("before\n\n")
    assert in_project(root, "plan --out p").returncode == 0
    environ = {"GITHUB_WORKSPACE": str(repository), "GITHUB_STEP_SUMMARY": str(summary)}
    shown = in_project(root, "show p --format github", **environ)
    assert shown.returncode == 0, shown
    by_title = {properties["title"]: properties for _, properties, _ in read(shown.stdout)}
    assert set(by_title) == {"m/t/root", "m/t/hello"}
    marked = by_title["m/t/hello"]
    line = (repository / marked["file"]).read_text().splitlines()[int(marked["line"]) - 1]
    assert line[int(marked["col"]) - 1 : int(marked["endColumn"]) - 1] == "hello"
    assert summary.read_text().startswith("before\n\n<!-- kubexms plan infra default -->\n")
    refused = in_project(root, "show p --format github", GITHUB_STEP_SUMMARY=str(tmp_path / "none" / "x"))
    assert refused.returncode == 1
    assert "cannot write the summary" in refused.stderr
