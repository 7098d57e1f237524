"""What users and their tools read, whole: every golden file is meant to be read in review."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from kubexms.executor.events import RunFinished
from kubexms.plan.model import Plan
from kubexms.views.apply_lines import ApplyLines
from kubexms.views.jsontext import document
from kubexms.views.markdown import plan_markdown
from kubexms.views.plan_human import plan_text
from kubexms.views.plan_json import plan_document
from kubexms.views.recap import recap_text
from kubexms.views.ui_stream import Stream
from tests.golden.cases import CASES, CREATED, Case
from tests.golden.runs import RUNS, RunCase

Golden = Callable[[str, str], None]

case_of_plan = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
case_of_run = pytest.mark.parametrize("case", RUNS, ids=lambda case: case.name)


def stream_of(lines: list[str], operation: str = "apply") -> Stream:
    return Stream(lines.append, lambda: CREATED, "0.1.0", operation)


@case_of_plan
def test_plan_text(case: Case, golden: Golden) -> None:
    golden(f"{case.name}/plan.txt", plan_text(case.plan()))


@case_of_plan
def test_plan_json(case: Case, golden: Golden) -> None:
    golden(f"{case.name}/plan.json", document(plan_document(case.plan())))


@case_of_plan
def test_plan_markdown(case: Case, golden: Golden) -> None:
    golden(f"{case.name}/comment.md", plan_markdown(case.plan()))


@case_of_plan
def test_plan_events(case: Case, golden: Golden) -> None:
    lines: list[str] = []
    stream = stream_of(lines)
    stream.begin()
    stream.plan(case.plan())
    golden(f"{case.name}/events.jsonl", "".join(f"{line}\n" for line in lines))


@case_of_run
def test_apply_text(case: RunCase, golden: Golden) -> None:
    parts: list[str] = []
    lines = ApplyLines(parts.append)
    for event in case.events():
        lines(event)
        if isinstance(event, RunFinished):
            parts.append("\n" + recap_text(event.result, operation=case.operation))
    golden(f"{case.name}/apply.txt", "".join(parts))


@case_of_run
def test_apply_events(case: RunCase, golden: Golden) -> None:
    lines: list[str] = []
    stream = stream_of(lines, case.operation)
    for event in case.events():
        stream(event)
    golden(f"{case.name}/events.jsonl", "".join(f"{line}\n" for line in lines))


@case_of_plan
def test_a_plan_survives_being_saved(case: Case) -> None:
    made = case.plan()
    again = Plan.from_json(json.loads(json.dumps(made.to_json())))
    assert plan_text(again) == plan_text(made)


def test_nothing_golden_holds_a_control_character_or_a_secret() -> None:
    for path in Path(__file__).parent.glob("*/*"):
        if path.suffix in {".txt", ".json", ".jsonl"}:
            text = path.read_bytes().decode()
            assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e\u200b]", text), path
            assert "hunter2" not in text, path
