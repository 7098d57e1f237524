"""Changes as blocks in Terraform's shape, identical ones on many hosts as one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pydantic import JsonValue

from kubexms.plan.model import HIDDEN, Change
from kubexms.step.contract import ActionKind, Disruption
from kubexms.views import wording
from kubexms.views.escaping import printable, quoted
from kubexms.views.folding import fold
from kubexms.views.linediff import LIMIT
from kubexms.views.paint import Paint, Role
from kubexms.views.values import ABSENT, KNOWN_LATER, SENSITIVE, Phrase, Side, ValueWriter, sign_of, signed

_NAME = 8
"""Column of attribute names."""
_NOT_OBSERVED = Phrase("(not observed)")


@dataclass(frozen=True, slots=True)
class Folded:
    """Changes that differ in their host only."""

    change: Change
    """The first of them."""
    path: str
    hosts: tuple[str, ...]

    @property
    def address(self) -> str:
        """`module/task/step@n[01-30]`; more words than one are joined by commas."""
        return printable(f"{self.path}@{','.join(fold(self.hosts))}")


def folded(changes: Iterable[Change], *, expand: bool = False) -> list[Folded]:
    """Groups in the order of their first change; with `expand` each change alone."""
    groups: dict[tuple[str, str], list[Change]] = {}
    for position, change in enumerate(changes):
        key = str(position) if expand else _likeness(change)
        groups.setdefault((_path(change.address), key), []).append(change)
    return [
        Folded(members[0], path, tuple(member.host for member in members))
        for (path, _), members in groups.items()
    ]


def label(group: Folded) -> str:
    """What identifies the object, for a person: `/etc/motd`."""
    return group.change.summary or group.path.rpartition("/")[2]


def _path(address: str) -> str:
    return address.rpartition("@")[0]


def _likeness(change: Change) -> str:
    """Equal for changes that look the same but for the host."""
    data = change.model_dump(mode="json", exclude={"address", "binding"}, exclude_defaults=True)
    if change.previous_address is not None:
        data["previous_address"] = _path(change.previous_address)
    return json.dumps(data, sort_keys=True)


def change_lines(group: Folded, paint: Paint, *, words: str | None = None) -> Iterator[str]:
    """One block: what happens to which address, why, and every attribute that changes.

    With `words` the header says these, and nothing of reasons: something has happened already.
    """
    change = group.change
    yield from _moved(group, paint)
    if change.action is ActionKind.NO_OP:
        return
    yield "  " + paint(Role.BOLD, f"# {group.address} {words or wording.outcome(change)}")
    yield from block_lines(group, paint, remarks=words is None)


def block_lines(group: Folded, paint: Paint, *, remarks: bool = True, limit: int = LIMIT) -> Iterator[str]:
    """What stands below the header: reasons and remarks, and every attribute that changes.

    `limit` is the number of lines of one text that are shown.
    """
    change = group.change
    if remarks:
        yield from _remarks(change, paint)
    writer = ValueWriter(paint, limit)
    head = f"{signed(wording.SIGNS[change.action], paint, 4)}{change.kind} {quoted(label(group))} {{"
    body = [] if change.action is ActionKind.FORGET else list(_attributes(change, writer))
    yield from [head, *body, "    }"] if body else [head + "}"]


def _moved(group: Folded, paint: Paint) -> Iterator[str]:
    previous = group.change.previous_address
    if previous is not None and previous != group.change.address:
        old = previous if len(group.hosts) == 1 else f"{_path(previous)}@{','.join(fold(group.hosts))}"
        yield "  " + paint(Role.BOLD, f"# {printable(old)} has moved to {group.address}")


def _remarks(change: Change, paint: Paint) -> Iterator[str]:
    because = wording.reason(change)
    if because:
        yield "  " + paint(Role.DIM, f"# ({because})")
    interrupts = wording.disruption(change)
    if interrupts:
        loses = change.disruption is Disruption.DATA_LOSS
        yield "  " + paint(Role.WARNING if loses else Role.CHANGE, f"# {interrupts}")
    if change.unknown:
        yield "  " + paint(Role.CHANGE, f"# could not be observed: {printable(change.unknown)}")
    for note in change.notes:
        yield "  " + paint(Role.DIM, f"# note: {printable(note)}")


def _attributes(change: Change, writer: ValueWriter) -> Iterator[str]:
    pairs = list(attribute_pairs(change))
    texts = {
        name: diff for name, diff in change.text.items() if diff.before is not None or diff.after is not None
    }
    shown = [pair for pair in pairs if pair[0] not in texts and sign_of(pair[1], pair[2]) != " "]
    width = max((len(name) for name in [*texts, *(name for name, _, _ in shown)]), default=0)
    replace = change.action is ActionKind.REPLACE
    remarks = {name.ljust(width): "forces replacement" for name in change.changed if replace}
    padded = [(name.ljust(width), before, after) for name, before, after in shown]
    yield from writer.attributes(padded, _NAME, remarks=remarks)
    for name, diff in sorted(texts.items()):
        sign = "+" if diff.before is None else "-" if diff.after is None else "~"
        start = f"{signed(sign, writer.paint, _NAME)}{name:{width}} = "
        yield from writer.text(start, diff.before, diff.after, _NAME)
    unchanged = {name for name, _, _ in pairs}.difference(texts, (name for name, _, _ in shown))
    yield from writer.hidden(len(unchanged), "attribute", _NAME)


def attribute_pairs(change: Change) -> Iterator[tuple[str, Side, Side]]:
    """Name, before and after of each attribute, sorted by name."""
    before, after = change.before or {}, change.after or {}
    for name in sorted({*before, *after, *change.after_unknown}):
        hidden = name in change.sensitive
        old = _side(before, name, hidden=hidden)
        new: Side = Phrase(KNOWN_LATER) if name in change.after_unknown else _side(after, name, hidden=hidden)
        if change.before is None and change.unknown and change.action is ActionKind.UPDATE:
            old = _NOT_OBSERVED
        elif old == new == Phrase(SENSITIVE) and name in change.changed:
            old = Phrase("")
        yield name, old, new


def _side(values: dict[str, JsonValue], name: str, *, hidden: bool) -> Side:
    if name not in values:
        return ABSENT
    value = values[name]
    return Phrase(SENSITIVE) if hidden or value == HIDDEN else value
