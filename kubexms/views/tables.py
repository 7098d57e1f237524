"""Aligned columns of plain text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kubexms.views.escaping import printable
from kubexms.views.paint import Paint, Role, plain


def table_lines(head: Sequence[str], rows: Sequence[Sequence[str]], paint: Paint = plain) -> Iterator[str]:
    """A header and the rows, each column as wide as its widest cell, two spaces between."""
    cells = [[printable(cell) for cell in row] for row in rows]
    widths = [max(len(text) for text in column) for column in zip(head, *cells, strict=True)]
    yield paint(Role.BOLD, _line(head, widths))
    yield from (_line(row, widths) for row in cells)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(text.ljust(width) for text, width in zip(cells, widths, strict=True)).rstrip()
