"""A plan as a page: what it says, that nothing of it can do harm, and that it is one file."""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from kubexms.plan.model import (
    Plan,
    TextDiff,
)
from kubexms.plan.origin import Origin, Place
from kubexms.step.contract import ActionKind
from kubexms.views.html.lines import LINES, LINES_BEYOND
from kubexms.views.html.plan import plan_html
from kubexms.views.plan_formats import PLAN_FORMATS
from tests.golden.cases import CASES, create, plan, update
from tests.unit.views.html.plans import fleet, golden, mixed
from tests.unit.views.html.tree import Node, parse


def page(made: Plan) -> Node:
    return parse(plan_html(made))


def section(root: Node, name: str) -> Node:
    """The section below the heading with this id."""
    (found,) = [n for n in root.find("section") if n.attributes.get("aria-labelledby") == name]
    return found


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_case_is_well_nested_and_the_same_again(case: object) -> None:
    make: Callable[[], Plan] = case.plan  # type: ignore[attr-defined]
    text = plan_html(make())
    root = parse(text)
    assert text.startswith("<!doctype html>")
    assert text.endswith("</html>\n")
    assert text == plan_html(make())
    assert text == PLAN_FORMATS["html"](Plan.from_json(json.loads(json.dumps(make().to_json()))))
    ids = [node.attributes["id"] for node in root.walk() if "id" in node.attributes]
    assert len(ids) == len(set(ids))
    known = {f"#{name}" for name in ids}
    links = [node.attributes["href"] for node in root.find("a")]
    assert set(links) <= known
    for node in root.walk():
        for name in ("aria-labelledby", "aria-describedby"):
            assert f"#{node.attributes[name]}" in known if name in node.attributes else True


