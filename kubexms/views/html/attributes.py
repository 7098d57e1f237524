"""The attributes of one change: before and after, as far as they fit a line, or as lines."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from markupsafe import Markup

from kubexms.plan.model import Change
from kubexms.step.contract import ActionKind
from kubexms.views.changes import attribute_pairs
from kubexms.views.escaping import printable
from kubexms.views.html.lines import Budget, clip, diff_markup, painted, written
from kubexms.views.values import Absent, Phrase, Side, ValueWriter, inline, sign_of

_ROLES = {"+": "a", "-": "r", "~": "u", " ": ""}
_COLUMN = 2
_PREVIEW = 90
"""Characters of a preview, about."""
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


def attributes_of(change: Change, budget: Budget) -> Iterator[Attribute]:
    """The attributes that change, sorted by name, and then its texts. None for what is only forgotten."""
    if change.action is ActionKind.FORGET:
        return
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


def _silent(side: Side) -> bool:
    return isinstance(side, Absent) or side == Phrase("")


def _inline(side: Side) -> str | None:
    return "" if isinstance(side, Absent) else inline(side)


def preview(attributes: Iterable[Attribute]) -> Markup:
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
