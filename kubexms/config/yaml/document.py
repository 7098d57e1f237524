"""One document: its data, and where each part of it was written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from kubexms.config.yaml.scalars import Trap
from kubexms.config.yaml.source import SourceText
from kubexms.diagnostics import Diagnostic, Severity, SourceRange
from kubexms.spec.base import Json

Path: TypeAlias = tuple[str | int, ...]
"""The way from the document's root to a value: `("spec", "modules", 0, "name")`."""


@dataclass(frozen=True, slots=True)
class Span:
    """Where a value was written, and for a mapping's entry its key too. Offsets in characters."""

    start: int
    end: int
    key_start: int = -1
    key_end: int = -1
    block: bool = False
    """A block scalar: its first line is the one after its indicator."""


@dataclass(frozen=True, slots=True)
class Document:
    """Data with positions. `value` is plain JSON data; treat it as read-only."""

    source: SourceText
    value: Json
    spans: Mapping[Path, Span]
    traps: Mapping[Path, Trap] = field(default_factory=dict)
    """Values (by their path) that were written ambiguously."""
    index: int = 0
    """Position in its file."""

    @property
    def filename(self) -> str:
        """The file's name as the user knows it."""
        return self.source.filename

    def range(
        self, path: Sequence[str | int], *, key: bool = False, show: bool = True, line: int = 0
    ) -> SourceRange:
        """Where `path` was written; for a path that is not there, the nearest value around it.

        `key` asks for the entry's name rather than its value; `show` false leaves the source line
        out; `line` (from 1) is a line of a text of several lines.
        """
        at = tuple(path)
        while at and at not in self.spans:
            at, key = at[:-1], False
        span = self.spans.get(at, Span(0, 1))
        if key and span.key_start >= 0:
            return self.source.range(span.key_start, span.key_end, show=show)
        if line > 1 or (line == 1 and span.block):
            return self._inner_line(span, line, show)
        return self.source.range(span.start, span.end, show=show)

    def _inner_line(self, span: Span, line: int, show: bool) -> SourceRange:
        first, _ = self.source.position(span.start)
        last, _ = self.source.position(max(span.start, span.end - 1))
        number = min(first + line - (0 if span.block else 1), last)
        text = self.source.line(number)
        column = len(text) - len(text.lstrip()) + 1
        return SourceRange(
            self.filename,
            number,
            column,
            end_line=number,
            end_column=len(text) + 1,
            snippet=text if show else "",
        )

    def error(
        self,
        path: Sequence[str | int],
        summary: str,
        detail: str = "",
        *,
        key: bool = False,
        show: bool = True,
    ) -> Diagnostic:
        """A diagnostic about this place."""
        return self._diagnostic(Severity.ERROR, path, summary, detail, key, show)

    def warning(self, path: Sequence[str | int], summary: str, detail: str = "") -> Diagnostic:
        """A warning about this place."""
        return self._diagnostic(Severity.WARNING, path, summary, detail, False, True)

    def _diagnostic(
        self, severity: Severity, path: Sequence[str | int], summary: str, detail: str, key: bool, show: bool
    ) -> Diagnostic:
        place = self.range(path, key=key, show=show)
        return Diagnostic(severity, summary, detail, path=dotted(path), source=place)


def dotted(path: Sequence[str | int]) -> str:
    """`spec.modules[0].name`; names that are not plain words are quoted in brackets."""
    parts: list[str] = []
    for item in path:
        if isinstance(item, int):
            parts.append(f"[{item}]")
        elif item and all(c.isalnum() or c in "_-" for c in item):
            parts.append(f".{item}" if parts else item)
        else:
            parts.append(f"[{item!r}]")
    return "".join(parts)
