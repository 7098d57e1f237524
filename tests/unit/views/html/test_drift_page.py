"""Drift as a page."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from kubexms.plan.driftreport import DriftReport
from kubexms.plan.model import Change, Reason, TextDiff
from kubexms.step.contract import ActionKind
from kubexms.views.html.drift import drift_html
from tests.golden.cases import create, update
from tests.unit.views.html.tree import Node, parse

STARTED = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


def page(report: DriftReport) -> Node:
    return parse(drift_html(report))


def full() -> DriftReport:
    """Some of everything."""
    names = [f"n{number:02}" for number in range(1, 8)]
    motd = [
        update(
            f"os/files/motd@{name}",
            "file",
            {"mode": "0644"},
            {"mode": "0666"},
            reason=Reason.DRIFT,
            text={"content": TextDiff(before="Do as you are told.\n", after="Do as you like.\n")},
        )
        for name in names
    ]
    gone = Change(
        address="runtime/containerd/config@n09",
        kind="file",
        action=ActionKind.DELETE,
        before={"mode": "0644"},
    )
    return DriftReport(
        drifted=(*motd, gone),
        pending=tuple(create(f"os/kernel/new@{name}", "sysctl", {"value": "1"}) for name in names),
        unreachable={"n20": "no route to host", "n21": "no route to host", "n22": "refused <b>"},
        behind=("n05",),
        untracked=("os/time/zone@n01",),
        unknown={"os/checks/port@n01": "no answer", "os/checks/port@n02": "no answer"},
        maintenance={"n30": "new disks"},
        applying={"n31": "r7"},
        steps=tuple(change.address for change in motd),
        since={"os/files/motd@n02": STARTED - timedelta(days=2), gone.address: STARTED},
        facts_at={"n20": STARTED - timedelta(hours=1)},
        repaired=("os/files/issue@n01",),
        left={gone.address: "it would restart containerd"},
        notes=("the history could not be written",),
        project="site",
        workspace="prod",
        tool_version="0.1.0",
        started=STARTED,
        seconds=4.25,
    )


def test_drift_leads_from_what_was_applied_to_what_is_there() -> None:
    root = page(full())
    assert root.one("h1").text == "Drift: 8 steps on 8 hosts."
    motd, gone = root.find("details", "c")
    assert "@n[01-07] has changed, found first at 2026-02-27 12:00:00 UTC" in motd.words
    assert [motd.find("del")[0].text, motd.find("ins")[0].text] == ['"0644"', '"0666"']
    assert "is gone" in gone.text
    assert "found first" not in gone.text
    assert "will be" not in root.one("main").text


def test_everything_else_is_apart_from_drift_and_none_of_it_is_left_out() -> None:
    root = page(full())
    text = root.one("main").words
    for said in (
        "Not reached: n[20,21] no route to host",
        "Not reached: n22 refused <b>",
        "Not observed: os/checks/port@n[01,02] no answer",
        "Behind: n05",
        "Not judged: n31 Run r7",
        "Old facts: n20",
        "are of 2026-03-01 11:00:00 UTC",
        "Left as it is by the repair: runtime/containerd/config@n09 it would restart containerd",
        "os/files/issue@n01",
        "Note: the history could not be written",
        "In maintenance, left alone: n30 new disks",
        "os/kernel/new@n[01-07]",
        "os/time/zone@n01",
    ):
        assert said in text
    tiles = [" ".join(item.text.split()) for item in root.one("ul", "tiles").find("li")]
    assert tiles == [
        "~ 7 changed",
        "- 1 gone",
        "1 step repaired",
        "1 step left by the repair",
        "3 hosts not reached",
        "2 steps not observed",
        "1 host being changed",
        "1 host behind",
        "1 host in maintenance",
    ]
    assert {n.attributes["href"] for n in root.find("a")} <= {
        f"#{n.attributes['id']}" for n in root.walk() if "id" in n.attributes
    }


def test_a_clean_fleet_is_clean_and_silence_is_not_taken_for_it() -> None:
    assert page(DriftReport()).one("h1").text == "No drift."
    silent = page(DriftReport(unreachable={"n1": "no route to host"}))
    assert silent.one("h1").text == "No drift on the hosts that answered; 1 host did not."
    assert "no route to host" in silent.one("main").text


def test_the_same_report_gives_the_same_bytes() -> None:
    assert drift_html(full()) == drift_html(full())
