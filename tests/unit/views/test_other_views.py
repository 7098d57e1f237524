"""Diagnostics, explain, state, runs, hosts, drift: the smaller views."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import JsonValue

from kubexms.diagnostics import Diagnostic, Severity, SourceRange
from kubexms.plan.driftreport import DriftReport
from kubexms.plan.model import Change
from kubexms.state.model import RunRecord, StepRecord, StepState
from kubexms.step.contract import ActionKind
from kubexms.step.observation import Observation
from kubexms.views.diagnostic_json import diagnostic_data
from kubexms.views.diagnostics import diagnostics_text
from kubexms.views.drift_human import drift_text
from kubexms.views.drift_json import drift_json
from kubexms.views.explain import Explained, explain_text, first_sentence, type_text
from kubexms.views.hosts_table import hosts_json, hosts_text
from kubexms.views.moments import duration
from kubexms.views.state_views import (
    run_json,
    run_text,
    runs_text,
    state_list_text,
    state_show_text,
)
from kubexms.views.validation import validation_json
from tests.golden.cases import update

START = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


def _mistake(snippet: str = "  pakages: [containerd]", column: int = 3, end: int = 10) -> Diagnostic:
    return Diagnostic(
        Severity.ERROR,
        "unknown field 'pakages'",
        "Did you mean 'packages'?",
        path="spec.steps[0]",
        source=SourceRange("site.yaml", 14, column, 120, 14, end, 127, snippet),
    )


def test_a_diagnostic_shows_the_line_and_a_caret() -> None:
    assert diagnostics_text([_mistake()]) == (
        "Error: unknown field 'pakages'\n\n"
        "  site.yaml:14:3 (spec.steps[0])\n"
        "  14 |   pakages: [containerd]\n"
        "     |   ^^^^^^^\n\n"
        "  Did you mean 'packages'?\n\n"
    )


@pytest.mark.parametrize(
    ("snippet", "column", "end", "caret"),
    [("\tx: 1", 2, 3, "    ^"), ("é\x1b: 1", 3, 4, "     ^"), ("ab", 3, 99, "  ^"), ("a", 1, 1, "^")],
)
def test_carets_stand_below_what_they_mean(snippet: str, column: int, end: int, caret: str) -> None:
    lines = diagnostics_text([_mistake(snippet, column, end)]).split("\n")
    assert lines[4] == f"     | {caret}"


def test_a_diagnostic_as_terraform_writes_it() -> None:
    data = diagnostic_data(_mistake())
    assert data["range"] == {
        "filename": "site.yaml",
        "start": {"line": 14, "column": 3, "byte": 120},
        "end": {"line": 14, "column": 10, "byte": 127},
    }
    snippet = data["snippet"]
    assert isinstance(snippet, dict)
    assert snippet["code"] == "  pakages: [containerd]"
    assert (snippet["highlight_start_offset"], snippet["highlight_end_offset"]) == (2, 9)
    found = validation_json([_mistake(), Diagnostic(Severity.WARNING, "w")])
    assert (found["valid"], found["error_count"], found["warning_count"]) == (False, 1, 1)


SCHEMA: dict[str, JsonValue] = {
    "type": "object",
    "description": "A file. It is kept.",
    "required": ["path"],
    "properties": {
        "path": {"type": "string", "description": "Where it is."},
        "mode": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
        "state": {"enum": ["present", "absent"], "default": "present"},
        "retries": {"anyOf": [{"$ref": "#/$defs/Retries"}, {"type": "null"}], "description": "Again."},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "list": {"type": "array", "items": {"$ref": "#/$defs/Retries"}},
    },
    "$defs": {
        "Retries": {
            "type": "object",
            "required": ["attempts"],
            "properties": {"attempts": {"type": "integer", "description": "How often."}},
        }
    },
}


def test_explain_lists_fields_with_types_defaults_and_needs() -> None:
    text = explain_text(
        Explained("file", SCHEMA, example="- {kind: file}\n", notes=("It cannot be undone.",))
    )
    for line in (
        "KIND:   file",
        "    path <string> -required-",
        "    mode <string>",
        '    state <present|absent> (default "present")',
        "    retries <Retries>",
        "    labels <map of string>",
        "    list <list of Retries>",
        "    It cannot be undone.",
        "    - {kind: file}",
    ):
        assert f"{line}\n" in text, line


def test_explain_goes_into_fields() -> None:
    for path in (["retries"], ["list"]):
        assert "    attempts <integer> -required-\n      How often.\n" in explain_text(
            Explained("file", SCHEMA), path
        )
    text = explain_text(Explained("file", SCHEMA), ["retries", "attempts"])
    assert text.startswith("KIND:   file\nFIELD:  retries.attempts <integer> -required-\n")
    with pytest.raises(KeyError, match="nothing"):
        explain_text(Explained("file", SCHEMA), ["nothing"])


def test_types_and_sentences() -> None:
    assert type_text({}, {}) == "any"
    assert type_text({"const": 1}, {}) == "1"
    assert first_sentence("A file\nhere. More.\n\nAnd more.") == "A file here"


def _entry() -> StepState:
    return StepState(
        address="os/files/motd@n1",
        kind="file",
        spec={},
        spec_digest="0",
        attributes={"mode": "0644", "evil": "\x1b[2J"},
        prior=Observation.absent(),
        touched=True,
        run="r1",
        updated=START,
        source="site.yaml:3",
    )


def test_state_reads_like_a_plan() -> None:
    assert state_list_text([_entry()]) == "os/files/motd@n1\n"
    assert state_show_text([_entry()]) == (
        "# os/files/motd@n1\n"
        'file "motd" {\n'
        '    evil = "\\u001b[2J"\n'
        '    mode = "0644"\n'
        "}\n"
        "# last applied:   2026-03-01 12:00:00+00:00 by run r1\n"
        "# before kubexms: it was not there\n"
        "# declared at:    site.yaml:3\n"
    )


def test_runs_show_failures_last_and_whole() -> None:
    run = RunRecord(
        id="r1",
        actor="me@here",
        started=START,
        finished=START + timedelta(seconds=185),
        status="failed",
        summary={"ok": 1, "failed": 1, "skipped": 0},
    )
    results = [
        StepRecord(
            address="a/b/bad@n1",
            kind="file",
            action="create",
            status="failed",
            message="no\x1b",
            exit_status=1,
            error_tail="oh\nno\n",
        ),
        StepRecord(address="a/b/good@n1", kind="file", action="create", status="ok", changed=("mode",)),
    ]
    text = run_text(run, results)
    assert text.index("a/b/good@n1") < text.index("a/b/bad@n1")
    assert text.endswith("failed a/b/bad@n1\n  no\\x1b\n  exit status 1\n  stderr:\n    oh\n    no\n")
    assert "3m 05s" in runs_text([run])
    assert "1 ok, 1 failed" in runs_text([run])
    assert "results" not in run_json(run)
    assert len(run_json(run, results)["results"]) == 2  # type: ignore[arg-type]


def test_durations() -> None:
    assert duration(START, None) == "-"
    assert duration(START, START + timedelta(seconds=4.26)) == "4.3s"
    assert duration(START, START + timedelta(hours=2, minutes=3)) == "2h 03m"


@dataclass(frozen=True)
class FakeHost:
    name: str
    reachable: bool
    error: str = ""
    maintenance: str = ""
    roles: tuple[str, ...] = ("web", "db")
    address: str = "192.0.2.1"
    seconds: float = 0.25
    facts: Mapping[str, JsonValue] = field(default_factory=dict)


def test_hosts_are_a_table() -> None:
    hosts = [
        FakeHost("n1", True, facts={"os": {"pretty": "Debian 12"}, "arch": "amd64"}),
        FakeHost("n2", False, "refused\x1b", "disks"),
    ]
    lines = [re.sub(" +$", "", line) for line in hosts_text(hosts).split("\n")]
    assert lines == [
        "HOST  ROLES   ADDRESS    SYSTEM     ARCH   ANSWERS",
        "n1    web,db  192.0.2.1  Debian 12  amd64  yes, 0.2s",
        "n2    web,db  192.0.2.1  -          -      no: refused\\x1b (maintenance: disks)",
        "",
    ]
    assert isinstance(hosts_json(hosts), list)


def test_a_clean_fleet_says_nothing() -> None:
    quiet = DriftReport(behind=("n1",), untracked=("a/b/c@n1",), maintenance={"n3": "disks"})
    assert drift_text(quiet) == ""
    assert drift_json(quiet)["behind"] == ["n1"]
    told = drift_text(quiet, verbose=True)
    assert "Untracked: never applied:\n  a/b/c@n1\n" in told
    assert told.endswith("No drift.\n")


def test_drift_shows_what_was_applied_and_what_is_there() -> None:
    changes = tuple(
        update(f"a/b/c@n{n}", "file", {"mode": "0644"}, {"mode": "0666"}, summary="/x") for n in (1, 2)
    )
    gone = Change(
        address="a/b/d@n1", kind="file", action=ActionKind.DELETE, before={"mode": "1"}, changed=("mode",)
    )
    text = drift_text(DriftReport(drifted=(*changes, gone), unreachable={"n3": "no route"}))
    assert text.startswith(
        '  # a/b/c@n[1,2] has changed\n  ~ file "/x" {\n      ~ mode = "0644" -> "0666"\n    }\n'
    )
    assert "  # a/b/d@n1 is gone\n" in text
    assert "Not reached: n3 (no route)\n" in text
    assert "Drift: 3 steps on 2 hosts.\n" in text
    assert "No drift on the hosts that answered; 1 host did not.\n" in drift_text(
        DriftReport(unreachable={"n3": "x"})
    )


def test_the_history_of_drift_says_what_began_and_what_ended() -> None:
    first = RunRecord(
        id="r1",
        operation="drift",
        actor="cron@desk",
        started=START,
        finished=START + timedelta(seconds=2),
        status="succeeded",
        summary={"drifted": 2, "began": 2},
        repeats=11,
        last=START + timedelta(hours=3),
    )
    began = [
        StepRecord(
            address=f"os/kernel/limits@n{n}",
            kind="sysctl",
            action="update",
            status="drifted",
            changed=("value",),
            since=START,
        )
        for n in (1, 2)
    ]
    ended = [record.model_copy(update={"status": "ended"}) for record in began]
    later = START + timedelta(hours=4)
    second = first.model_copy(update={"id": "r2", "started": later, "summary": {"ended": 2}, "repeats": 0})
    text = runs_text([second, first], drift={"r1": began, "r2": ended})
    assert "2 drifted, 2 began, 12 times" in text
    assert text.endswith("  began: os/kernel/limits@n[1,2] (value)\n")
    assert "\n  ended: os/kernel/limits@n[1,2]\n" in text
    shown = run_text(first, began)
    assert "found the same 12 times" in shown
    assert "os/kernel/limits@n2  drifted" in shown
    assert shown.endswith("value\n")


def test_what_a_repair_left_and_since_when_it_drifts_is_said() -> None:
    change = update("a/b/c@n1", "file", {"mode": "0644"}, {"mode": "0666"})
    report = DriftReport(
        drifted=(change,),
        since={change.address: START},
        started=START + timedelta(days=1),
        repaired=("a/b/d@n1",),
        left={change.address: "it would restart nginx"},
        applying={"n2": "r7"},
    )
    text = drift_text(report)
    assert "# a/b/c@n1 has changed (found first at " in text
    assert "Left as it is: a/b/c@n1\n  it would restart nginx\n" in text
    assert "Being changed by run r7, so not judged: n2\n" in text
    assert "Repaired: 1 step as last applied.\n" in text
    data = drift_json(report)
    assert (data["exit_code"], data["applying"], data["repaired"]) == (2, {"n2": "r7"}, ["a/b/d@n1"])
