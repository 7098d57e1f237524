"""Line diffs of texts, with context and a limit."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass

from kubexms.views.escaping import printable_lines

CONTEXT = 3
LIMIT = 200
"""Lines of one diff that are shown."""
_TOO_LONG = 20_000
"""Lines beyond which no matching is tried: difflib would take minutes."""


@dataclass(frozen=True, slots=True)
class DiffLine:
    """One line: `+`, `-`, a blank for context, or `#` for a remark."""

    symbol: str
    text: str


def line_diff(before: str, after: str, *, context: int = CONTEXT, limit: int = LIMIT) -> list[DiffLine]:
    """What turns `before` into `after`, line by line; equal stretches and what exceeds `limit` are counted.

    Texts that differ in their final line end alone, or in carriage returns alone, say so.
    """
    old, new = printable_lines(before), printable_lines(after)
    lines = [*_merge(old, new, context), *_endings(before, after, same=old == new)]
    if len(lines) <= limit + 1:
        return lines
    return [*lines[:limit], DiffLine("#", f"(… {len(lines) - limit} more lines)")]


def _merge(old: list[str], new: list[str], context: int) -> Iterator[DiffLine]:
    if len(old) + len(new) > _TOO_LONG:
        yield DiffLine("#", f"({len(old)} lines become {len(new)}: too many to compare)")
        return
    blocks = difflib.SequenceMatcher(None, old, new, autojunk=len(old) + len(new) > 2000).get_opcodes()
    for index, (tag, first, last, new_first, new_last) in enumerate(blocks):
        if tag == "equal":
            head = context if index else 0
            tail = context if index < len(blocks) - 1 else 0
            yield from _equal(old[first:last], head, tail)
            continue
        yield from (DiffLine("-", line) for line in old[first:last])
        yield from (DiffLine("+", line) for line in new[new_first:new_last])


def _equal(lines: list[str], head: int, tail: int) -> Iterator[DiffLine]:
    hidden = len(lines) - head - tail
    if hidden <= 1:
        yield from (DiffLine(" ", line) for line in lines)
        return
    yield from (DiffLine(" ", line) for line in lines[:head])
    yield DiffLine("#", f"({hidden} unchanged lines hidden)")
    yield from (DiffLine(" ", line) for line in lines[len(lines) - tail :])


def _endings(before: str, after: str, *, same: bool) -> Iterator[DiffLine]:
    if same and before.removesuffix("\n") != after.removesuffix("\n"):
        yield DiffLine("#", "(line ends change)")
    if before and after and before.endswith("\n") != after.endswith("\n"):
        yield DiffLine("#", f"({'no ' if before.endswith(chr(10)) else ''}line end after the last line)")
