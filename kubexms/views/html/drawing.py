"""What the order looks like: bands of modules, boxes of tasks, rows of steps, each with what becomes of it.

Hosts are folded into counts, stretches without changes into one row, long tasks into their first rows,
and a pipeline with very many tasks into boxes without rows, or into modules alone.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from kubexms.plan.model import Change, OrderedModule, OrderedTask, Plan
from kubexms.step.contract import ActionKind
from kubexms.views.escaping import printable
from kubexms.views.html.blocks import CLASSES, SIGNS, WORDS
from kubexms.views.values import plural

ROWS = 14
"""Rows of one task that are drawn."""
BOXES_WITH_ROWS = 60
"""Tasks up to which their steps are drawn."""
BOXES = 240
"""Tasks up to which they are drawn; beyond there are modules alone."""
LEAVES = "\x00"
"""The band of steps that the pipeline has no place for any more; no module is called so."""

Tally = Mapping[str, "Counter[ActionKind]"]


@dataclass(frozen=True, slots=True)
class Row:
    """One step, or several that nothing happens to."""

    steps: tuple[str, ...]
    """Paths."""
    label: str
    sign: str
    css: str
    count: str
    told: str
    """The whole of it, for a tooltip and for those who hear the page."""


@dataclass(slots=True)
class Box:
    """A task, or a whole module where there are very many."""

    key: str
    title: str
    rows: tuple[Row, ...] = ()
    after: tuple[str, ...] = ()
    """Keys of boxes in the same band."""
    quiet: bool = False
    """Nothing happens in it."""
    hosts: str = ""


@dataclass(slots=True)
class Band:
    """A module with its tasks."""

    name: str
    title: str
    boxes: list[Box] = field(default_factory=list)
    after: tuple[str, ...] = ()
    """Names of bands."""
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class Tie:
    """One step that another one waits for besides the order: named, watched, or read."""

    before: str
    after: str
    """Paths of steps."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """Everything to draw; `ties` whose ends have no row of their own are drawn between boxes."""

    bands: tuple[Band, ...]
    ties: tuple[Tie, ...]
    crossing: tuple[tuple[str, str], ...] = ()
    """Boxes of different bands that wait for each other: (before, after)."""
    folded: str = ""
    """What is left out, in words; empty for nothing."""


def drawing(plan: Plan) -> Drawing | None:
    """What to draw of a plan; None where it says nothing of its order, or holds nothing."""
    tally, hosts = _tallies(plan.changes)
    tasks = [task for module in plan.order for task in module.tasks if _taking_part(module, task, tally)]
    if not tasks:
        return None
    if len(tasks) > BOXES:
        return Drawing(
            (_modules_only(plan.order, tally),),
            (),
            folded=f"Only modules are drawn: there are {len(tasks)} tasks.",
        )
    rows = len(tasks) <= BOXES_WITH_ROWS
    bands = [band for module in plan.order if (band := _band(module, tally, hosts, rows=rows)).boxes]
    present = {band.name for band in bands}
    waits = {module.name: tuple(name.partition("/")[0] for name in module.after) for module in plan.order}
    for band in bands:
        band.after = tuple(dict.fromkeys([*_present(waits[band.name], waits, present)]))
    leaving = _leaving(plan, tally)
    boxes = {box.key for band in bands for box in band.boxes}
    return Drawing(
        (*bands, leaving) if leaving.boxes else tuple(bands),
        tuple(_ties(plan.order, tally)) if rows else (),
        tuple(_crossing(plan.order, boxes)),
        "" if rows else f"Steps are not drawn: there are {len(tasks)} tasks.",
    )


def _tallies(changes: Iterable[Change]) -> tuple[dict[str, Counter[ActionKind]], dict[str, set[str]]]:
    """Step -> actions, and task -> hosts."""
    tally: dict[str, Counter[ActionKind]] = defaultdict(Counter)
    hosts: dict[str, set[str]] = defaultdict(set)
    for change in changes:
        path, _, host = change.address.rpartition("@")
        step = path.partition("[")[0]
        tally[step][change.action] += 1
        hosts[step.rpartition("/")[0]].add(host)
    return tally, hosts


def _taking_part(module: OrderedModule, task: OrderedTask, tally: Tally) -> bool:
    return any(f"{module.name}/{task.name}/{step.name}" in tally for step in task.steps)


def _band(module: OrderedModule, tally: Tally, hosts: Mapping[str, set[str]], *, rows: bool) -> Band:
    names = [f"{module.name}/{task.name}" for task in module.tasks]
    waits = dict(zip(names, (task.after for task in module.tasks), strict=True))
    present = {
        name for name, task in zip(names, module.tasks, strict=True) if _taking_part(module, task, tally)
    }
    band = Band(module.name, printable(module.name))
    for name, task in zip(names, module.tasks, strict=True):
        if name not in present:
            continue
        steps = [path for step in task.steps if (path := f"{name}/{step.name}") in tally]
        actions = sum((tally[path] for path in steps), Counter[ActionKind]())
        quiet = set(actions) == {ActionKind.NO_OP}
        drawn = tuple(_rows(steps, tally)) if rows and not quiet else (_row(steps, "", actions),)
        after = tuple(_present(task.after, waits, present))
        count = plural(len(hosts[name]), "host")
        band.boxes.append(Box(name, printable(task.name), drawn, after, quiet, count))
    band.quiet = all(box.quiet for box in band.boxes)
    return band


def _present(names: Iterable[str], waits: Mapping[str, Sequence[str]], present: set[str]) -> Iterator[str]:
    """What is waited for; where that takes no part, what it would have waited for."""
    queue, seen = list(names), set[str]()
    while queue:
        name = queue.pop(0)
        if name in seen:
            continue
        seen.add(name)
        if name in present:
            yield name
        else:
            queue += waits.get(name, ())


def _rows(steps: Sequence[str], tally: Tally) -> Iterator[Row]:
    """Steps in order; stretches of unchanged ones as one row, and the end of a long task as one."""
    found: list[Row] = []
    for quiet, members in groupby(steps, key=lambda path: set(tally[path]) == {ActionKind.NO_OP}):
        paths = list(members)
        if quiet and len(paths) > 1:
            actions = sum((tally[path] for path in paths), Counter[ActionKind]())
            found.append(_row(paths, f"{len(paths)} unchanged", actions))
        else:
            found += [_row([path], printable(path.rpartition("/")[2]), tally[path]) for path in paths]
    yield from found if len(found) <= ROWS else found[: ROWS - 1]
    if len(found) > ROWS:
        rest = [path for row in found[ROWS - 1 :] for path in row.steps]
        yield _row(rest, f"{len(rest)} more", sum((tally[path] for path in rest), Counter[ActionKind]()))


def _row(steps: Sequence[str], label: str, actions: Counter[ActionKind]) -> Row:
    kinds = [kind for kind in (*_GRAVEST, ActionKind.NO_OP) if actions[kind]]
    first = kinds[0]
    told = ", ".join(f"{actions[kind]} {WORDS[kind]}" for kind in kinds)
    changes = sum(actions.values()) - actions[ActionKind.NO_OP]
    return Row(
        tuple(steps),
        label or told,
        SIGNS[first],
        CLASSES[first],
        f"\N{MULTIPLICATION SIGN}{changes}" if changes > 1 and label else "",
        f"{printable(steps[0])}: {told}" if len(steps) == 1 else told,
    )


_GRAVEST = (
    ActionKind.DELETE,
    ActionKind.REPLACE,
    ActionKind.RUN,
    ActionKind.UPDATE,
    ActionKind.CREATE,
    ActionKind.FORGET,
)


def _leaving(plan: Plan, tally: Tally) -> Band:
    """Steps that are on their way out, as boxes that wait for nothing."""
    placed = {f"{m.name}/{t.name}/{s.name}" for m in plan.order for t in m.tasks for s in t.steps}
    tasks: dict[str, list[str]] = defaultdict(list)
    for path in tally:
        if path not in placed:
            tasks[path.rpartition("/")[0]].append(path)
    band = Band(LEAVES, "no longer in the pipeline")
    shown = sorted(tasks)[:BOXES_WITH_ROWS]
    band.boxes = [
        Box(f"{LEAVES}{name}", printable(name), tuple(_rows(sorted(tasks[name]), tally))) for name in shown
    ]
    return band


def _modules_only(order: Sequence[OrderedModule], tally: Tally) -> Band:
    totals: dict[str, Counter[ActionKind]] = defaultdict(Counter)
    for path, actions in tally.items():
        totals[path.partition("/")[0]].update(actions)
    waits = {module.name: tuple(name.partition("/")[0] for name in module.after) for module in order}
    band = Band("", "modules")
    for module in order:
        if module.name in totals:
            actions = totals[module.name]
            after = tuple(_present(waits[module.name], waits, set(totals)))
            quiet = set(actions) == {ActionKind.NO_OP}
            row = _row([module.name], "", actions)
            band.boxes.append(Box(module.name, printable(module.name), (row,), after, quiet))
    return band


def _ties(order: Sequence[OrderedModule], tally: Tally) -> Iterator[Tie]:
    for module in order:
        for task in module.tasks:
            for step in task.steps:
                path = f"{module.name}/{task.name}/{step.name}"
                yield from (Tie(name, path) for name in step.after if path in tally and name in tally)


def _crossing(order: Sequence[OrderedModule], boxes: set[str]) -> Iterator[tuple[str, str]]:
    for module in order:
        for task in module.tasks:
            name = f"{module.name}/{task.name}"
            for other in task.after:
                if {name, other} <= boxes and other.partition("/")[0] != module.name:
                    yield other, name
