"""Roles of text, and what paints them. Views name the role; whether that is a colour is decided outside."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import TypeAlias


class Role(StrEnum):
    """What a piece of text is."""

    ADD = "add"
    CHANGE = "change"
    REMOVE = "remove"
    DIM = "dim"
    BOLD = "bold"
    ERROR = "error"
    WARNING = "warning"
    GOOD = "good"
    SKIPPED = "skipped"


Paint: TypeAlias = Callable[[Role, str], str]
"""Text with what makes it look like its role; the text is printable already."""


def plain(_role: Role, text: str) -> str:
    """The text as it is: files, pipes, NO_COLOR."""
    return text
