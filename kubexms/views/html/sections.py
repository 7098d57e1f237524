"""Changes in the order in which a reviewer should meet them: what destroys, what interrupts, the rest."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from kubexms.plan.model import OrderedModule
from kubexms.step.contract import ActionKind, Disruption
from kubexms.views.escaping import printable
from kubexms.views.folding import fold
from kubexms.views.html.blocks import Block
from kubexms.views.radius import urgency
from kubexms.views.values import plural

APART = 3
"""Differing changes of one step that are still shown side by side; more share a heading that unfolds."""
OPEN = 20
"""Changes up to which a page shows them unfolded."""
_IN_TITLE = 60
_DESTROYING = frozenset({ActionKind.DELETE, ActionKind.REPLACE})


@dataclass(frozen=True, slots=True)
class Group:
    """The changes of one step: a few that stand for themselves, or many below one heading."""

    id: str
    path: str
    blocks: tuple[Block, ...]

    @property
    def heading(self) -> bool:
        """Whether there are so many that they are folded."""
        return len(self.blocks) > APART

    @property
    def at(self) -> str:
        """The hosts of all of them."""
        hosts = dict.fromkeys(host for block in self.blocks for host in block.hosts)
        text = ",".join(fold(hosts))
        return printable(text) if len(text) <= _IN_TITLE else f"{len(hosts)} hosts"

    @property
    def told(self) -> str:
        """How many, and of which kinds."""
        kinds: dict[str, int] = defaultdict(int)
        for block in self.blocks:
            kinds[block.words] += len(block.hosts)
        if len(kinds) == 1:
            return next(iter(kinds))
        return ", ".join(f"{count} {words}" for words, count in kinds.items())

    @property
    def preview(self) -> str:
        """The attributes that differ."""
        names = [attribute.name for block in self.blocks for attribute in block.attributes]
        return ", ".join(sorted(dict.fromkeys(names))[:8])

    @property
    def signs(self) -> tuple[tuple[str, str], ...]:
        """(class, sign) of each action in it."""
        return tuple(dict.fromkeys((block.css, block.sign) for block in self.blocks))


@dataclass(slots=True)
class Section:
    """Changes below one heading."""

    id: str
    title: str
    note: str = ""
    groups: list[Group] = field(default_factory=list)
    tone: str = ""

    @property
    def blocks(self) -> list[Block]:
        """All of its changes."""
        return [block for group in self.groups for block in group.blocks]

    @property
    def told(self) -> str:
        """How many changes, of how many steps."""
        changes = sum(len(block.hosts) for block in self.blocks)
        return plural(changes, "change")


def sections(blocks: Iterable[Block], order: Sequence[OrderedModule]) -> list[Section]:
    """Those that destroy and those that interrupt come first, the rest module by module in their order."""
    first = [
        Section("destroys", "Destroys or replaces", "What is there now does not stay.", tone="bad"),
        Section("reboots", "Reboots or drains", "The host is away for a while.", tone="warn"),
        Section("restarts", "Restarts", "A service is interrupted.", tone="warn"),
    ]
    found: dict[str, Section] = {section.id: section for section in first}
    members: dict[str, list[Block]] = defaultdict(list)
    ranks = ranks_of(order)
    modules = {printable(module.name): number for number, module in enumerate(order)}
    rest: set[str] = set()
    for item in sorted(blocks, key=lambda block: (_severity(block), rank(block, ranks))):
        key = _urgency(item)
        if not key:
            rest.add(item.module)
        members[key or f"module-{item.module}"].append(item)
    for number, name in enumerate(sorted(rest, key=lambda name: (modules.get(name, len(modules)), name))):
        found[f"module-{name}"] = Section(f"m{number}", name)
    numbers = itertools.count(1)
    for key, section in found.items():
        section.groups = _grouped(members[key], numbers)
    return [section for section in found.values() if section.groups]


def _severity(item: Block) -> int:
    return 0 if item.past else urgency(item.change)


def _urgency(item: Block) -> str:
    if not item.interrupts:
        return ""
    if item.change.disruption is Disruption.RESTART and item.change.action not in _DESTROYING:
        return "restarts"
    hosts_away = item.change.disruption in {Disruption.REBOOT, Disruption.DRAIN}
    return "reboots" if hosts_away and item.change.action not in _DESTROYING else "destroys"


def ranks_of(order: Sequence[OrderedModule]) -> Mapping[tuple[str, str, str], int]:
    """Where each step stands in the pipeline."""
    places = (
        (printable(module.name), printable(task.name), printable(step.name))
        for module in order
        for task in module.tasks
        for step in task.steps
    )
    return {place: number for number, place in enumerate(places)}


def rank(item: Block, ranks: Mapping[tuple[str, str, str], int]) -> int:
    """Where a change stands; those that the pipeline has no place for come last, in the order given."""
    return ranks.get((item.module, item.task, item.step.partition("[")[0]), len(ranks))


def _grouped(blocks: Iterable[Block], numbers: Iterator[int]) -> list[Group]:
    members: dict[str, list[Block]] = defaultdict(list)
    for item in blocks:
        members[f"{item.module}/{item.task}/{item.step.partition('[')[0]}"].append(item)
    return [Group(f"g{next(numbers)}", path, tuple(found)) for path, found in members.items()]
