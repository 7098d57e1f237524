"""One folded change, ready to be written: its attributes, texts and remarks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from markupsafe import Markup

from kubexms.plan.model import Change
from kubexms.plan.origin import Place
from kubexms.spec.address import Address
from kubexms.step.contract import ActionKind, Disruption
from kubexms.views import wording
from kubexms.views.changes import Folded, attribute_pairs
from kubexms.views.escaping import printable
from kubexms.views.folding import fold
from kubexms.views.html.attributes import Attribute, attributes_of, preview
from kubexms.views.html.lines import Budget
from kubexms.views.radius import dangerous

CLASSES = {
    ActionKind.NO_OP: "no",
    ActionKind.CREATE: "cr",
    ActionKind.UPDATE: "up",
    ActionKind.RUN: "ru",
    ActionKind.REPLACE: "re",
    ActionKind.DELETE: "de",
    ActionKind.FORGET: "fo",
}
"""Short, since there is one on every change."""
SIGNS = {**wording.SIGNS, ActionKind.REPLACE: "±", ActionKind.NO_OP: "="}
WORDS = {
    ActionKind.NO_OP: "unchanged",
    ActionKind.CREATE: "create",
    ActionKind.UPDATE: "update",
    ActionKind.RUN: "run",
    ActionKind.REPLACE: "replace",
    ActionKind.DELETE: "destroy",
    ActionKind.FORGET: "forget",
}
_HOSTS_IN_TITLE = 48


@dataclass(frozen=True, slots=True)
class Block:
    """Changes that differ in their host only."""

    change: Change
    hosts: tuple[str, ...]
    group: int
    """Index of this set of hosts among those of the page."""
    at: str
    """The hosts, as short as they can be said."""
    names: str
    """The hosts, all of them."""
    module: str
    task: str
    step: str
    """`step` or `step["key"]`."""
    path: str
    words: str
    remarks: tuple[tuple[str, str], ...]
    """(class, sentence)."""
    attributes: tuple[Attribute, ...]
    preview: Markup
    hidden: int
    """Attributes that do not change."""
    past: bool
    """It has happened already."""
    place: str
    """`file:line` of the step; empty where that is not known."""

    @property
    def kind(self) -> str:
        """The step kind, printable."""
        return printable(self.change.kind)

    @property
    def summary(self) -> str:
        """The object, printable."""
        return printable(self.change.summary)

    @property
    def css(self) -> str:
        """The class of its action."""
        return CLASSES[self.change.action]

    @property
    def sign(self) -> str:
        """The sign of its action."""
        return SIGNS[self.change.action]

    @property
    def interrupts(self) -> bool:
        """Whether applying it interrupts or destroys something."""
        return not self.past and dangerous(self.change)


_NOWHERE: Mapping[str, Place] = {}


class HostSets:
    """Sets of hosts by index, each once: thousands of changes share few of them."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, ...], tuple[int, str, str]] = {}

    def told(self, hosts: tuple[str, ...]) -> tuple[int, str, str]:
        """The index of a set, in the order of being asked for, and its hosts: in short, and all of them."""
        if hosts not in self._known:
            words = fold(hosts)
            short = printable(",".join(words))
            at = short if len(short) <= _HOSTS_IN_TITLE else f"{len(hosts)} hosts"
            self._known[hosts] = (len(self._known), at, printable(", ".join(words)))
        return self._known[hosts]

    def lists(self) -> list[list[str]]:
        """Every set, printable, by index."""
        return [[printable(host) for host in hosts] for hosts in self._known]


def block(
    group: Folded,
    sets: HostSets,
    budget: Budget,
    *,
    happened: str = "",
    places: Mapping[str, Place] = _NOWHERE,
) -> Block:
    """Everything about one folded change.

    `happened` says what did, where it is not a plan; then there is no why. `places` are where steps
    are written, by path without key.
    """
    change = group.change
    address = Address.parse(change.address)
    attributes = tuple(attributes_of(change, budget))
    pairs = [] if change.action is ActionKind.FORGET else list(attribute_pairs(change))
    return Block(
        change,
        group.hosts,
        *sets.told(group.hosts),
        printable(address.module),
        printable(address.task),
        printable(address.path.split("/", 2)[2]),
        printable(group.path),
        happened or wording.outcome(change),
        tuple(_remarks(change, past=bool(happened))),
        attributes,
        preview(attributes),
        len({name for name, _, _ in pairs} - {item.name for item in attributes}),
        bool(happened),
        _written_at(places.get(f"{address.module}/{address.task}/{address.step}")),
    )


def _written_at(place: Place | None) -> str:
    return "" if place is None else printable(f"{place.file}:{place.line}")


def _remarks(change: Change, *, past: bool) -> Iterator[tuple[str, str]]:
    if change.previous_address is not None:
        yield "", f"has moved from {printable(change.previous_address.rpartition('@')[0])}"
    because = wording.reason(change)
    if because and not past:
        yield "", because
    interrupts = wording.disruption(change)
    if interrupts and not past:
        yield ("bad" if change.disruption is Disruption.DATA_LOSS else "warn"), interrupts
    if change.unknown:
        yield "warn", f"could not be observed: {printable(change.unknown)}"
    for note in change.notes:
        yield "", f"note: {printable(note)}"
