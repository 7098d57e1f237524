"""What hosts and documents say is text on the page, whatever it is, and secrets are not there at all."""

from __future__ import annotations

import json
import re

import pytest

from kubexms.plan.model import (
    HIDDEN,
    HostStatus,
    OrderedModule,
    OrderedStep,
    OrderedTask,
    PlanDiagnostic,
    PlannedHook,
    PlanOptions,
    Reason,
    Removal,
    TextDiff,
)
from kubexms.views.escaping import printable
from kubexms.views.html.plan import plan_html
from tests.golden.cases import create, host, plan, update
from tests.unit.views.html.tree import parse

HOSTILE = (
    "<script>alert(1)</script>",
    "</script><script>alert(2)</script>",
    "<!-- <script>",
    "\"><img src=x onerror='alert(3)'>",
    "' onmouseover=alert(4) x='",
    "{{ 7 * 7 }}{% raw %}",
    "nul \x00 escape \x1b[2J bell \x07 c1 \x9b",
    "right to left \u202e mark \u200f zero \u200b bom \ufeff separator \u2028 surrogate \ud800",
    "a" * 200_000,
    "&amp; &lt; ]]> \\ \\u003c",
)

_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200f\u2028\u202e\ufeff\ud800]")


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda text: ascii(text[:24]))
def test_hostile_text_is_text(hostile: str) -> None:
    made = plan(
        update(
            f"a/b/c@{hostile[:500]}",
            "file",
            {"owner": hostile, "deep": {hostile: [hostile]}},
            {"owner": "root", "deep": {hostile: [hostile, "x"], "more": hostile}},
            summary=hostile,
            unknown=hostile,
            triggered_by=(hostile[:500],),
            reason=Reason.TRIGGERED,
            notes=(hostile,),
            text={hostile[:500]: TextDiff(before=hostile, after=f"{hostile}\nnew")},
        ),
        hosts=(host("n1", HostStatus.UNREACHABLE, hostile, guard=hostile[:500]),),
        removals=(Removal(host=hostile[:500], steps=1, allowed=False),),
        hooks=(PlannedHook(address=f"a/b/hook[x]@{hostile[:500]}", phase="pre", run=hostile, on="hosts"),),
        diagnostics=(PlanDiagnostic(severity="error", summary=hostile, detail=hostile),),
        options=PlanOptions(targets=(hostile[:500],), environment=hostile[:500]),
    )
    text = plan_html(made)
    root = parse(text)
    assert len(root.find("script")) == 2
    assert len(root.find("style")) == 1
    assert not root.find("img")
    assert not _UNSAFE.search(text)
    text.encode("utf-8")
    assert len(text) < 100_000
    (change,) = root.find("details", "c")
    assert printable(hostile[:12]) in change.text


def test_data_for_the_script_cannot_end_its_element() -> None:
    made = plan(create("a/b/c@</script><b>", "file", {"x": 1}))
    text = plan_html(made)
    data = next(n for n in parse(text).find("script") if n.attributes.get("type") == "application/json")
    assert "<" not in data.text
    assert json.loads(data.text) == [["</script><b>"]]


def test_sensitive_values_are_nowhere() -> None:
    made = plan(
        update(
            "a/b/c@n1",
            "file",
            {"content": HIDDEN, "mode": "0600"},
            {"content": HIDDEN, "mode": "0600"},
            changed=("content",),
            sensitive=("content",),
            text={"content": TextDiff(before="canary-before", after="canary-after")},
        ),
        options=PlanOptions(variables={"token": "canary-variable"}),
    )
    text = plan_html(made)
    assert "canary" not in text
    assert "(sensitive value)" in text
    assert "token" in text


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda text: ascii(text[:24]))
def test_a_forged_order_is_text_too(hostile: str) -> None:
    """Names are checked in documents; a plan file may have been made by anybody."""
    name = re.sub(r"[/@\[\]]", "", hostile)[:300]
    task = OrderedTask(
        name=name, steps=(OrderedStep(name=name), OrderedStep(name="next", after=(f"{name}/{name}/{name}",)))
    )
    module = OrderedModule(name=name, after=(hostile,), tasks=(task,))
    changes = [create(f"{name}/{name}/{step}@n1", "file", {"x": 1}) for step in (name, "next")]
    text = plan_html(plan(*changes, order=(module,)))
    root = parse(text)
    assert [len(root.find(tag)) for tag in ("script", "style", "img")] == [2, 1, 0]
    assert not _UNSAFE.search(text)
    assert printable(name)[:12] in root.one("details", "astext").text
