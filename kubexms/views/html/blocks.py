"""One folded change, ready to be written: its attributes, texts and remarks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
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
from kubexms.views.html.lines import Budget, clip, diff_markup, painted, written
from kubexms.views.values import Absent, Phrase, Side, ValueWriter, inline, sign_of

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
_ROLES = {"+": "a", "-": "r", "~": "u", " ": ""}
_HOSTS_IN_TITLE = 48
_PREVIEW = 90
_DIGEST = re.compile(r"\"(?:sha\d+:)?[0-9a-f]{12}…\"")


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute: on one line, or as several."""

    name: str
    role: str
    before: Markup | None = None
    after: Markup | None = None
    lines: Markup | None = None
    """Spans of lines; None: it is on one line."""
    tally: str = ""
    """`+3 -1`: lines of a text that come and go."""
    digest: bool = False
    """Nobody can read it."""
    remark: str = ""


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
        return not self.past and (
            self.change.disruption is not Disruption.NONE or self.change.action in DESTROYING
        )


_NOWHERE: Mapping[str, Place] = {}
DESTROYING = frozenset({ActionKind.DELETE, ActionKind.REPLACE})


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
    attributes = () if change.action is ActionKind.FORGET else tuple(_attributes(change, budget))
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
        _preview(attributes),
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


def _attributes(change: Change, budget: Budget) -> Iterator[Attribute]:
    texts = {
        name: diff
        for name, diff in change.text.items()
        if name not in change.sensitive and (diff.before is not None or diff.after is not None)
    }
    replace = change.changed if change.action is ActionKind.REPLACE else ()
    for name, before, after in attribute_pairs(change):
        sign = sign_of(before, after)
        if name in texts or sign == " ":
            continue
        remark = "forces replacement" if name in replace else ""
        yield _attribute(name, before, after, sign, remark, budget)
    for name, diff in sorted(texts.items()):
        role = "a" if diff.before is None else "r" if diff.after is None else "u"
        lines, tally = diff_markup(diff.before, diff.after, budget)
        yield Attribute(printable(name), role, lines=lines, tally=tally)


def _attribute(name: str, before: Side, after: Side, sign: str, remark: str, budget: Budget) -> Attribute:
    old, new = _inline(before), _inline(after)
    if old is not None and new is not None:
        return Attribute(
            printable(name),
            _ROLES[sign],
            None if _silent(before) else clip(old),
            None if _silent(after) else clip(new),
            digest=any(_DIGEST.fullmatch(text) for text in (old, new)),
            remark=remark,
        )
    lines = ValueWriter(painted).node("", before, after, _COLUMN)
    return Attribute(printable(name), _ROLES[sign], lines=written(lines, _COLUMN, budget), remark=remark)


_COLUMN = 2


def _silent(side: Side) -> bool:
    return isinstance(side, Absent) or side == Phrase("")


def _inline(side: Side) -> str | None:
    return "" if isinstance(side, Absent) else inline(side)


def _preview(attributes: Iterable[Attribute]) -> Markup:
    """What fits a line: texts first, then what people can read; digests last, since nobody can."""
    found: list[Markup] = []
    length = 0
    ordered = sorted(attributes, key=lambda item: 0 if item.lines else 2 if item.digest else 1)
    for item in ordered:
        sides = [side for side in (item.before, item.after) if side is not None]
        told = Markup(" → ").join(sides) if sum(map(len, sides)) <= _PREVIEW else Markup("…")
        text = Markup("{} {}").format(item.name, item.tally if item.lines else told).rstrip()
        length += len(text)
        if found and length > _PREVIEW:
            break
        found.append(text)
    more = len(ordered) - len(found)
    return Markup(", ").join(found) + (f", {more} more" if more and found else "")
