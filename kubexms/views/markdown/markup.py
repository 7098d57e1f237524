"""Text from hosts and documents inside Markdown, from which it cannot break out.

Two places only are safe: an HTML block, in which Markdown means nothing and all text is escaped, and a
fenced block whose fence is longer than every run of backticks in it. Neither notifies the people, links
the issues or runs the commands that a text mentions, as it would elsewhere: text in HTML stands in
`<code>`, which GitHub and GitLab leave alone. Source: https://github.github.com/gfm, sections 4.5 and 4.6.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from kubexms.views.escaping import printable
from kubexms.views.paint import Role

LONGEST = 400
"""Characters of one line that are shown."""
_MARK = "\x01"
"""Stands before a sign; `printable` lets none through from elsewhere."""
_SIGNS = frozenset({"+", "-", "~", ">"})
_RUNS = re.compile("`+")
_COLOURED = {"~": "!", ">": "!"}
"""What colours a line in a `diff` block, in place of a sign that does not."""


def code(text: str, longest: int = LONGEST) -> str:
    """One line of text as HTML, for HTML blocks."""
    return f"<code>{html.escape(shortened(printable(text), longest), quote=False)}</code>"


def shortened(line: str, longest: int = LONGEST) -> str:
    """A line with its end counted instead of shown, where it is too long."""
    if len(line) <= longest:
        return line
    return f"{line[:longest]}… ({len(line) - longest} more characters)"


def fenced(lines: Iterable[str], language: str = "") -> str:
    """A fenced block of printable lines."""
    text = "\n".join(shortened(line) for line in lines)
    fence = "`" * max(3, 1 + max((len(run) for run in _RUNS.findall(text)), default=0))
    return f"{fence}{language}\n{text}\n{fence}"


def capped(rows: Sequence[str], most: int, room: int, more: Callable[[int], str]) -> list[str]:
    """The first rows, at most so many and in so many bytes, and then what `more` says of the others."""
    shown: list[str] = []
    for row in rows[:most]:
        room -= len(row.encode()) + 1
        if room < 0:
            break
        shown.append(row)
    left = len(rows) - len(shown)
    return [*shown, more(left)] if left else shown


def marked(role: Role, text: str) -> str:
    """A `Paint` that marks signs, for `diff_lines`."""
    return _MARK + text if text in _SIGNS and role in (Role.ADD, Role.REMOVE, Role.CHANGE) else text


def diff_lines(lines: Iterable[str]) -> Iterator[str]:
    """Lines painted with `marked`, their signs in the first column, where a `diff` block looks for them."""
    for line in lines:
        text = line.lstrip(" ")
        indent = len(line) - len(text)
        bare = text.replace(_MARK, "")
        if not text.startswith(_MARK):
            yield " " * indent + bare
        elif indent == 0:
            yield _COLOURED.get(bare[0], bare[0]) + bare[1:]
        else:
            yield _COLOURED.get(bare[0], bare[0]) + " " * indent + bare[1:]
