"""What machines read of drift: JUnit, metrics, the message of a webhook."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

import pytest

from kubexms.plan.driftreport import DriftReport
from kubexms.plan.model import HIDDEN, Change, TextDiff
from kubexms.step.contract import ActionKind
from kubexms.views.drift_json import drift_json
from kubexms.views.drift_junit import drift_junit
from kubexms.views.drift_message import LINES, drift_message, message_text
from kubexms.views.drift_metrics import drift_metrics
from tests.golden.cases import update

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
EDITED = update(
    "os/files/motd@n1",
    "file",
    {"sha256": "a"},
    {"sha256": "b"},
    summary="/etc/motd",
    text={"content": TextDiff(before="hello\n", after="<vandal> & \x1b[2J\n")},
)
GONE = Change(
    address='os/files/each["k"]@n2', kind="file", action=ActionKind.DELETE, before={"m": "1"}, changed=("m",)
)
REPORT = DriftReport(
    drifted=(EDITED, GONE),
    unreachable={"n3": "no route\x00"},
    unknown={"os/kernel/limits@n1": "sudo refused"},
    maintenance={"n4": "disks"},
    applying={"n5": "r1"},
    hosts=("n1", "n2", "n3", "n4", "n5", "n6"),
    steps=(
        *("os/files/motd@n1", "os/kernel/limits@n1", "os/kernel/swap@n1"),
        *('os/files/each["k"]@n2', "runtime/unit/service@n2"),
        *("os/files/motd@n3", "os/files/motd@n4", "os/files/motd@n5"),
    ),
    project="fleet",
    workspace="prod",
    started=AT,
    seconds=2.5,
)


def cases(report: DriftReport) -> dict[tuple[str, str, str], ElementTree.Element]:
    text = drift_junit(report)
    assert text.startswith('<?xml version="1.0" encoding="UTF-8"?>\n')
    root = ElementTree.fromstring(text.encode())
    assert root.tag == "testsuites"
    return {
        (suite.attrib["name"], case.attrib["classname"], case.attrib["name"]): case
        for suite in root.iter("testsuite")
        for case in suite.iter("testcase")
    }


def test_junit_has_a_suite_per_host_and_a_case_per_step() -> None:
    found = cases(REPORT)
    outcome = {key: [child.tag for child in case] for key, case in found.items()}
    assert outcome == {
        ("n1", "os/files", "motd"): ["failure"],
        ("n1", "os/kernel", "limits"): ["skipped"],
        ("n1", "os/kernel", "swap"): [],
        ("n2", "os/files", 'each["k"]'): ["failure"],
        ("n2", "runtime/unit", "service"): [],
        ("n3", "os/files", "motd"): ["error"],
        ("n4", "os/files", "motd"): ["skipped"],
        ("n5", "os/files", "motd"): ["skipped"],
    }
    failure = found["n1", "os/files", "motd"].find("failure")
    assert failure is not None
    assert failure.attrib["message"] == "/etc/motd has changed: sha256"
    assert "- hello" in (failure.text or "")
    assert "+ <vandal> & \\x1b[2J" in (failure.text or "")
    root = ElementTree.fromstring(drift_junit(REPORT).encode())
    counts = {name: root.attrib[name] for name in ("tests", "failures", "errors", "skipped")}
    assert counts == {"tests": "8", "failures": "2", "errors": "1", "skipped": "3"}


def test_a_lost_host_without_steps_is_an_error_of_its_own() -> None:
    found = cases(DriftReport(hosts=("n1",), unreachable={"n1": "no route"}))
    assert [[child.tag for child in case] for case in found.values()] == [["error"]]


def test_metrics_are_those_of_the_convention() -> None:
    lines = [line for line in drift_metrics(REPORT).splitlines() if not line.startswith("#")]
    assert lines == [
        'kubexms_drift_steps{host="n1",module="os",workspace="prod"} 1.0',
        'kubexms_drift_steps{host="n2",module="os",workspace="prod"} 1.0',
        'kubexms_drift_steps{host="n2",module="runtime",workspace="prod"} 0.0',
        'kubexms_host_unreachable{host="n1",workspace="prod"} 0.0',
        'kubexms_host_unreachable{host="n2",workspace="prod"} 0.0',
        'kubexms_host_unreachable{host="n3",workspace="prod"} 1.0',
        'kubexms_host_unreachable{host="n5",workspace="prod"} 0.0',
        'kubexms_host_unreachable{host="n6",workspace="prod"} 0.0',
        'kubexms_last_success_timestamp_seconds{workspace="prod"} 1.7723664025e+09',
        'kubexms_plan_duration_seconds{workspace="prod"} 2.5',
    ]
    assert drift_metrics(REPORT).endswith("\n")


@pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool (Debian's prometheus) is not installed"
)
@pytest.mark.parametrize("report", [REPORT, DriftReport(workspace='o"dd\\\n')])
def test_promtool_takes_the_metrics(report: DriftReport) -> None:
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=drift_metrics(report), capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_message_is_the_document_with_a_text_for_chats() -> None:
    body = json.loads(drift_message(REPORT))
    assert body["text"].splitlines() == [
        "*fleet/prod: Drift: 2 steps on 2 hosts*",
        "• `os/files/motd@n1` has changed: sha256",
        '• `os/files/each["k"]@n2` is gone',
        "Not reached: n3",
    ]
    assert body["exit_code"] == 2
    assert [entry["address"] for entry in body["drifted"]] == [EDITED.address, GONE.address]


def test_what_a_chat_shows_is_short_escaped_and_without_values() -> None:
    many = tuple(update(f"m/t/s{n}@n1", "file", {"<&>": f"value {n}"}, {"<&>": "other"}) for n in range(50))
    text = message_text(DriftReport(drifted=many))
    assert len(text.splitlines()) == LINES + 2
    assert text.endswith(f"and {50 - LINES} more")
    assert "&lt;&amp;&gt;" in text
    assert "value" not in text
    assert message_text(DriftReport()) == "*No drift*"
    assert message_text(DriftReport(unreachable={"n1": "x"})).startswith(
        "*No drift, but 1 host did not answer*"
    )


def test_hidden_values_are_hidden_everywhere() -> None:
    hidden = {"sha256": HIDDEN}
    secret = update("m/t/s@n1", "file", hidden, hidden, sensitive=("sha256",)).model_copy(
        update={"changed": ("sha256",)}
    )
    report = DriftReport(drifted=(secret,), hosts=("n1",), steps=(secret.address,))
    assert "(sensitive value)" in drift_junit(report)


def test_every_key_of_the_document_is_on_the_page() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs/output.md").read_text("utf-8")
    section = page.partition("`drift --json` has")[2].partition("\n## ")[0]
    told = set(re.findall(r"`(\w+)`", section)) - {"resource_drift", "before", "after", "since"}
    assert set(drift_json(REPORT)) == told
