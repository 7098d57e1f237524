"""Changes as blocks of a comment, with and without their diffs, as many as there is room for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from kubexms.plan.model import Plan
from kubexms.step.contract import ActionKind
from kubexms.views import wording
from kubexms.views.changes import Folded, block_lines, folded, label
from kubexms.views.folding import fold_text
from kubexms.views.markdown.markup import code, diff_lines, fenced, marked
from kubexms.views.radius import dangerous, urgency

DIFF_LINES = 60
"""Lines of one text that are shown."""
_SPELLED = 60
"""Characters up to which hosts are named where they stand; longer lists are written once, below."""
_SETS = 20
"""Sets of hosts that are written below."""
_LISTED = 600
"""Characters of one such set."""
_TRIES = 50
"""Diffs in a row for which there was no room, after which no further is made."""


class Hosts:
    """Names for sets of hosts that are too long to be repeated with every change."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, ...], str] = {}

    def text(self, names: tuple[str, ...]) -> str:
        """How to say which hosts, as HTML."""
        words = fold_text(names)
        if len(words) <= _SPELLED:
            return code(words) + (f", {len(names)} hosts" if len(names) > 1 else "")
        if names not in self._known and len(self._known) < _SETS:
            self._known[names] = f"hosts {len(self._known) + 1}"
        if names in self._known:
            return f"<b>{self._known[names]}</b>, {len(names)} hosts"
        return f"{code(words, _SPELLED)}, {len(names)} hosts"

    def legend(self) -> Iterator[str]:
        """What the names stand for."""
        if self._known:
            rows = (
                f"<li><b>{name}</b>: {code(fold_text(names), _LISTED)}</li>"
                for names, name in self._known.items()
            )
            yield "\n".join(["<details><summary>Which hosts</summary>", "<ul>", *rows, "</ul>", "</details>"])


@dataclass(frozen=True, slots=True)
class Block:
    """One folded change."""

    group: Folded
    title: str
    """One line of HTML."""

    @property
    def size(self) -> int:
        """How many changes it stands for."""
        return len(self.group.hosts)

    @property
    def brief(self) -> str:
        """The block without its diff."""
        return f"<p>{self.title}</p>\n"

    def full(self) -> str:
        """The block with its diff."""
        lines = diff_lines(block_lines(self.group, marked, limit=DIFF_LINES))
        return f"<details><summary>{self.title}</summary>\n\n{fenced(lines, 'diff')}\n</details>\n"


def blocks(plan: Plan, hosts: Hosts) -> tuple[list[Block], list[Block]]:
    """What destroys or interrupts, worst first, and the rest in the order of addresses."""
    groups = sorted(folded(plan.effective), key=lambda group: urgency(group.change))
    made = [Block(group, _title(group, hosts)) for group in groups]
    urgent = [block for block in made if dangerous(block.group.change)]
    return urgent, [block for block in made if not dangerous(block.group.change)]


def _title(group: Folded, hosts: Hosts) -> str:
    change = group.change
    sign = wording.SIGNS[change.action].replace(">", "&gt;")
    interrupts = wording.disruption(change)
    return (
        f"<code>{sign}</code> {code(group.path)} {wording.outcome(change)} on {hosts.text(group.hosts)}: "
        f"{change.kind} {code(label(group), 120)}"
        + (f", <b>{interrupts}</b>" if interrupts else "")
        + (
            ", <b>could not be observed</b>"
            if change.unknown and change.action is not ActionKind.NO_OP
            else ""
        )
    )


@dataclass(frozen=True, slots=True)
class Fitted:
    """What there was room for."""

    texts: dict[int, str] = field(default_factory=dict)
    """By the identity of the block."""
    bare: list[Block] = field(default_factory=list)
    """Shown without their diff."""
    missing: list[Block] = field(default_factory=list)
    """Not shown at all."""


def fit(members: Sequence[Block], room: int) -> Fitted:
    """As many blocks as there is room for, in bytes; that all are named matters more than a diff."""
    fitted = Fitted()
    for block in members:
        brief = block.brief
        room -= len(brief.encode()) + 1
        if room < 0:
            break
        fitted.texts[id(block)] = brief
    fitted.missing.extend(members[len(fitted.texts) :])
    tries = 0
    for block in members[: len(fitted.texts)]:
        if fitted.missing or tries > _TRIES:
            fitted.bare.append(block)
            continue
        text = block.full()
        more = len(text.encode()) - len(block.brief.encode())
        if more > room:
            fitted.bare.append(block)
            tries += 1
            continue
        fitted.texts[id(block)] = text
        room -= more
        tries = 0
    return fitted
