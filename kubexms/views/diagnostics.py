"""Diagnostics for people: `Error: …`, the place, the line with a caret under it, what to do next."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator

from kubexms.diagnostics import Diagnostic, Severity, SourceRange
from kubexms.views.escaping import printable, printable_lines
from kubexms.views.paint import Paint, Role, plain

_TAB = "    "


def diagnostic_lines(
    diagnostic: Diagnostic, paint: Paint = plain, *, width: int | None = None
) -> Iterator[str]:
    """One diagnostic, beginning with `Error: ` or `Warning: ` at the start of a line.

    Prose is wrapped to `width` where one is given (a terminal); indented lines of it are left alone.
    """
    if diagnostic.severity is Severity.ERROR:
        head = paint(Role.ERROR, "Error: ")
    else:
        head = paint(Role.WARNING, "Warning: ")
    yield head + paint(Role.BOLD, printable(diagnostic.summary))
    if diagnostic.source is not None:
        yield ""
        yield from _place(diagnostic.source, diagnostic.path, paint)
    elif diagnostic.path:
        yield ""
        yield f"  at {printable(diagnostic.path)}"
    if diagnostic.address:
        yield ""
        yield f"  with {printable(diagnostic.address)}"
    if diagnostic.detail:
        yield ""
        yield from _prose(diagnostic.detail, width)


def diagnostics_text(
    diagnostics: Iterable[Diagnostic], paint: Paint = plain, *, width: int | None = None
) -> str:
    """All of them, a blank line between two and one at the end; empty for none."""
    blocks = ["\n".join(diagnostic_lines(item, paint, width=width)) for item in diagnostics]
    return "".join(f"{block}\n\n" for block in blocks)


def _place(source: SourceRange, path: str, paint: Paint) -> Iterator[str]:
    where = f"{printable(source.filename)}:{source.line}:{source.column}"
    yield f"  {paint(Role.BOLD, where)}" + (f" ({printable(path)})" if path else "")
    if not source.snippet:
        return
    number = str(source.line)
    line = source.snippet.rstrip()
    shown = printable(line.expandtabs(len(_TAB)))
    start = len(printable(line[: source.column - 1].expandtabs(len(_TAB))))
    yield f"  {paint(Role.DIM, f'{number} |')} {shown}".rstrip()
    caret = paint(Role.ERROR, "^" * _length(source, line))
    yield f"  {paint(Role.DIM, ' ' * len(number) + ' |')} {' ' * start}{caret}"


def _length(source: SourceRange, line: str) -> int:
    """Columns to underline, all on the one line that is shown."""
    end = len(line) + 1
    if source.end_column is not None and source.end_line in {None, source.line}:
        end = min(source.end_column, end)
    elif source.end_column is None:
        end = source.column + 1
    return max(1, end - source.column)


def _prose(detail: str, width: int | None) -> Iterator[str]:
    for line in printable_lines(detail):
        if width is None or len(line) + 2 <= width or line.startswith((" ", "\t")):
            yield f"  {line}".rstrip()
        else:
            yield from textwrap.wrap(
                line,
                max(40, width - 2),
                initial_indent="  ",
                subsequent_indent="  ",
                break_on_hyphens=False,
                break_long_words=False,
            )
