"""JSON values as a plan shows them: aligned attributes, nested lists and maps, one sign per line.

Columns follow Terraform: a name at `column`, its sign two before, what is nested four further in.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from pydantic import JsonValue

from kubexms.views.escaping import printable, quoted
from kubexms.views.linediff import LIMIT, DiffLine, line_diff
from kubexms.views.paint import Paint, Role

KNOWN_LATER = "(known after apply)"
SENSITIVE = "(sensitive value)"
_ONE_LINE = 72
"""Characters up to which a flat list is written on one line."""
_CONTEXT = 2
"""Unchanged list elements that are shown around a changed one."""

_DIGEST = re.compile(r"((?:sha\d{1,3}:)?[0-9a-f]{12})[0-9a-f]{28,}")

_ROLES = {"+": Role.ADD, "-": Role.REMOVE, "~": Role.CHANGE, ">": Role.CHANGE}


@dataclass(frozen=True, slots=True)
class Absent:
    """No value on this side."""


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words in place of a value: known after apply, sensitive, not observed. Empty: not worth showing."""

    text: str


ABSENT = Absent()
Side: TypeAlias = JsonValue | Absent | Phrase


def plural(count: int, noun: str) -> str:
    """`1 attribute`, `2 attributes`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def signed(sign: str, paint: Paint, column: int) -> str:
    """What stands before `column`: the sign, painted, and a blank."""
    if sign == "-/+":
        painted = paint(Role.REMOVE, "-") + "/" + paint(Role.ADD, "+")
    else:
        role = _ROLES.get(sign)
        painted = paint(role, sign) if role else sign
    return " " * (column - len(sign) - 1) + painted + " "


def sign_of(before: Side, after: Side) -> str:
    """`+`, `-`, `~`, or a blank where nothing changes."""
    if isinstance(before, Absent):
        return "+"
    if isinstance(after, Absent):
        return "-"
    return " " if before == after and type(before) is type(after) else "~"


def inline(value: JsonValue | Phrase) -> str | None:
    """A value that reads well on one line, or None."""
    if isinstance(value, Phrase):
        return value.text
    if isinstance(value, str):
        return None if "\n" in value.rstrip("\n") else quoted(_shortened(value))
    if isinstance(value, dict):
        return None if value else "{}"
    if isinstance(value, list):
        parts = [inline(item) for item in value]
        if any(
            part is None or isinstance(item, (list, dict)) for part, item in zip(parts, value, strict=True)
        ):
            return None
        text = f"[{', '.join(part for part in parts if part is not None)}]"
        return text if len(text) <= _ONE_LINE else None
    return json.dumps(value)


def _shortened(value: str) -> str:
    """Digests by their first digits: nobody compares more by eye, and the line stays readable."""
    match = _DIGEST.fullmatch(value)
    return f"{match[1]}…" if match else value


def compact(value: JsonValue | Phrase) -> str:
    """A value on one line, however long."""
    if isinstance(value, Phrase):
        return value.text
    return inline(value) or printable(json.dumps(value, ensure_ascii=False))


@dataclass(frozen=True, slots=True)
class ValueWriter:
    """Writes values and what becomes of them."""

    paint: Paint
    limit: int = LIMIT

    def attributes(
        self,
        pairs: Sequence[tuple[str, Side, Side]],
        column: int,
        *,
        remarks: Mapping[str, str] | None = None,
    ) -> Iterator[str]:
        """Aligned `name = value` lines for (name, before, after); unchanged ones are written too."""
        width = max((len(name) for name, _, _ in pairs), default=0)
        for name, before, after in pairs:
            lines = list(self.node(f"{name:{width}} = ", before, after, column))
            remark = (remarks or {}).get(name)
            if remark:
                lines[0] += self.paint(Role.DIM, f" # {remark}")
            yield from lines

    def node(self, label: str, before: Side, after: Side, column: int, tail: str = "") -> Iterator[str]:
        """One labelled value: a line, or a block of lines."""
        sign = sign_of(before, after)
        start = signed(sign, self.paint, column) + label
        if isinstance(before, Absent) or isinstance(after, Absent) or sign == " ":
            value = after if not isinstance(after, Absent) else before
            assert not isinstance(value, Absent)
            text = inline(value)
            if text is not None:
                yield start + text + tail + (self._arrow("null") if sign == "-" and not tail else "")
                return
            yield from self._block(start, value, sign, column, tail)
            return
        if isinstance(before, dict) and isinstance(after, dict) and before and after:
            yield start + "{"
            yield from self._map(before, after, column + 4)
            yield " " * column + "}" + tail
        elif isinstance(before, list) and isinstance(after, list) and before and after:
            yield start + "["
            yield from self._list(before, after, column + 4)
            yield " " * column + "]" + tail
        elif (
            isinstance(before, str)
            and isinstance(after, str)
            and (inline(before) is None or inline(after) is None)
        ):
            yield from self.text(start, before, after, column, tail)
        elif before == Phrase(""):
            yield start + compact(after) + tail
        else:
            yield start + compact(before) + self._arrow(compact(after)) + tail

    def text(
        self, start: str, before: str | None, after: str | None, column: int, tail: str = ""
    ) -> Iterator[str]:
        """A multi-line text, or the line diff of two, between `<<-EOT` and `EOT`."""
        lines = line_diff(before or "", after or "", limit=self.limit)
        one_sided = not before or not after
        yield start + "<<-EOT"
        for line in lines:
            yield self._diff_line(line, column + 4, one_sided=one_sided)
        yield " " * column + "EOT" + tail

    def _diff_line(self, line: DiffLine, column: int, *, one_sided: bool) -> str:
        if line.symbol == "#":
            return " " * column + self.paint(Role.DIM, f"# {line.text}")
        if one_sided or line.symbol == " ":
            return (" " * column + line.text).rstrip()
        return signed(line.symbol, self.paint, column) + line.text

    def _block(
        self, start: str, value: JsonValue | Phrase, sign: str, column: int, tail: str
    ) -> Iterator[str]:
        if isinstance(value, str):
            yield from self.text(
                start, None if sign == "+" else value, value if sign == "+" else None, column, tail
            )
            return
        opening, closing = ("{", "}") if isinstance(value, dict) else ("[", "]")
        yield start + opening
        if isinstance(value, dict):
            yield from self._map(
                value if sign != "+" else {}, value if sign != "-" else {}, column + 4, hide=False
            )
        elif isinstance(value, list):
            for item in value:
                sides: tuple[Side, Side] = (
                    (ABSENT, item) if sign == "+" else (item, ABSENT if sign == "-" else item)
                )
                yield from self.node("", *sides, column + 4, ",")
        yield " " * column + closing + tail

    def _map(
        self,
        before: Mapping[str, JsonValue],
        after: Mapping[str, JsonValue],
        column: int,
        *,
        hide: bool = True,
    ) -> Iterator[str]:
        names = list(dict.fromkeys([*before, *after]))
        pairs = [(quoted(name), before.get(name, ABSENT), after.get(name, ABSENT)) for name in sorted(names)]
        shown = [pair for pair in pairs if not hide or sign_of(pair[1], pair[2]) != " "]
        yield from self.attributes(shown, column)
        yield from self.hidden(len(pairs) - len(shown), "element", column)

    def _list(self, before: list[JsonValue], after: list[JsonValue], column: int) -> Iterator[str]:
        old, new = _canonical(before), _canonical(after)
        blocks = difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
        for index, (tag, first, last, new_first, new_last) in enumerate(blocks):
            if tag == "equal":
                head = _CONTEXT if index else 0
                end = _CONTEXT if index < len(blocks) - 1 else 0
                yield from self._unchanged(before[first:last], head, end, column)
                continue
            removed: Iterable[JsonValue] = before[first:last]
            added: Iterable[JsonValue] = after[new_first:new_last]
            if tag == "replace" and last - first == new_last - new_first:
                for left, right in zip(removed, added, strict=True):
                    yield from self._replaced(left, right, column)
                continue
            for left in removed:
                yield from self.node("", left, ABSENT, column, ",")
            for right in added:
                yield from self.node("", ABSENT, right, column, ",")

    def _replaced(self, before: JsonValue, after: JsonValue, column: int) -> Iterator[str]:
        if isinstance(before, dict) and isinstance(after, dict):
            yield from self.node("", before, after, column, ",")
        else:
            yield from self.node("", before, ABSENT, column, ",")
            yield from self.node("", ABSENT, after, column, ",")

    def _unchanged(self, items: list[JsonValue], head: int, end: int, column: int) -> Iterator[str]:
        hidden = len(items) - head - end
        shown_head = items if hidden <= 1 else items[:head]
        shown_end = [] if hidden <= 1 else items[len(items) - end :]
        for item in shown_head:
            yield " " * column + compact(item) + ","
        if hidden > 1:
            yield from self.hidden(hidden, "element", column)
        for item in shown_end:
            yield " " * column + compact(item) + ","

    def hidden(self, count: int, noun: str, column: int) -> Iterator[str]:
        """The line that says how many unchanged ones are not shown; nothing for none."""
        if count:
            yield " " * column + self.paint(
                Role.DIM, f"# ({count} unchanged {noun}{'' if count == 1 else 's'} hidden)"
            )

    def _arrow(self, text: str) -> str:
        return f" {self.paint(Role.CHANGE, '->')} " + (self.paint(Role.DIM, text) if text == "null" else text)


def _canonical(items: list[JsonValue]) -> list[str]:
    return [json.dumps(item, sort_keys=True) for item in items]
