"""Line diffs as markup: what changed within a line, and nothing so long that it hides the rest."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from html import escape
from itertools import groupby

from markupsafe import Markup

from kubexms.views.linediff import DiffLine, line_diff
from kubexms.views.paint import Role

LINES = 400
"""Lines that one diff shows."""
LINES_OF_PAGE = 60_000
"""Lines of diffs that a page shows in full; beyond them each diff is cut to `LINES_BEYOND`."""
LINES_BEYOND = 20
_NO_LIMIT = 10**9
_SHORT = 240
"""Characters of an unchanged stretch of a line that are shown."""
_LONG = 2_000
"""Characters of a changed stretch, or of a value, that are shown."""
_ALIKE = 0.4
"""Share of a line that must be the same for its difference to be worth marking within it."""

# no text has these once it is printable, so they can mark where a painted stretch begins and ends
_OPEN, _CLOSE = "\x01", "\x02"
_CLASSES = {Role.ADD: "a", Role.REMOVE: "r", Role.CHANGE: "u", Role.DIM: "n"}
_SIGN = re.compile(f"^ *{_OPEN}([aru])")
_MARKS = re.compile(f"{_OPEN}.|{_CLOSE}")
_SYMBOLS = {"+": "a", "-": "r", " ": "", "#": "n"}


@dataclass(slots=True)
class Budget:
    """How many lines of diffs a page may still show."""

    left: int = LINES_OF_PAGE

    def spend(self, lines: int) -> None:
        """Count lines that are shown."""
        self.left -= lines

    @property
    def limit(self) -> int:
        """For the next diff."""
        return LINES if self.left > 0 else LINES_BEYOND


def clip(text: str) -> Markup:
    """Printable text, escaped; the middle of what is very long is counted instead."""
    return Markup(_clip(text))  # noqa: S704 - it has been escaped


def diff_markup(before: str | None, after: str | None, budget: Budget) -> tuple[Markup, str]:
    """The line diff of two texts (None is no text), and how many lines come and go: `+3 -1`.

    Each line is a `span` of class `a` (added), `r` (removed), `n` (a remark) or none.
    """
    lines = line_diff(before or "", after or "", limit=_NO_LIMIT)
    if before is None or after is None:
        symbol = "+" if before is None else "-"
        lines = [DiffLine(symbol if line.symbol == " " else line.symbol, line.text) for line in lines]
    tally = [(symbol, sum(line.symbol == symbol for line in lines)) for symbol in "+-"]
    told = " ".join(f"{symbol}{count}" for symbol, count in tally if count)
    shown = lines[: budget.limit]
    if len(lines) > len(shown) + 1:
        shown.append(DiffLine("#", f"(… {len(lines) - len(shown):,} more lines)"))
    else:
        shown = lines
    budget.spend(len(shown))
    return Markup("".join(_marked(shown))), told  # noqa: S704 - made of escaped pieces


def painted(role: Role, text: str) -> str:
    """A `Paint` whose marks `written` turns into markup."""
    name = _CLASSES.get(role)
    return f"{_OPEN}{name}{text}{_CLOSE}" if name else text


def written(lines: Iterable[str], column: int, budget: Budget) -> Markup:
    """What a `ValueWriter` with `painted` wrote, from `column` on, as such spans; `u` is changed."""
    everything = list(lines)
    shown = everything[: budget.limit]
    budget.spend(len(shown))
    found: list[str] = []
    for text in shown:
        match = _SIGN.match(text)
        role = match[1] if match else ("n" if text.lstrip().startswith(_OPEN + "n") else "")
        found.append(_span(role, _clip(_MARKS.sub("", text)[column:])))
    if len(everything) > len(shown):
        found.append(_span("n", f"(… {len(everything) - len(shown):,} more lines)"))
    return Markup("".join(found))  # noqa: S704 - made of escaped pieces


def _clip(text: str, limit: int = _LONG) -> str:
    if len(text) <= limit:
        return escape(text)
    head, tail = limit * 2 // 3, limit // 3
    gap = f"<i>(… {len(text) - head - tail:,} characters …)</i>"
    return escape(text[:head]) + gap + escape(text[len(text) - tail :])


def _span(role: str, content: str) -> str:
    return f'<span class="{role}">{content}</span>' if role else f"<span>{content}</span>"


def _marked(lines: Iterable[DiffLine]) -> Iterator[str]:
    runs = [(symbol, list(members)) for symbol, members in groupby(lines, key=lambda line: line.symbol)]
    skip = False
    for place, (symbol, members) in enumerate(runs):
        if skip:
            skip = False
            continue
        follows = runs[place + 1] if place + 1 < len(runs) else ("", [])
        if symbol == "-" and follows[0] == "+":
            pairs = [_within(old.text, new.text) for old, new in zip(members, follows[1], strict=False)]
            yield from (_span("r", f"- {old}") for old, _ in pairs)
            yield from (_span("r", f"- {_clip(line.text)}") for line in members[len(pairs) :])
            yield from (_span("a", f"+ {new}") for _, new in pairs)
            yield from (_span("a", f"+ {_clip(line.text)}") for line in follows[1][len(pairs) :])
            skip = True
            continue
        sign = symbol if symbol in "+-" else " "
        yield from (_span(_SYMBOLS[symbol], f"{sign} {_clip(line.text)}") for line in members)


def _within(old: str, new: str) -> tuple[str, str]:
    """Two lines with what differs between them marked."""
    start = _common(old, new)
    shorter = min(len(old), len(new)) - start
    end = _common(old[len(old) - shorter :][::-1], new[len(new) - shorter :][::-1]) if shorter else 0
    if start + end < _ALIKE * max(len(old), len(new)):
        return _clip(old), _clip(new)
    return _stretches(old, start, end, "del"), _stretches(new, start, end, "ins")


def _common(left: str, right: str) -> int:
    """Length of the common beginning, by halving: lines may be megabytes long."""
    low, high = 0, min(len(left), len(right))
    while low < high:
        middle = (low + high + 1) // 2
        if left[low:middle] == right[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _stretches(text: str, start: int, end: int, tag: str) -> str:
    head, middle, tail = text[:start], text[start : len(text) - end], text[len(text) - end :]
    changed = f"<{tag}>{_clip(middle)}</{tag}>" if middle else ""
    return _clip(head, _SHORT) + changed + _clip(tail, _SHORT)
