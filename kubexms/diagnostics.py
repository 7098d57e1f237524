"""What kubexms tells a user about a problem, as data: the views decide how it looks."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How bad it is: an error stops, a warning does not."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class SourceRange:
    """A place in a document. Lines and columns count from 1, bytes from 0; the end is exclusive."""

    filename: str
    line: int
    column: int
    byte: int = 0
    end_line: int | None = None
    end_column: int | None = None
    end_byte: int | None = None
    snippet: str = ""
    """The whole source line at `line`, without its line end; empty where it must not be shown."""


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One problem: what happened, where, and what to do next.

    `summary` is one sentence without a final full stop; `detail` says what to do and may
    have several lines; `address` is the step concerned; `path` the field in a document
    (`spec.modules[0].name`).
    """

    severity: Severity
    summary: str
    detail: str = ""
    address: str | None = None
    path: str = ""
    source: SourceRange | None = None
