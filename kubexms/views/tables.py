"""Plain tables: columns as wide as what is in them, the last one free, no frames: greppable and calm."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from unicodedata import combining, east_asian_width

from kubexms.views.escaping import printable
from kubexms.views.paint import Paint, Role, plain

_GAP = "  "


def table_lines(head: Sequence[str], rows: Sequence[Sequence[str]], paint: Paint = plain) -> Iterator[str]:
    """A line of headings and one per row; cells are made printable and never cut."""
    cells = [[printable(cell) for cell in row] for row in rows]
    widths = [max([len(title), *(columns(row[place]) for row in cells)]) for place, title in enumerate(head)]
    yield paint(Role.BOLD, _row(head, widths))
    for row in cells:
        yield _row(row, widths)


def columns(text: str) -> int:
    """Terminal columns of a printable text."""
    if text.isascii():
        return len(text)
    return sum(0 if combining(char) else 2 if east_asian_width(char) in "WF" else 1 for char in text)


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [cell + " " * (width - columns(cell)) for cell, width in zip(cells, widths, strict=True)]
    return _GAP.join(padded).rstrip()
