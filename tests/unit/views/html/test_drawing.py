"""The drawing of the order: what it shows, what it folds, and that nothing lies on top of anything else."""

from __future__ import annotations

import itertools
import re

import pytest

from kubexms.plan.model import OrderedModule, OrderedTask, Plan
from kubexms.views.html.drawing import BOXES, BOXES_WITH_ROWS, ROWS, drawing
from kubexms.views.html.geometry import HEAD, LINE, WIDTH, Layout
from kubexms.views.html.layout import lay_out
from kubexms.views.html.plan import plan_html
from tests.golden.cases import create, nothing, plan
from tests.unit.views.html.plans import fleet, golden, mixed, order
from tests.unit.views.html.tree import parse


def picture(made: Plan) -> Layout:
    drawn = drawing(made)
    assert drawn is not None
    return lay_out(drawn)


def wide(tasks: int, steps: int = 1) -> Plan:
    """Many tasks in three modules, on one host."""
    names = {f"m{m}": {f"t{t}": [f"s{s}" for s in range(steps)] for t in range(tasks // 3)} for m in range(3)}
    changes = [
        create(f"{m}/{t}/{s}@n1", "file", {"x": 1})
        for m, found in names.items()
        for t in found
        for s in found[t]
    ]
    return plan(*changes, order=order(names))


def test_bands_boxes_and_rows_follow_the_pipeline() -> None:
    drawn = drawing(mixed())
    assert drawn is not None
    shape = {
        band.title: {
            box.title: [f"{row.sign} {row.label}{row.count}" for row in box.rows] for box in band.boxes
        }
        for band in drawn.bands
    }
    assert shape == {
        "os": {
            "kernel": ["= overlay", "> reboot"],
            "files": ["~ motd", "~ token"],
            "users": ["~ deploy"],
            "disks": ["\u00b1 data"],
            "checks": ["~ port"],
            "init": ["> cluster"],
        },
        "runtime": {"containerd": ["~ service"]},
        "no longer in the pipeline": {"os/files": [". gpu", "- old"]},
    }
    assert [(tie.before, tie.after) for tie in drawn.ties] == [
        ("os/files/token", "runtime/containerd/service")
    ]


def test_hosts_are_counted_and_unchanged_stretches_fold() -> None:
    changes = [create(f"m/t/new@n{n}", "file", {"x": 1}) for n in range(100)]
    changes += [nothing(f"m/t/{step}@n{n}", "file", {"x": 1}) for step in ("a", "b", "c") for n in range(100)]
    changes += [nothing(f"m/quiet/{step}@n1", "file", {"x": 1}) for step in ("a", "b")]
    drawn = drawing(plan(*changes, order=order({"m": {"t": ["a", "b", "c", "new"], "quiet": ["a", "b"]}})))
    assert drawn is not None
    busy, quiet = drawn.bands[0].boxes
    assert [(row.label, row.count) for row in busy.rows] == [("3 unchanged", ""), ("new", "\u00d7100")]
    assert busy.hosts == "100 hosts"
    assert quiet.quiet
    assert [row.label for row in quiet.rows] == ["2 unchanged"]


def test_long_tasks_end_with_how_many_more() -> None:
    drawn = drawing(wide(3, ROWS + 5))
    assert drawn is not None
    box = drawn.bands[0].boxes[0]
    assert len(box.rows) == ROWS
    assert box.rows[-1].label == "6 more"


def test_waits_look_through_what_takes_no_part() -> None:
    changes = [create(f"{path}@n1", "file", {"x": 1}) for path in ("a/one/s", "a/three/s", "c/t/s")]
    names = {"a": {"one": ["s"], "two": ["s"], "three": ["s"]}, "b": {"t": ["s"]}, "c": {"t": ["s"]}}
    drawn = drawing(plan(*changes, order=order(names)))
    assert drawn is not None
    assert [(box.title, box.after) for box in drawn.bands[0].boxes] == [("one", ()), ("three", ("a/one",))]
    assert [(band.name, band.after) for band in drawn.bands] == [("a", ()), ("c", ("a",))]


def test_big_pipelines_lose_rows_and_then_tasks() -> None:
    some = drawing(wide(BOXES_WITH_ROWS + 3, 2))
    assert some is not None
    assert {len(box.rows) for band in some.bands for box in band.boxes} == {1}
    assert some.folded == f"Steps are not drawn: there are {BOXES_WITH_ROWS + 3} tasks."
    many = drawing(wide(BOXES + 3))
    assert many is not None
    assert [box.title for band in many.bands for box in band.boxes] == ["m0", "m1", "m2"]
    assert [box.after for box in many.bands[0].boxes] == [(), ("m0",), ("m1",)]


def test_without_an_order_nothing_is_drawn() -> None:
    assert drawing(golden("mixed")) is None
    assert not parse(plan_html(golden("mixed"))).find("svg")


def _tangled() -> Plan:
    """Modules and tasks that wait for others far away, and for several."""
    tasks = [OrderedTask(name=f"t{n}", after=(f"a/t{n // 3}",) if n else ()) for n in range(9)]
    base = order({"a": {f"t{n}": ["s", "u<s"] for n in range(9)}})[0]
    first = OrderedModule(
        name="a",
        tasks=tuple(
            task.model_copy(update={"after": other.after})
            for task, other in zip(base.tasks, tasks, strict=True)
        ),
    )
    second = order({"b": {"t": ["s<a/t1/s", "u<a/t8/s"]}})[0].model_copy(update={"after": ("a",)})
    third = order({"c": {"t": ["s<a/t2/u"]}})[0]
    third = third.model_copy(
        update={"after": ("a", "b"), "tasks": (third.tasks[0].model_copy(update={"after": ("a/t5", "b/t")}),)}
    )
    changes = [
        create(f"{m.name}/{t.name}/{s.name}@n1", "file", {"x": 1})
        for m in (first, second, third)
        for t in m.tasks
        for s in t.steps
    ]
    return plan(*changes, order=(first, second, third))


CASES = {
    "mixed": mixed,
    "fleet": fleet,
    "wide": lambda: wide(45, 3),
    "folded": lambda: wide(BOXES_WITH_ROWS + 3),
    "tangled": _tangled,
}


@pytest.mark.parametrize("name", CASES)
def test_no_box_lies_on_another_and_all_are_in_their_band(name: str) -> None:
    made = picture(CASES[name]())
    boxes = [(placed.x, placed.y, placed.x + WIDTH, placed.y + placed.height) for placed in made.boxes]
    for a, b in itertools.combinations(boxes, 2):
        assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]
    strips = [(s.x, s.y + HEAD, s.x + s.width, s.y + s.height) for s in made.strips]
    for box in boxes:
        inside = [s for s in strips if s[0] < box[0] and box[2] < s[2] and s[1] < box[1] and box[3] < s[3]]
        assert len(inside) == 1
    assert max(box[2] for box in strips) < made.width
    assert max(box[3] for box in strips) < made.height


@pytest.mark.parametrize("name", CASES)
def test_no_line_crosses_a_box(name: str) -> None:
    """Straight lines are followed; curves stay between their ends, which is a gap between columns."""
    made = picture(CASES[name]())
    assert made.paths
    for path in made.paths:
        for x1, y1, x2, y2 in _segments(path.d):
            for placed in made.boxes:
                left, top, right, bottom = placed.x, placed.y, placed.x + WIDTH, placed.y + placed.height
                apart = (
                    max(x1, x2) <= left or min(x1, x2) >= right or max(y1, y2) <= top or min(y1, y2) >= bottom
                )
                assert apart, (path.told, placed.box.key)
            assert min(x1, x2) >= 0
            assert max(x1, x2) <= made.width


def _segments(d: str) -> list[tuple[int, int, int, int]]:
    found: list[tuple[int, int, int, int]] = []
    x = y = 0
    for letter, rest in re.findall(r"([MHVC])([^MHVC]*)", d):
        numbers = [int(number) for number in rest.split()]
        match letter:
            case "M":
                x, y = numbers
                continue
            case "H":
                new = (numbers[0], y)
            case "V":
                new = (x, numbers[0])
            case _:
                new = (numbers[4], numbers[5])
        found.append((x, y, *new))
        x, y = new
    return found


def test_rows_lead_to_their_changes() -> None:
    root = parse(plan_html(mixed()))
    places = {node.attributes["id"]: node for node in root.walk() if "id" in node.attributes}
    links = root.one("div", "scroll").find("a")
    assert len(links) == 10
    for link in links:
        told = link.one("title").text.partition(":")[0]
        assert told in places[link.attributes["href"][1:]].text


def test_the_same_is_there_as_text() -> None:
    text = parse(plan_html(mixed())).one("details", "astext").text
    assert "files after os/kernel: motd, token" in text
    assert "runtime after os" in text
    assert "service (after os/files/token)" in text


def test_rows_are_where_their_text_is() -> None:
    placed = picture(mixed()).boxes[0]
    baselines = [y for y, _ in placed.rows()]
    assert baselines[1] - baselines[0] == LINE
    assert placed.middle("os/kernel/reboot") == placed.y + HEAD + LINE + LINE // 2
    assert placed.middle("os/kernel/none") is None