def test_the_order_of_hashes_does_not_matter() -> None:
    script = (
        "from hashlib import sha256; from kubexms.views.html.plan import plan_html;"
        "from tests.unit.views.html.plans import mixed, fleet;"
        "print(sha256((plan_html(mixed()) + plan_html(fleet(7, 20))).encode()).hexdigest())"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", script],
            cwd=Path(__file__).parents[4],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1


def test_nothing_is_fetched_and_the_policy_forbids_it() -> None:
    text = plan_html(mixed())
    root = parse(text)
    (policy,) = [n for n in root.find("meta") if n.attributes.get("http-equiv") == "Content-Security-Policy"]
    assert policy.attributes["content"].startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy.attributes["content"]
    outside = [
        value
        for node in root.walk()
        for name, value in node.attributes.items()
        if name in {"src", "href", "action", "poster", "data", "srcset", "xlink:href"}
        and not value.startswith(("#", "data:image/svg+xml,"))
    ]
    assert outside == []
    assert not any(
        name == "style" or name.startswith("on") for node in root.walk() for name in node.attributes
    )
    style = root.one("style").text
    assert "url(" not in style
    assert "@import" not in style
    assert not root.find("iframe") + root.find("object") + root.find("img") + root.find("base")


def test_figures_agree_with_the_plan() -> None:
    root = page(mixed())
    assert root.one("h1").text == "Plan: 1 to add, 7 to change, 2 to destroy."
    tiles = [" ".join(item.text.split()) for item in root.one("ul", "tiles").find("li")]
    assert tiles == [
        "~ 5 update",
        "> 2 run",
        "\u00b1 1 replace",
        "- 1 destroy",
        ". 1 forget",
        "= 1 unchanged",
    ]
    rows = [
        [cell.text for cell in row.find("th") + row.find("td")] for row in section(root, "radius").find("tr")
    ]
    assert rows == [
        ["module", "hosts", "add", "change", "destroy", "forget", "interrupts"],
        ["os", "1", "1", "6", "2", "1", "1 with data loss, 1 reboot"],
        ["runtime", "1", "\u2013", "1", "\u2013", "\u2013", "1 restart"],
        ["role", "hosts", "add", "change", "destroy", "forget", "interrupts"],
        ["node", "1 of 5", "1", "7", "2", "1", "1 with data loss, 1 reboot, 1 restart"],
    ]


def test_a_step_says_where_it_is_written() -> None:
    place = Place(file="site.yaml", line=14)
    made = plan(
        create('a/b/c["k"]@n1', "file", {"x": 1}),
        create("a/b/d@n1", "file", {"x": 1}),
        origin=Origin(places={"a/b/c": place}),
    )
    assert [change.one("p", "k").words for change in page(made).find("details", "c")] == [
        "file on n1 site.yaml:14",
        "file on n1",
    ]


def test_what_destroys_and_what_interrupts_come_first() -> None:
    made = mixed()
    changes = section(page(made), "changes")
    headings = [heading.children[0] for heading in changes.find("h3")]
    assert headings == ["Destroys or replaces ", "Reboots or drains ", "Restarts ", "os "]
    shown = [item.find("span", "p")[0].text for item in changes.find("details", "c")]
    assert shown[:4] == ["os/disks/data", "os/files/old", "os/kernel/reboot", "runtime/containerd/service"]
    assert sorted(shown) == sorted(change.address.partition("@")[0] for change in made.effective)


def test_every_part_of_a_plan_is_told() -> None:
    root = page(mixed())
    notes = section(root, "notes").text
    for said in ("the clock of n1 is 4 s ahead", "no route to host", "n[7,8]", "n5", "--allow-destroy n06"):
        assert said in notes
    assert "kubectl drain {{ host.name }}" in section(root, "hooks").text
    assert "os/kernel/ovl \u2192 os/kernel/overlay" in section(root, "moves").text
    assert "os/kernel/limits@n1" in section(root, "kept").text
    assert "new disks until Friday" in section(root, "asked").text


def test_a_changed_line_shows_what_changed_in_it() -> None:
    made = plan(
        update(
            "a/b/c@n1",
            "file",
            {"mode": "0644"},
            {"mode": "0600"},
            text={
                "content": TextDiff(before="port = 1234 # x\nsame\n", after="port = 1299 # x\nmore\nsame\n")
            },
        )
    )
    pre = page(made).one("details", "c").one("pre")
    assert [(span.attributes.get("class"), span.text) for span in pre.find("span")] == [
        ("r", "- port = 1234 # x"),
        ("a", "+ port = 1299 # x"),
        ("a", "+ more"),
        (None, "  same"),
    ]
    assert [pre.one("del").text, pre.one("ins").text] == ["34", "99"]


def test_long_diffs_are_counted_and_a_page_has_a_budget() -> None:
    text = "".join(f"line {number}\n" for number in range(LINES + 50))
    changes = [
        create(
            f"a/b/s{number}@n1", "file", {"mode": "1"}, text={"content": TextDiff(after=f"{number}\n{text}")}
        )
        for number in range(200)
    ]
    pres = page(plan(*changes)).find("pre")
    lengths = [len(pre.find("span")) for pre in pres]
    assert lengths[0] == LINES + 1
    assert lengths[-1] == LINES_BEYOND + 1
    assert pres[0].find("span")[-1].text.strip() == "(… 51 more lines)"


def test_identical_changes_share_a_block_and_fold_away() -> None:
    made = fleet()
    text = plan_html(made)
    root = parse(text)
    blocks = root.find("details", "c")
    assert len(blocks) == 50
    assert all("n[001-100]" in block.text for block in blocks)
    assert not any("open" in block.attributes for block in blocks)
    assert len(text) < 150_000


def test_differing_changes_of_one_step_share_a_heading() -> None:
    changes = [create(f"a/b/c@n{number}", "file", {"id": number}) for number in range(9)]
    few = page(plan(*changes[:3]))
    assert not few.find("details", "g")
    assert len(few.find("details", "c")) == 3
    group = page(plan(*changes)).one("details", "g")
    assert group.find("summary")[0].text.split() == [
        "+",
        "a/b/c@n[0-8]",
        "9",
        "differing",
        "changes:",
        "will",
        "be",
        "created",
        "id",
    ]
    assert len(group.find("details", "c")) == 9


def test_a_plan_without_changes_says_so() -> None:
    root = page(golden("clean"))
    assert root.one("h1").text == "No changes. Your infrastructure matches the configuration."
    assert not root.find("form")
    assert "Nothing is to be done." in section(root, "changes").text


def test_a_plan_with_an_error_says_that_first() -> None:
    root = page(golden("refused"))
    assert root.one("h1").text == "This plan holds errors and cannot be applied."
    assert "Error:" in section(root, "notes").text


@pytest.mark.parametrize("action", list(ActionKind))
def test_every_action_has_its_filter(action: ActionKind) -> None:
    root = page(plan(update("a/b/c@n1", "file", {"x": 1}, {"x": 2}, action=action)))
    boxes = [n.attributes["value"] for n in root.find("input") if n.attributes.get("name") == "action"]
    assert boxes == ([] if action is ActionKind.NO_OP else [action.value])
    assert [n.attributes["data-a"] for n in root.find("details", "c")] == boxes


@pytest.mark.parametrize("make", [mixed, fleet, lambda: golden("clean")], ids=["mixed", "fleet", "clean"])
def test_the_page_can_be_walked_without_being_seen(make: Callable[[], Plan]) -> None:
    """Landmarks, headings without gaps, a name for every control, table and drawing."""
    root = page(make())
    assert root.one("html").attributes["lang"] == "en"
    assert [len(root.find(tag)) for tag in ("header", "main", "footer", "h1")] == [1, 1, 1, 1]
    levels = [int(node.tag[1]) for node in root.walk() if re.fullmatch("h[1-6]", node.tag)]
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    labelled = {id(n) for label in root.find("label") for n in label.walk() if label.words}
    controls = [n for tag in ("input", "select", "textarea") for n in root.find(tag)]
    assert all(id(control) in labelled for control in controls)
    assert all(button.words for button in root.find("button"))
    assert all(table.find("caption") for table in root.find("table", "grid"))
    assert all(row.find("th")[0].attributes["scope"] for row in root.find("tr"))
    for drawing in root.find("svg"):
        assert drawing.attributes.get("aria-label") or drawing.attributes.get("aria-hidden") == "true"
    for summary in root.find("summary"):
        assert summary.words
