"""A plan for people: what other tools parse, what folds, what colour changes."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubexms.plan.model import HostStatus, Plan, PlanDiagnostic, Reason
from kubexms.step.contract import ActionKind, Disruption
from kubexms.views import wording
from kubexms.views.changes import folded
from kubexms.views.plan_human import NO_CHANGES, plan_text
from kubexms.views.plan_json import plan_document
from kubexms.views.terminal import coloured
from tests.golden.cases import CASES, create, host, nothing, plan, update

ANSI = re.compile("\x1b\\[[0-9;]*m")

# the patterns by which tfcmt finds changes in the text
TFCMT = {
    ActionKind.CREATE: re.compile(r"^ *# (.*) will be created$", re.MULTILINE),
    ActionKind.UPDATE: re.compile(r"^ *# (.*) will be updated in-place$", re.MULTILINE),
    ActionKind.DELETE: re.compile(r"^ *# (.*) will be destroyed$", re.MULTILINE),
    ActionKind.REPLACE: re.compile(r"^ *# (.*?)(?: is tainted, so)? must be replaced$", re.MULTILINE),
}
MOVED = re.compile(r"^ *# (.*?) has moved to (.*?)$", re.MULTILINE)


def _mixed() -> Plan:
    return next(case for case in CASES if case.name == "mixed").plan()


def test_tools_find_every_change() -> None:
    made = _mixed()
    text = plan_text(made)
    for action, pattern in TFCMT.items():
        assert pattern.findall(text) == [c.address for c in made.changes if c.action is action]
    assert MOVED.findall(text) == [("os/kernel/ovl@n1", "os/kernel/overlay@n1")]
    assert re.search(r"^Plan: 1 to add, 7 to change, 2 to destroy\.$", text, re.MULTILINE)


def test_tools_are_not_led_astray() -> None:
    for case in CASES:
        text = plan_text(case.plan())
        assert "Objects have changed outside" not in text
        assert ("Error: " in text) == case.plan().errored
        assert bool(re.search("^Error: ", text, re.MULTILINE)) == case.plan().errored
        assert len(re.findall(r"^(?:Plan: \d|No changes\.)", text, re.MULTILINE)) == (not case.plan().errored)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_colour_changes_nothing_but_colour(case: object) -> None:
    made = case.plan()  # type: ignore[attr-defined]
    text = plan_text(made, coloured())
    assert ANSI.search(text)
    assert ANSI.sub("", text) == plan_text(made)


def test_alike_changes_fold_and_unfold() -> None:
    changes = [
        create(f"os/kernel/overlay@n{number}", "kernelModule", {"loaded": True}) for number in range(1, 13)
    ]
    odd = create("os/kernel/overlay@n13", "kernelModule", {"loaded": False})
    assert [group.address for group in folded([*changes, odd])] == [
        "os/kernel/overlay@n[1-12]",
        "os/kernel/overlay@n13",
    ]
    text = plan_text(plan(*changes, odd), expand=True)
    assert text.count("will be created") == 13
    assert "Plan: 13 to add" in text


def test_for_each_keys_do_not_fold_into_one_another() -> None:
    changes = [
        create(f'os/files/page["{key}"]@{name}', "file", {"mode": "1"})
        for key in "ab"
        for name in ("n1", "n2")
    ]
    assert [group.address for group in folded(changes)] == [
        'os/files/page["a"]@n[1,2]',
        'os/files/page["b"]@n[1,2]',
    ]


def test_what_is_hidden_stays_hidden_but_shows_that_it_changes() -> None:
    text = plan_text(_mixed())
    assert "~ content = (sensitive value)\n" in text


def test_every_reason_and_disruption_has_words() -> None:
    for reason in Reason:
        change = update("a/b/c@n", "file", {"x": 1}, {"x": 2}, reason=reason)
        assert (wording.reason(change) == "") == (
            reason in {Reason.NEW, Reason.UNOBSERVED, Reason.REPLACE_REQUESTED, Reason.DESTROY}
        )
    for disruption in Disruption:
        change = update("a/b/c@n", "file", {"x": 1}, {"x": 2}, disruption=disruption)
        assert (wording.disruption(change) == "") == (disruption is Disruption.NONE)


def test_a_question_names_what_data_goes() -> None:
    lost = [
        update(f"a/b/c{number}@n", "file", {"x": 1}, {"x": 2}, disruption=Disruption.DATA_LOSS)
        for number in range(7)
    ]
    named = "a/b/c0@n, a/b/c1@n, a/b/c2@n, a/b/c3@n, a/b/c4@n"
    assert wording.lost_data(plan(*lost)) == f"Data is destroyed by {named} and 2 more."
    assert wording.lost_data(_mixed()) == "Data is destroyed by os/disks/data@n1."
    assert wording.lost_data(plan(nothing("a/b/c@n1", "file", {"x": 1}))) == ""


def test_no_changes_is_not_said_of_hosts_that_did_not_answer() -> None:
    clean = nothing("a/b/c@n1", "file", {"x": 1})
    assert NO_CHANGES in plan_text(plan(clean))
    partial = plan(clean, hosts=(host("n1"), host("n2", HostStatus.UNREACHABLE, "no route")))
    text = plan_text(partial)
    assert NO_CHANGES not in text
    assert "No changes. The hosts that answered match the configuration." in text
    assert "Warning: host n2 could not be reached" in text
    nobody = plan_text(
        plan(hosts=(host("n1", HostStatus.UNREACHABLE, "no route"), host("n2", HostStatus.MAINTENANCE)))
    )
    assert "No changes" not in nobody
    assert nobody.endswith("\nNo host answered, so nothing was compared.\n")


def test_prose_fits_the_terminal_and_changes_are_never_cut() -> None:
    detail = "word " * 60
    made = _mixed().model_copy(update={"hosts": (host("n1", HostStatus.UNREACHABLE, detail.strip()),)})
    narrow = plan_text(made, width=60).split("\n")
    assert all(len(line) <= 60 for line in narrow if line.startswith("  word"))
    wide = plan_text(made).split("\n")
    assert [line for line in narrow if "word" not in line] == [line for line in wide if "word" not in line]


@given(st.sampled_from(list(ActionKind)), st.sampled_from(list(ActionKind)))
def test_text_json_and_counts_agree(first: ActionKind, second: ActionKind) -> None:
    changes = [
        update(f"a/b/{name}@n1", "file", {"x": 1}, {"x": 2}, action=action)
        for name, action in (("one", first), ("two", second))
    ]
    made = plan(*changes)
    document: Any = plan_document(made)
    actions = [tuple(entry["change"]["actions"]) for entry in document["resource_changes"]]
    assert bool(made.effective) == any(action != ("no-op",) for action in actions)
    assert bool(made.effective) == (NO_CHANGES not in plan_text(made))
    counts = made.counts()
    assert counts.add == sum("create" in action for action in actions)
    assert counts.remove == sum("delete" in action for action in actions)


def test_what_many_hosts_say_alike_is_told_once() -> None:
    silent = [f"n{i}" for i in range(1, 4)]
    gone = (host(name, HostStatus.UNREACHABLE, f"192.0.2.{name[1]} port 22: gone") for name in silent)
    made = plan(hosts=tuple(gone))
    lost = tuple(
        PlanDiagnostic(
            severity="warning",
            summary=f"{name} is unreachable: 192.0.2.{name[1]} port 22: gone",
            detail="Look.",
        )
        for name in silent
    )
    late = tuple(
        PlanDiagnostic(
            severity="warning",
            summary="its clock is late",
            detail=f"See m/t/x@{name}.",
            address=f"m/t/x@{name}",
        )
        for name in ("n1", "n2", "db")
    )
    other = PlanDiagnostic(severity="error", summary="not so", address="m/t/x@n1")
    text = plan_text(made.model_copy(update={"diagnostics": (*lost, *late, other)}))
    assert "Warning: n[1-3] are unreachable: port 22: gone\n\n  Look.\n" in text
    assert text.count("unreachable") == 1
    assert "Warning: its clock is late\n\n  with m/t/x@db,n[1,2]\n\n  See m/t/x@db,n[1,2].\n" in text
    assert "Error: not so\n\n  with m/t/x@n1\n" in text
    alone = plan_text(made.model_copy(update={"diagnostics": lost[:1]}))
    assert "Warning: n1 is unreachable: 192.0.2.1 port 22: gone" in alone
